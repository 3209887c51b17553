"""One attention layout as a picture: query heads, KV heads, who reads whom, and the cache to scale under MHA's.

Rows first (pure geometry on a 1 x 1 plane), then Altair layers, summed at the end. Every head is drawn up to
MAX_HEADS_DRAWN; beyond that each group is one block with its count, and beyond MAX_GROUPS_DRAWN groups the middle ones
become one block that says how many they are. Numbers and letters appear only where they are legible.
"""

from dataclasses import dataclass
from typing import Any

from core.figures.drawing import alt
from core.figures.palette import Palette, mixed
from core.models.head_sharing import Layout, alt_text

MAX_HEADS_DRAWN = 128
MAX_GROUPS_DRAWN = 16
BLOCK_LINES = 9
NARROW_PX = 600  # below this the words get shorter
BAND_SHARE, LINE_SHARE = 0.10, 0.75  # of a hue, on the page's background
ROOM_FOR_COUNT_PX = 92  # what "16 query heads" takes

Row = dict[str, Any]

# Vertical plan in units of the picture's height, top to bottom.
COUNT_Y = 0.03
QUERY_TOP, QUERY_BOTTOM = 0.07, 0.21
KV_TOP, KV_BOTTOM = 0.50, 0.64
CAPTION_Y = 0.76
STRIP_TOP, STRIP_BOTTOM = 0.80, 0.90
FIGURE_Y = 0.965


@dataclass(frozen=True)
class Slot:
    """A column of the picture: one group, or a run of groups too many to draw."""

    left: float
    right: float
    group: int | None  # None: a run of undrawn groups
    heads: int  # query heads in it
    groups: int = 1

    @property
    def centre(self) -> float:
        return (self.left + self.right) / 2


def slots(layout: Layout) -> list[Slot]:
    """The columns, left to right; widths in units of the picture's width."""
    g, size = layout.num_kv_heads, layout.group_size
    if layout.num_query_heads <= MAX_HEADS_DRAWN or g <= MAX_GROUPS_DRAWN:
        return [Slot(i / g, (i + 1) / g, i, size) for i in range(g)]
    shown = MAX_GROUPS_DRAWN
    first, last = shown - 5, 2  # the rest of the width goes to the run between them
    cells = [(i, 1) for i in range(first)] + [(None, 3)] + [(g - last + i, 1) for i in range(last)]
    total, left, result = sum(width for _, width in cells), 0, []
    for group, width in cells:
        hidden = g - first - last
        count = size if group is not None else hidden * size
        result.append(Slot(left / total, (left + width) / total, group, count, 1 if group is not None else hidden))
        left += width
    return result


def query_rows(layout: Layout) -> list[Row]:
    """One rectangle a query head, or a group's block where there are too many heads."""
    rows: list[Row] = []
    for slot in slots(layout):
        drawn = slot.heads if layout.num_query_heads <= MAX_HEADS_DRAWN and slot.group is not None else 1
        pad = 0.04 * (slot.right - slot.left)
        width = (slot.right - slot.left - 2 * pad) / drawn
        for i in range(drawn):
            left = slot.left + pad + i * width
            gap = 0.06 * width
            head = (slot.group or 0) * layout.group_size + i
            rows.append(
                {
                    "left": left + gap,
                    "right": left + width - gap,
                    "centre": left + width / 2,
                    "label": str(head + 1) if drawn == slot.heads else _block_label(slot),
                    "group": slot.group if slot.group is not None else -1,
                    "heads": slot.heads // drawn,
                    "target": slot.centre,
                    "says": _query_says(layout, slot, head, drawn),
                }
            )
    return rows


def kv_rows(layout: Layout) -> list[Row]:
    """A key and a value rectangle for each KV head, centred under the query heads that read it."""
    rows: list[Row] = []
    for slot in slots(layout):
        half = min(0.42 * (slot.right - slot.left), 0.034)
        for letter, left, right in (("K", slot.centre - half, slot.centre), ("V", slot.centre, slot.centre + half)):
            gap = 0.04 * half
            rows.append(
                {
                    "left": left + gap,
                    "right": right - gap,
                    "centre": (left + right) / 2,
                    "letter": letter if slot.group is not None else "…",
                    "group": slot.group if slot.group is not None else -1,
                    "says": _kv_says(layout, slot, letter),
                }
            )
    return rows


def strip_rows(layout: Layout) -> list[Row]:
    """The cache of MHA as H cells; the G that this layout keeps are filled, the others are what it saves."""
    h, g = layout.num_query_heads, layout.num_kv_heads
    gap = 0.08 / h
    return [{"left": i / h + gap, "right": (i + 1) / h - gap, "kept": "kept" if i < g else "saved"} for i in range(h)]


