"""What of a tree is wanted, and where its bytes lie. Pure."""
