"""Choosing a threshold by a person's answers to a sample of pairs or images: the sample, its page, what it tells."""
