"""Which images are the same."""
