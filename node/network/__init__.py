"""A node's sockets and threads: what serves, a fetch's links, the session with the tracker."""
