"""The ideas beside GQA that spare the same cache: paging, eviction, fewer bits, and a latent."""
