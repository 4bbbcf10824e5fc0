"""The folder that stages share."""
