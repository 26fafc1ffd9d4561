"""What a cluster is doing, for browsers: asks the tracker as any command, and changes nothing."""
