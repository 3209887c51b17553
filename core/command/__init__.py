"""Headroom from a shell: the same answers as the pages, as text or as JSON."""
