"""What is said between the processes. Imports nothing of ours and does no input or output."""