def figure_text(layout: Layout, short: bool = False) -> str:
    """The line under the strip; `short` where the picture stands in a narrow column."""
    kept = f"{layout.kv_bytes_per_token_and_layer:,} B"
    if layout.kind == "MHA":
        return f"{kept} · saves nothing" if short else f"{kept} · every query head keeps its own pair"
    whole = layout.with_kv_heads(layout.num_query_heads).kv_bytes_per_token_and_layer
    saved = f"saves {1 - layout.share_of_mha:.1%}"
    return f"{kept} · {saved}" if short else f"{kept} of MHA's {whole:,} B · {saved}"


def layout_chart(layout: Layout, colours: Palette, *, width_px: int = 900, height_px: int = 340) -> alt.LayerChart:
    """The whole picture. width_px is how wide it will stand, to decide which labels are legible.

    The spec is the same for every layout of a width and theme: only its datasets differ. A browser that shows one
    layout is then sent rows alone, and Vega moves what it has drawn instead of building the picture again.
    """
    return (
        alt.layer(_bands(), _lines(), _boxes(), _labels(), datasets=layout_rows(layout, colours, width_px))
        .properties(width="container", height=height_px, background="transparent")
        .configure_view(stroke=None)
    )


def layout_rows(layout: Layout, colours: Palette, width_px: int) -> dict[str, list[Row]]:
    """What each layer of the picture draws, by the layer's name; every row of a layer has the same fields."""
    return {
        "bands": band_rows(layout, colours),
        "lines": [
            {
                **row,
                "colour": mixed(_hue(row, colours), colours.background, LINE_SHARE),
                "stroke": 1.0 if layout.num_query_heads > 40 else 1.8,
            }
            for row in line_rows(layout)
        ],
        "boxes": box_rows(layout, colours),
        "labels": label_rows(layout, colours, width_px),
    }


def band_rows(layout: Layout, colours: Palette) -> list[Row]:
    """A tinted backdrop for each group."""
    pad = 0.0015
    rows: list[Row] = []
    for slot in slots(layout):
        row: Row = {"left": slot.left + pad, "right": slot.right - pad, "group": _group_of(slot)}
        rows.append({**row, "colour": mixed(_hue(row, colours), colours.background, BAND_SHARE)})
    return rows


def line_rows(layout: Layout) -> list[Row]:
    """One line a query head; a block of heads too many to draw sends BLOCK_LINES of them."""
    rows: list[Row] = []
    for row in query_rows(layout):
        span = row["right"] - row["left"]
        starts = [row["centre"]]
        if row["heads"] > 1:
            starts = [row["left"] + span * (i + 0.5) / BLOCK_LINES for i in range(BLOCK_LINES)]
        rows += [{"centre": start, "target": row["target"], "group": row["group"]} for start in starts]
    return rows


def box_rows(layout: Layout, colours: Palette) -> list[Row]:
    """Every rectangle: query heads, keys and values, and the strip of what is kept and what is saved."""
    queries, pairs = query_rows(layout), kv_rows(layout)
    strip = {"kept": colours.cache, "saved": colours.ghost}
    return [
        *(_box(row, QUERY_TOP, QUERY_BOTTOM, colours.queries, 3 if len(queries) <= 40 else 1) for row in queries),
        *(_box(row, KV_TOP, KV_BOTTOM, colours.keys_values, 3 if len(pairs) <= 80 else 1) for row in pairs),
        *(_box(row, STRIP_TOP, STRIP_BOTTOM, strip[row["kept"]], 2) for row in strip_rows(layout)),
    ]


def label_rows(layout: Layout, colours: Palette, width_px: int) -> list[Row]:
    """Every piece of text that is legible at that width."""
    queries, pairs = query_rows(layout), kv_rows(layout)
    short = width_px < NARROW_PX
    caption = "cache per token and layer" if short else "cache kept per token and layer, to scale beside MHA's"
    size_px = 12 if short else 13
    rows = [
        _line_of_text(caption, CAPTION_Y, colours.muted, size_px),
        {**_line_of_text(figure_text(layout, short), FIGURE_Y, colours.text, size_px + 2), "weight": "bold"},
    ]
    rows[1]["spoken"] = alt_text(layout)
    if width_px / len(queries) >= 20:
        middle = (QUERY_TOP + QUERY_BOTTOM) / 2
        rows += [_label(row["centre"], middle, row["label"], colours.on_fill, 13, "bold") for row in queries]
    if width_px * (pairs[0]["right"] - pairs[0]["left"]) >= 12:
        middle = (KV_TOP + KV_BOTTOM) / 2
        rows += [_label(row["centre"], middle, row["letter"], colours.on_fill, 12, "bold") for row in pairs]
    return rows + (_group_counts(layout, colours, width_px) if layout.group_size > 1 else [])


def group_colours(colours: Palette) -> list[str]:
    """The hues that groups take in turn, so that neighbours always differ."""
    return [colours.queries, colours.mha, colours.gqa, colours.mqa]


def _hue(row: Row, colours: Palette) -> str:
    hues = group_colours(colours)
    return hues[max(row["group"], 0) % len(hues)]


def _group_of(slot: Slot) -> int:
    return slot.group if slot.group is not None else -1


