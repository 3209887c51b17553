"""Altair as our pictures use it: each is held against Vega-Lite's schema once, whole, when it is written.

Altair looks at every part when it is made too, and again with each part that takes it up: a tenth to a fifth of
the time of drawing.
"""

import altair as alt
from altair.utils import schemapi

schemapi.disable_debug_mode()

__all__ = ["alt"]
