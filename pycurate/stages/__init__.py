"""The pipeline: PARTITION, EMBED, SCORE, DEDUP, DECIDE, WRITE, REPORT. A stage imports no other stage."""
