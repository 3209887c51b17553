"""What a named engine takes for a ModelSpec's cache, to the byte that its log says."""
