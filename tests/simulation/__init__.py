"""The product's machines on virtual hosts: one seed decides everything, no socket is opened."""
