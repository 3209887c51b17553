"""Models side by side: bytes per token as bars, what a sequence keeps as lines, every layer as a strip.

Rows come from core.figures.comparison. Each mark carries its own label with its kind in words, so no legend has to be
decoded and nothing is told by colour alone; one colour a kind.
"""

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from core.figures.comparison import kib
from core.figures.drawing import alt
from core.figures.marks import where_they_fit, words_px
from core.figures.palette import Palette, mixed

_INK = alt.Color("ink:N", scale=None, legend=None)
BAR_HEIGHT = 30
NARROW_PX = 360  # of the bars alone, as on a phone upright: there the labels say less
AXIS_HEIGHT = 52  # px under the bars: ticks, labels, title
STRIP_HEIGHT = 36
LINES_HEIGHT = 430
LABEL_GAP = 17  # pixels between the labels at the end of two lines
NAMES_SHARE = 0.24  # room for names left of the strips, in strip lengths; on a phone and in a paper more
NAME_LIMIT_PX = 200
KINDS = ("MHA", "GQA", "MQA", "MLA", "recurrent", "shared", "none")
FLOOR = 0.88  # where the cells of a strip stand, in strip heights
HEIGHT_KEPT = {"all": 0.8, "window": 0.45, "state": 0.16, "shared": 0.16, "nothing": 0.05}

Row = dict[str, Any]


def bytes_chart(rows: Sequence[Row], colours: Palette, *, ghosts: bool = False) -> alt.LayerChart | alt.FacetChart:
    """Cache bytes per token, one bar a model in the order of rows; ghosts shows what MHA would keep behind each.

    The end of a bar is paler where it is index keys or compressed entries.
    """
    values = [
        {
            **row,
            "kib": row["bytes"] / 1024,
            "own": (row["bytes"] - row["beside_bytes"]) / 1024,
            "end": max(row["bytes"], row["mha_bytes"] if ghosts else 0) / 1024,
            "says": row["label"] + (f" · MHA: {kib(row['mha_bytes'])}" if ghosts and _saves(row) else ""),
            "short": row["label"].partition(",")[0],
        }
        for row in rows
    ]
    longest = max([row["end"] for row in values], default=1) or 1
    room = longest * (1.9 if ghosts else 1.36)  # for the words at the end of the longest bar
    on_a_phone = f"width < {NARROW_PX} ? {1.75 * longest} : {room}"
    x_scale = alt.Scale(domain=[0, alt.ExprRef(on_a_phone)], nice=False)
    axis = alt.Axis(grid=True, values=_ticks(longest), format=",.0f")
    x = alt.X("kib:Q", title="KiB per token, 16-bit cache", scale=x_scale, axis=axis)
    end = alt.X("end:Q", scale=x_scale)
    y_axis = alt.Axis(ticks=False, domain=False, labelFontSize=14, labelPadding=8)
    y = alt.Y("model:N", sort=[row["model"] for row in rows], title=None, axis=y_axis)
    base = alt.Chart(alt.Data(values=values)).encode(y=y)
    hover = [alt.Tooltip("model:N"), alt.Tooltip("label:N", title="keeps"), alt.Tooltip("layers:N")]
    bars = base.mark_bar(height={"band": 0.72}, cornerRadiusEnd=3)
    return alt.layer(
        bars.encode(x=end, color=alt.value(colours.ghost), tooltip=hover),
        bars.encode(x=x, color=_kinds(colours), tooltip=hover),
        *_ends(base, values, x_scale, colours),
        base.mark_text(align="left", dx=8, fontSize=14, fontWeight=600).encode(
            x=end, text=alt.value(alt.ExprRef(f"width < {NARROW_PX} ? datum.short : datum.says"))
        ),
    ).properties(height=BAR_HEIGHT * len(values) + AXIS_HEIGHT)


def _ends(base: alt.Chart, values: Sequence[Row], x_scale: alt.Scale, colours: Palette) -> list[alt.Chart]:
    """The part of each bar that is kept beside keys and values, what it is on hover; none where no model has any."""
    if not any(row["beside_bytes"] for row in values):
        return []
    hover = [alt.Tooltip("model:N"), alt.Tooltip("beside:N", title="of these")]
    paler = _faded(base.transform_filter("datum.beside_bytes > 0"), colours, 0.5).mark_bar(
        height={"band": 0.72}, cornerRadiusEnd=3, stroke=mixed(colours.line, colours.background, 0.5), strokeWidth=1
    )
    return [paler.encode(x=alt.X("own:Q", scale=x_scale), x2="kib:Q", color=_INK, tooltip=hover)]


def _saves(row: Row) -> bool:
    saves: bool = row["mha_bytes"] > row["bytes"]
    return saves


