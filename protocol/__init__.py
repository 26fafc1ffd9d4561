"""What the processes say to each other. Imports nothing else of shoal, and does no I/O."""