def _box(row: Row, top: float, bottom: float, colour: str, round_px: int) -> Row:
    kept = {"left": row["left"], "right": row["right"], "says": row.get("says")}
    return {**kept, "top": top, "bottom": bottom, "colour": colour, "round": round_px}


def _group_counts(layout: Layout, colours: Palette, width_px: int) -> list[Row]:
    """Above each group, how many query heads it has: said in full once the picture, as it stands, has the room."""
    columns = slots(layout)
    size_px = 12 if width_px / len(columns) >= 60 else 10
    rows = []
    for slot in columns:
        row = _label(slot.centre, COUNT_Y, _count_says(slot), colours.muted, size_px)
        short = f"×{slot.heads}" if slot.group is not None else "…"
        rows.append({**row, "short": short, "room": ROOM_FOR_COUNT_PX * len(columns)})
    return rows


def _label(x: float, y: float, text: str, colour: str, size_px: int, weight: str = "normal") -> Row:
    """`short` stands in a picture narrower than `room` pixels; a label that is spoken is read to who cannot see."""
    look = {"colour": colour, "size": size_px, "weight": weight, "align": "center"}
    return {"x": x, "y": y, "text": text, "short": text, "room": 0, "spoken": None, **look}


def _line_of_text(text: str, y: float, colour: str, size_px: int) -> Row:
    return {**_label(0.0, y, text, colour, size_px), "align": "left"}


def _x(field: str) -> alt.X:
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=None)


def _y(field: str) -> alt.Y:
    return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[0, 1], reverse=True, nice=False, zero=False), axis=None)


def _y_at(value: float) -> alt.YDatum:
    return alt.YDatum(value, scale=alt.Scale(domain=[0, 1], reverse=True, nice=False), axis=None)


def _as_it_is(field: str) -> alt.Color:
    return alt.Color(f"{field}:N", scale=None, legend=None)


def _bands() -> alt.Chart:
    chart = alt.Chart(alt.NamedData(name="bands")).mark_rect(cornerRadius=6, aria=False)
    return chart.encode(
        x=_x("left"), x2="right:Q", y=_y_at(0.055), y2=alt.Y2Datum(KV_BOTTOM + 0.03), color=_as_it_is("colour")
    )


def _lines() -> alt.Chart:
    """From the foot of each query head to the KV head that it reads."""
    chart = alt.Chart(alt.NamedData(name="lines")).mark_rule(aria=False)
    return chart.encode(
        x=_x("centre"),
        x2="target:Q",
        y=_y_at(QUERY_BOTTOM + 0.005),
        y2=alt.Y2Datum(KV_TOP - 0.005),
        color=_as_it_is("colour"),
        strokeWidth=alt.StrokeWidth("stroke:Q", scale=None, legend=None),
    )


def _boxes() -> alt.Chart:
    rounded, says = alt.ExprRef("datum.round"), alt.ExprRef("datum.says")
    chart = alt.Chart(alt.NamedData(name="boxes")).mark_rect(cornerRadius=rounded, tooltip=says, aria=False)
    return chart.encode(x=_x("left"), x2="right:Q", y=_y("top"), y2="bottom:Q", color=_as_it_is("colour"))


def _labels() -> alt.Chart:
    chart = alt.Chart(alt.NamedData(name="labels")).mark_text(
        baseline="middle",
        align=alt.ExprRef("datum.align"),
        dx=alt.ExprRef("datum.align == 'left' ? 2 : 0"),
        fontWeight=alt.ExprRef("datum.weight"),
        text=alt.ExprRef("width >= datum.room ? datum.text : datum.short"),
        description=alt.ExprRef("datum.spoken"),
        ariaRoleDescription="picture in words",
    )
    return chart.encode(
        x=_x("x"), y=_y("y"), color=_as_it_is("colour"), size=alt.Size("size:Q", scale=None, legend=None)
    )


def _count_says(slot: Slot) -> str:
    return f"{slot.groups} more groups" if slot.group is None else f"{slot.heads} query heads"


def _block_label(slot: Slot) -> str:
    return f"×{slot.heads}" if slot.group is not None else f"… {slot.heads} more …"


def _query_says(layout: Layout, slot: Slot, head: int, drawn: int) -> str:
    if slot.group is None:
        return f"{slot.heads} query heads in {slot.groups} groups, not drawn one by one"
    if drawn != slot.heads:
        first = slot.group * layout.group_size + 1
        return f"query heads {first} to {first + slot.heads - 1} read KV head {slot.group + 1}"
    return f"query head {head + 1} reads KV head {slot.group + 1}"


def _kv_says(layout: Layout, slot: Slot, letter: str) -> str:
    name = "keys" if letter == "K" else "values"
    if slot.group is None:
        return f"{name} of {slot.groups} KV heads, not drawn one by one"
    readers = "1 query head" if layout.group_size == 1 else f"{layout.group_size} query heads"
    return f"{name} of KV head {slot.group + 1}, read by {readers}"
