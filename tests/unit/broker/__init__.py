"""The tracker, step by step, without sockets and without waiting."""
