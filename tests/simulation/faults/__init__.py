"""Whole nodes and trackers in virtual time, with every fault drawn from one seed."""
