"""What is in a node's folder, or linked to it: found, hashed, watched, remembered."""
