"""A thing's bytes while they arrive, until the rename."""
