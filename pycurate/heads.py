"""Heads that score CLIP embeddings."""

HEADS: tuple = ()
