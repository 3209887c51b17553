"""Size: a serving job and what fits."""
