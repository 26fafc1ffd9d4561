"""The contents of a node's folder: found, hashed, watched, remembered."""
