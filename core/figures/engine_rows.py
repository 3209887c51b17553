"""What each engine takes for one request, as bars beside the payload, how many it serves, and why in a phrase."""

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from core.figures.drawing import alt
from core.figures.marks import Picture, boxes, lines, with_room_for_names, words
from core.figures.palette import Palette
from core.serving.engine_words import NAMES, EngineRow
from core.serving.job import PAYLOAD
from core.units import format_bytes

LEFT, RIGHT = 0.14, 0.60
ROW_PX = 54
MOST_CHARACTERS = 118  # of a phrase: what a window of 1,280 pixels shows in one line
NARROW_PX, MOST_NARROW = 760, 46  # below it, as on a phone and in a paper's column, requests stand in its place
NAMES_PX = 100  # the longest engine's name in bold
OF_WHAT = " its keys and values"


def engines_chart(rows: Sequence[EngineRow], colours: Palette) -> Picture:
    """A row an engine: its bar, in longer ones a tick where the payload ends, bytes, requests and the reason below."""
    most = max((row.request_bytes or 0 for row in rows), default=0) or 1
    payload = next((row.request_bytes for row in rows if row.engine == PAYLOAD and row.request_bytes), None)
    bars: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    ticks: list[dict[str, Any]] = []
    where = LEFT + (RIGHT - LEFT) * (payload or 0) / most
    texts: dict[str, list[dict[str, Any]]] = {"names": [], "figures": [], "requests": [], "reasons": []}
    for place, row in enumerate(rows):
        top, deep = place / len(rows), 1 / len(rows)
        middle, below = top + 0.34 * deep, top + 0.76 * deep
        texts["names"].append({"x": LEFT - 0.012, "y": middle, "text": NAMES[row.engine]})
        short = f"{_requests(row)} at once" if _requests(row) else shorten(row.refusal, MOST_NARROW, placeholder=" …")
        texts["reasons"].append({"x": LEFT, "y": below, "text": phrase(row), "short": short})
        if row.request_bytes is None:
            continue
        end = LEFT + (RIGHT - LEFT) * row.request_bytes / most
        bar = {"left": LEFT, "right": end, "top": top + 0.14 * deep, "bottom": top + 0.54 * deep}
        (own if row.engine == PAYLOAD else bars).append(bar)
        if row.engine != PAYLOAD and payload and row.request_bytes > payload:  # beside a shorter bar stands its figure
            ticks.append({"x": where, "x2": where, "y": top + 0.08 * deep, "y2": top + 0.6 * deep})
        figure = _figure(row)
        texts["figures"].append({"x": end + 0.01, "y": middle, "text": figure, "short": figure.removesuffix(OF_WHAT)})
        texts["requests"].append({"x": 1.0, "y": middle, "text": _requests(row), "short": ""})
    layers = [
        boxes(bars, colours.cache) if bars else None,
        boxes(own, colours.reserve) if own else None,
        lines(ticks, colours.text, width=2) if ticks else None,
        words(texts["names"], colours.text, 13, align="right", bold=True),
        words(texts["figures"], colours.text, 12, align="left", narrow_px=NARROW_PX) if texts["figures"] else None,
        words(texts["requests"], colours.text, 13, align="right", bold=True, narrow_px=NARROW_PX)
        if texts["requests"]
        else None,
        words(texts["reasons"], colours.muted, 12, align="left", narrow_px=NARROW_PX),
    ]
    drawn = alt.layer(*(layer for layer in layers if layer is not None))
    drawn = with_room_for_names(drawn, NAMES_PX, LEFT - 0.012)
    return drawn.properties(width="container", height=ROW_PX * max(len(rows), 1))


def phrase(row: EngineRow) -> str:
    """The reason, or the refusal, in one line of the picture."""
    return shorten(row.refusal or row.reason, MOST_CHARACTERS, placeholder=" …")


def _figure(row: EngineRow) -> str:
    taken = format_bytes(row.request_bytes or 0)
    own = row.times_payload is None or row.engine == PAYLOAD
    return taken if own else f"{taken}, {row.times_payload:,.3g} ×{OF_WHAT}"


def _requests(row: EngineRow) -> str:
    return f"{row.requests:,} request{'s' if row.requests != 1 else ''}" if row.requests is not None else ""


def engines_sentence(rows: Sequence[EngineRow], context_length: int) -> str:
    """Who serves most and who fewest; the line of the picture is the payload."""
    served = [row for row in rows if row.engine != PAYLOAD and row.requests is not None]
    said = f"Engines side by side: one request of {context_length:,} tokens as each takes it; a tick marks the payload."
    if not served:
        return said
    most, least = max(served, key=lambda row: row.requests or 0), min(served, key=lambda row: row.requests or 0)
    if most.requests == least.requests:
        return f"{said} All of them serve {_requests(most)} at once."
    fewest = f"{NAMES[least.engine]}, {least.requests:,}"
    return f"{said} Most at once: {NAMES[most.engine]}, {_requests(most)}; fewest: {fewest}."


def engines_alt_text(rows: Sequence[EngineRow]) -> str:
    """The same in words."""
    said = [f"{NAMES[row.engine]}: {row.refusal or f'{_figure(row)}, {_requests(row)}, {row.reason}'}" for row in rows]
    return f"What each engine takes for one request. {'; '.join(said)}."
