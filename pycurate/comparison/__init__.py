"""Scores that compare a sample with others: with captions, with a set of images, with what words or examples show."""
