"""Before a run: what the input holds, and what a run will take."""
