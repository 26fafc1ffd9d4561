"""Who is where: the cluster file, and the cluster files that ship with shoal."""
