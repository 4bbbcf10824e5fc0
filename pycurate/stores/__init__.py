"""Shards in object stores and on web servers: their addresses, what a store says of them, and their bytes."""
