"""ZeroMQ sockets as they must be set up. Knows the messages' bytes, not what follows from them."""
