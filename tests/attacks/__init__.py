"""What strangers can do to a tracker and a node: commands, and short versions as tests."""
