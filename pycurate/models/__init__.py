"""What scores and embeds."""
