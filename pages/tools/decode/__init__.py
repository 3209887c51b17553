"""Measure decoding: a run on this host, its result and the runs before."""
