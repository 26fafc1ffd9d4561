"""Which request is answered, and when; what to announce. Pure."""
