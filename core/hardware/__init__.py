"""The accelerators that people have: memory, bandwidth and rate, each figure with its source."""
