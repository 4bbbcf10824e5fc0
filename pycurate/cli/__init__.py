"""The command `pycurate`: a module for each of its words."""
