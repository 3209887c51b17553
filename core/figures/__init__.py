"""Pictures: rows first, then Altair layers, summed at the end."""

# Altair asks sys.modules for pandas while it builds a chart, and breaks on one that another visitor's thread has half
# loaded. Loading it here, once and whole, before any picture is drawn, leaves no such moment.
import pandas  # noqa: F401
