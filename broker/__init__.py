"""The tracker's process: who holds what, and the ROUTER socket that answers for it."""
