"""Several trackers on one store, with nodes that move between them, under faults from a seed."""
