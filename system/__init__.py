"""What the operating system grants a process."""
