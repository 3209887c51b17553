"""Keeps the height of a picture while the browser draws it, so that what follows does not move.

A container's name is all that a page may say about its style, so the name says the height: 340 px is '-a3-b4-c0-', of
which the style sheet adds up the parts. A style element beside each picture would do as well, but the browser works
out the style of the whole page anew whenever one comes (benchmarks/interface.md).
"""

from collections.abc import Mapping
from typing import Any

TALLEST_PX = 9999


def name_part(spec: Mapping[str, Any]) -> str:
    """What a Vega-Lite spec adds to the name of its container; nothing where it gives its view no height in pixels."""
    height_px = spec.get("height")
    if not isinstance(height_px, int | float) or not ("layer" in spec or "mark" in spec):
        return ""
    hundreds, rest = divmod(min(round(height_px), TALLEST_PX), 100)
    return f"-a{hundreds}-b{rest // 10}-c{rest % 10}-"


def style_sheet() -> str:
    """The rules that add the parts up, times how much larger a walk (--picture) or a room (--room) draws pictures."""
    sizes = {"a": (100, TALLEST_PX // 100), "b": (10, 9), "c": (1, 9)}
    parts = [
        f'[class*="-{part}{count}-"]{{--{part}:{count * px}px}}'
        for part, (px, most) in sizes.items()
        for count in range(most + 1)
    ]
    whole = "calc((var(--a) + var(--b) + var(--c)) * var(--picture, var(--room, 1)))"
    nested = f"{''.join(f'&{part}' for part in parts)}> :last-child{{min-height:{whole}}}"
    return f'[class*="st-key-picture_"][class*="-c"]{{{nested}}}'
