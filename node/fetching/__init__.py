"""One fetch, from its name to its last chunk: events in, actions out. Pure."""
