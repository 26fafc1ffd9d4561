"""A node: the files in its folder, the REP socket that serves them, the DEALERs that fetch."""
