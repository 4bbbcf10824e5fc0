"""What a sample must be to stay."""
