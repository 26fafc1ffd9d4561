"""The cluster file: which process is where. And the cluster files that ship with shoal."""
