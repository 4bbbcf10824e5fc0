"""After a run: why samples were kept or dropped, and choosing anew."""
