"""Tests of core.models.gguf."""
