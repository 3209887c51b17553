"""The three layouts drawn stroke by stroke, so that a person could redraw them.

The rows are core.figures.layouts'; a picture shows as much of them as the strokes have come to.
"""

from dataclasses import dataclass
from typing import Any

from core.figures.drawing import alt
from core.figures.layouts import KV_BOTTOM, KV_TOP, QUERY_BOTTOM, QUERY_TOP, kv_rows, line_rows, query_rows, slots
from core.figures.lessons import Picture, Row, data, label, made
from core.figures.palette import Palette
from core.models.head_sharing import Layout


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """What one stroke adds, by number from 0: pairs of KV heads, lines from query heads; and what it says."""

    says: str
    queries: bool = False
    bands: bool = False
    pairs: tuple[int, ...] = ()
    lines: tuple[int, ...] = ()
    result: bool = False


def strokes(layout: Layout) -> tuple[Stroke, ...]:
    """The strokes of a layout in order."""
    h, g, size = layout.num_query_heads, layout.num_kv_heads, layout.group_size
    found = [Stroke(says=f"A row of {h} query heads.", queries=True)]
    if layout.kind == "MQA":
        found.append(Stroke(says="One pair of key and value, in the middle.", pairs=(0,)))
        found += [Stroke(says=f"A line from query head {q + 1} to the one pair.", lines=(q,)) for q in range(h)]
    elif layout.kind == "MHA":
        found += [
            Stroke(says=f"A pair under query head {q + 1}, and a line to it.", pairs=(q,), lines=(q,)) for q in range(h)
        ]
    else:
        found.append(Stroke(says=f"The row cut into {g} runs of {size}.", bands=True))
        for group in range(g):
            found.append(Stroke(says=f"A pair under run {group + 1}.", pairs=(group,)))
            heads = tuple(range(group * size, (group + 1) * size))
            found.append(Stroke(says=f"Lines from its {size} query heads to it.", lines=heads))
    pairs = "1 pair" if g == 1 else f"{g} pairs"
    kept = f"What is kept: {pairs} a token and layer, {layout.kv_bytes_per_token_and_layer:,} bytes with head_dim 128."
    return (*found, Stroke(says=kept, result=True))


def drawn(colours: Palette, *, num_query_heads: int, num_kv_heads: int, strokes_made: int) -> Picture:
    """The layout after that many strokes. Raises LayoutError for a shape that cannot be."""
    layout = Layout(num_query_heads=num_query_heads, num_kv_heads=num_kv_heads)
    all_strokes = strokes(layout)
    done = all_strokes[: max(1, min(strokes_made, len(all_strokes)))]
    pairs = {pair for stroke in done for pair in stroke.pairs}
    lines = {line for stroke in done for line in stroke.lines}
    fresh = done[-1]
    layers: list[Any] = [_boxes(query_rows(layout), QUERY_TOP, QUERY_BOTTOM, colours.queries, "label", colours)]
    if any(stroke.bands for stroke in done):
        layers.insert(0, _bands(layout, colours))
    all_lines = line_rows(layout)
    if lines:
        layers.append(_lines([all_lines[number] for number in sorted(lines)], colours, set(fresh.lines), all_lines))
    both = kv_rows(layout)
    shown = [row for row in both if row["group"] in pairs]
    if shown:
        layers.append(_boxes(shown, KV_TOP, KV_BOTTOM, colours.keys_values, "letter", colours))
    last: list[Row] = [{"x": 0.5, "text": f"G = {layout.num_kv_heads} of H = {layout.num_query_heads}: {layout.kind}"}]
    if fresh.result:
        words = label(last, colours.text, fontSize=24, fontWeight="bold")
        layers.append(words.encode(x=_x("x"), y=_y(0.86)))
    else:
        blank: list[Row] = [{"x": 0.5, "text": " "}]
        layers.append(label(blank, colours.text, fontSize=24).encode(x=_x("x"), y=_y(0.86)))
    sentence = f"Stroke {len(done)} of {len(all_strokes)}: **{fresh.says}**"
    alt_text = f"{layout.kind}, drawn so far: " + " ".join(stroke.says for stroke in done)
    return made(alt.layer(*layers).properties(height=330), sentence, alt_text)


def _bands(layout: Layout, colours: Palette) -> alt.Chart:
    rows: list[Row] = [{"left": s.left + 0.004, "right": s.right - 0.004} for s in slots(layout)]
    return _rects(rows, 0.03, KV_BOTTOM + 0.06).mark_rect(color=colours.panel, stroke=colours.line, cornerRadius=8)


def _boxes(rows: list[Row], top: float, bottom: float, hue: str, field: str, colours: Palette) -> Any:
    boxes = _rects(rows, top, bottom).mark_rect(color=hue, cornerRadius=4)
    narrow = min(row["right"] - row["left"] for row in rows)  # of the width; a number of two digits must fit
    words = alt.Chart(data(rows)).mark_text(
        color=colours.on_fill, fontSize=max(7, min(15, round(300 * narrow))), fontWeight="bold"
    )
    return alt.layer(boxes, words.encode(x=_x("centre"), y=_y((top + bottom) / 2), text=f"{field}:N"))


def _lines(rows: list[Row], colours: Palette, fresh: set[int], all_lines: list[Row]) -> alt.Chart:
    marked: list[Row] = [{**row, "wide": 4.0 if all_lines.index(row) in fresh else 2.0} for row in rows]
    width = alt.StrokeWidth("wide:Q", scale=None)
    return alt.Chart(data(marked)).mark_rule(color=colours.line).encode(
        x=_x("centre"), x2="target:Q", y=_y(QUERY_BOTTOM + 0.01), y2=alt.Y2Datum(KV_TOP - 0.01), strokeWidth=width
    )  # fmt: skip


def _rects(rows: list[Row], top: float, bottom: float) -> alt.Chart:
    return alt.Chart(data(rows)).encode(x=_x("left"), x2="right:Q", y=_y(top), y2=alt.Y2Datum(bottom))


def _x(field: str) -> alt.X:
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=None)


def _y(value: float) -> alt.YDatum:
    return alt.YDatum(value, scale=alt.Scale(domain=[0, 1], reverse=True, nice=False), axis=None)


PICTURES = {"drawn": drawn}