def _ticks(longest: float) -> list[float]:
    """Five or so round values from 0 to longest."""
    step = 10 ** math.floor(math.log10(longest)) if longest >= 1 else 1
    step = next(step * part for part in (0.2, 0.5, 1, 2) if longest / (step * part) <= 6)
    return [step * index for index in range(int(longest / step) + 1)]


def context_chart(rows: Sequence[Row], colours: Palette) -> alt.LayerChart | alt.FacetChart:
    """What one sequence keeps against its context, both axes logarithmic; each line ends in its name."""
    contexts = [row["context"] for row in rows]
    first, last = min(contexts), max(contexts)
    lowest, highest = min(row["bytes"] for row in rows), max(row["bytes"] for row in rows)
    ticks = [4**power for power in range(4, 11)]
    x_axis = alt.Axis(
        values=ticks, labelExpr="format(datum.value, ',')", title="tokens in the sequence",
        labelOverlap="greedy", labelSeparation=6,  # on a phone
    )  # fmt: skip
    room = f"{last} * (width < {NARROW_PX} ? {2**5.6:.1f} : {2**4.2:.1f})"  # for the names behind the lines
    x_scale = alt.Scale(type="log", base=2, domain=[first, alt.ExprRef(room)], nice=False)
    x = alt.X("context:Q", scale=x_scale, axis=x_axis)
    y_scale = alt.Scale(type="log", base=2, domain=[lowest / 1.4, highest * 1.4], nice=False)
    powers = range(math.floor(math.log2(lowest)), math.ceil(math.log2(highest)) + 1)
    sizes = [2**power for power in powers if power % (4 if len(powers) > 14 else 2) == 0]
    y_axis = alt.Axis(values=sizes, labelExpr=_binary_expression(), title="KV cache and state of one sequence")
    base = alt.Chart(alt.Data(values=list(rows)))
    hover = [alt.Tooltip("model:N"), alt.Tooltip("context:Q", format=","), alt.Tooltip("bytes:Q", format=",")]
    lines = base.mark_line(strokeWidth=2.5, interpolate="linear").encode(
        x=x, y=alt.Y("bytes:Q", scale=y_scale, axis=y_axis), color=_kinds(colours), detail="model:N", tooltip=hover
    )
    ends = alt.Chart(alt.Data(values=end_labels(rows)))
    leaders = (
        _faded(ends, colours, 0.7)
        .mark_rule(strokeWidth=1)
        .encode(x=x, x2="name_at:Q", y=alt.Y("bytes:Q", scale=y_scale), y2="at:Q", color=_INK)
    )
    named = alt.value(alt.ExprRef(f"width < {NARROW_PX} ? datum.model : datum.named"))
    small = alt.ExprRef(f"width < {NARROW_PX} ? 11 : 13")
    names = ends.mark_text(align="left", dx=5, fontSize=small, fontWeight=600, limit=260).encode(
        x=alt.X("name_at:Q", scale=x_scale), y=alt.Y("at:Q", scale=y_scale), text=named, color=_kinds(colours)
    )
    return alt.layer(lines, leaders, names).properties(height=LINES_HEIGHT)


def end_labels(rows: Sequence[Row]) -> list[Row]:
    """The last point of each line with `at`, the height of its name: moved apart so that no two names overlap."""
    last = max(row["context"] for row in rows)
    ends = sorted((row for row in rows if row["context"] == last), key=lambda row: -row["bytes"])
    top = math.log(max(row["bytes"] for row in rows) * 1.4)
    gap = (top - math.log(min(row["bytes"] for row in rows) / 1.4)) * LABEL_GAP / LINES_HEIGHT
    heights = [math.log(row["bytes"]) for row in ends]
    for _ in range(200):
        for index, (above, below) in enumerate(pairwise(heights)):
            push = max(0.0, gap - (above - below)) / 2
            heights[index] += push
            heights[index + 1] -= push
    highest = top
    for index, height in enumerate(heights):  # none above the frame: then all below it give way
        heights[index] = highest = min(height, highest - gap / 2 if index == 0 else highest - gap)
    return [
        {**row, "at": math.exp(height), "name_at": last * 1.5, "named": f"{row['model']} · {row['word']}"}
        for row, height in zip(ends, heights, strict=True)
    ]


