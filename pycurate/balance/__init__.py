"""Which of the samples that could be kept are kept, so that no part of the set outweighs the others."""
