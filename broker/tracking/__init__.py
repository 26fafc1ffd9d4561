"""Who holds what, and who publishes: the tracker's rules. Pure."""
