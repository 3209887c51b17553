"""Pictures: rows first, then Altair layers, summed at the end."""
