"""Curation of image and image-text training sets kept as WebDataset tar shards."""

__version__ = "0.1.0"