def layers_chart(layers: Sequence[Row], runs: Sequence[Row], colours: Palette) -> alt.LayerChart | alt.FacetChart:
    """A strip a model, a cell a layer: full height keeps the whole context, half a window, a sliver only a state."""
    order = list(dict.fromkeys(row["model"] for row in layers))
    places = {model: index for index, model in enumerate(order)}
    cells = [{**row, **_cell(places[row["model"]], row["kept"])} for row in layers]
    labels = [
        {**row, "place": places[row["model"]] + _label_place(row["kept"]), **_plate(places[row["model"]], row)}
        for row in runs
        if row["label"]
    ]
    names_share = _names_share(order)
    x_scale = alt.Scale(domain=[alt.ExprRef(f"-{names_share}"), 1.0], nice=False)
    y_scale = alt.Scale(domain=[0, len(order)], reverse=True, nice=False)
    x, y = alt.X("left:Q", scale=x_scale, axis=None), alt.Y("top:Q", scale=y_scale, axis=None)
    box = {"x": x, "x2": "right:Q", "y": y, "y2": "bottom:Q", "color": _kinds(colours)}
    hover = [alt.Tooltip("model:N"), alt.Tooltip("layer:Q"), alt.Tooltip("words:N", title="keeps")]
    drawn = alt.Chart(alt.Data(values=cells)).mark_rect(stroke=colours.background, strokeWidth=1)
    strip = f"width / (1 + {names_share})"
    half = f"min(datum.share / 2, {words_px('datum.label', 12)} / 2 / ({strip}))"
    text = alt.Chart(alt.Data(values=labels)).transform_calculate(
        left=f"datum.centre - {half}", right=f"datum.centre + {half}"
    )
    text = text.transform_filter(where_they_fit("label", f"datum.share / (1 + {names_share})", 12))
    words = text.encode(x=alt.X("centre:Q", scale=x_scale), y=alt.Y("place:Q", scale=y_scale), text="label:N")
    filled = "datum.kept == 'all' || datum.kept == 'window'"
    names = alt.Chart(alt.Data(values=[{"model": model, "place": index + 0.5} for model, index in places.items()]))
    return alt.layer(
        drawn.encode(**box, tooltip=hover),
        text.transform_filter(filled).mark_rect().encode(**box),  # a plate, so that no cell border crosses the words
        words.transform_filter(filled).mark_text(color=colours.on_fill, fontWeight=600, fontSize=12),
        words.transform_filter(f"!({filled})").mark_text(color=colours.text, fontSize=12),
        names.mark_text(align="left", fontSize=14, limit=NAME_LIMIT_PX).encode(
            x=alt.value(0), y=alt.Y("place:Q", scale=y_scale), text="model:N"
        ),
    ).properties(height=STRIP_HEIGHT * len(order))


def _names_share(names: Sequence[str]) -> str:
    """A Vega expression: NAMES_SHARE, or what the longest name needs where the strips are short."""
    longest = min(7.8 * max(map(len, names), default=0), NAME_LIMIT_PX) + 10
    return f"max({NAMES_SHARE}, {longest:.0f} / max(width - {longest:.0f}, 1))"


def _cell(place: int, kept: str) -> Row:
    if kept == "beside":  # the state of a mixer that runs beside the attention of the same layer
        return {"top": place + FLOOR, "bottom": place + 0.98}
    return {"top": place + FLOOR - HEIGHT_KEPT[kept], "bottom": place + FLOOR}


def _label_place(kept: str) -> float:
    height = HEIGHT_KEPT[kept]
    return FLOOR - height / 2 if height > 0.3 else FLOOR - height - 0.22


def _plate(place: int, row: Row) -> Row:
    cell = _cell(place, row["kept"])  # inset by half the line around a cell, so that it is no taller than one
    inset = 0.5 / STRIP_HEIGHT
    return {"top": cell["top"] + inset, "bottom": cell["bottom"] - inset}


def _kinds(colours: Palette) -> alt.Color:
    """One colour a kind; what keeps nothing of its own is drawn as a line, not as a colour."""
    hues = _hues(colours)
    return alt.Color("kind:N", scale=alt.Scale(domain=list(hues), range=list(hues.values())), legend=None)


def _hues(colours: Palette) -> dict[str, str]:
    plain = {"shared": colours.line, "none": colours.line}
    return {kind: plain.get(kind, colours.kind(kind)) for kind in KINDS}


def _faded(chart: alt.Chart, colours: Palette, share: float) -> alt.Chart:
    """The chart whose rows have an `ink`: their kind's colour, faded to that share."""
    faded = {kind: mixed(hue, colours.background, share) for kind, hue in _hues(colours).items()}
    return chart.transform_calculate(ink=f"{json.dumps(faded)}[datum.kind]")


def _binary_expression() -> str:
    """A Vega expression that writes a power of two as people do: 512 KiB, 4 GiB."""
    steps = ["datum.value < 1024 ? datum.value + ' B'"]
    for power, (unit, above) in enumerate([("KiB", "MiB"), ("MiB", "GiB"), ("GiB", "TiB"), ("TiB", "")], start=1):
        written = f"format(datum.value / {1024**power}, ',') + ' {unit}'"
        steps.append(f"datum.value < {1024 ** (power + 1)} ? {written}" if above else written)
    return " : ".join(steps)
