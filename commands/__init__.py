"""One module per command, which prints and sets exit codes; imported when its command is run."""
