"""Real processes under faults that are drawn from a seed: networks, holders, kills, and a soak."""
