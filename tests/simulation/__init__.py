"""The machines of the product on virtual hosts: one seed decides everything, no socket is opened."""
