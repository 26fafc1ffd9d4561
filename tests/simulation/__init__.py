"""The product's state machines on virtual hosts: one seed decides everything, without sockets."""
