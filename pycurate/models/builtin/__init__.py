"""The encoders and scorers that come with pycurate."""
