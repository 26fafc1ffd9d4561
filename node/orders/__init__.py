"""What a command can have a node do: fetch, share, forget, verify."""
