"""Pictures of the formula: every factor as cells that fill, the product against a GPU, the sum done step by step."""

from math import ceil
from typing import Any

from core.figures.drawing import alt
from core.figures.lessons import Picture, Row, data, label, made
from core.figures.palette import Palette
from core.hardware.accelerators import find_accelerator
from core.learning.drills import cache_question
from core.models.head_sharing import PRESETS, Layout
from core.units import format_binary, format_both, format_bytes

NARROW_BARS_PX = 300  # of bars alone, as on a phone upright
NARROW_PX = 640  # below it, as on a phone and in a paper's column, the panels' words are short ones
SHORT = {"sequences": "batch", "numbers, 16 a cell": "16 a cell", "1,024 tokens a cell": "1,024 each"}
# factor: (name, unit of one cell, cells in all, columns of the grid)
PANELS = (
    ("2", "key, value", 2, 2),
    ("L", "layers", 80, 8),
    ("G", "KV heads", 64, 8),
    ("head_dim", "numbers, 16 a cell", 16, 4),
    ("bytes", "bytes", 2, 2),
    ("tokens", "1,024 tokens a cell", 128, 16),
    ("sequences", "sequences", 64, 8),
)


def factors(
    colours: Palette, *, num_layers: int, num_kv_heads: int, head_dim: int, width: int, context_length: int, batch: int
) -> Picture:
    """Seven panels of cells, filled as far as each factor goes; under them the product with its numbers."""
    values = (2, num_layers, num_kv_heads, head_dim, width, context_length, batch)
    filled = (2, num_layers, num_kv_heads, ceil(head_dim / 16), width, ceil(context_length / 1024), batch)
    job = (colours.keys_values,) * 5 + (colours.queries,) * 2
    cells: list[Row] = []
    heads: list[Row] = []
    panels = zip(PANELS, values, filled, strict=True)
    for place, ((name, unit, cells_in_all, columns), value, count) in enumerate(panels):
        cells += _grid(place, min(count, cells_in_all), cells_in_all, columns, job[place], colours.ghost)
        short = {"short_text": SHORT.get(name, name), "short_unit": "" if unit == name else SHORT.get(unit, unit)}
        heads.append({"x": place + 0.5, "text": name, "value": f"{value:,}", "unit": unit, **short})
        if place:
            empty = dict.fromkeys(("text", "unit", "short_text", "short_unit"), "")
            heads.append({"x": float(place), "value": "×", **empty})
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, len(PANELS)], nice=False), axis=None)
    y_scale = alt.Scale(domain=[0, 1], reverse=True, nice=False)
    grid = (
        alt.Chart(data(cells))
        .mark_rect(cornerRadius=1)
        .encode(
            x=x, x2="x2:Q", y=alt.Y("y:Q", scale=y_scale, axis=None), y2="y2:Q", color=alt.Color("hue:N", scale=None)
        )
    )
    names = alt.Chart(data(heads)).mark_text(color=colours.text, fontWeight="bold", fontSize=_size(14, 11))
    names = names.encode(x=x, y=alt.YDatum(0.05, scale=y_scale), text=_wide("text"))
    numbers = (
        alt.Chart(data(heads))
        .mark_text(color=colours.text, fontSize=_size(17, 11), fontWeight="bold")
        .encode(x=x, y=alt.YDatum(0.78, scale=y_scale), text="value:N")
    )
    units = (
        alt.Chart(data(heads))
        .mark_text(color=colours.muted, fontSize=11)
        .encode(x=x, y=alt.YDatum(0.87, scale=y_scale), text=_wide("unit"))
    )
    product = 1
    for value in values:
        product *= value
    written = " × ".join(f"{value:,}" for value in values)
    sentence = f"{written} = **{format_both(product)}**"
    alt_text = "Seven grids of cells, filled to each factor's value: " + ", ".join(
        f"{name} {value:,}" for (name, *_), value in zip(PANELS, values, strict=True)
    )
    return made(alt.layer(grid, names, numbers, units).properties(height=225), sentence, f"{alt_text}. {written}.")


def _wide(field: str) -> Any:
    """The words of that field, or their short form where the picture is narrow."""
    return alt.value(alt.ExprRef(f"width < {NARROW_PX} ? datum.short_{field} : datum.{field}"))


def _size(px: int, narrow_px: int) -> alt.ExprRef:
    return alt.ExprRef(f"width < {NARROW_PX} ? {narrow_px} : {px}")


def _grid(place: int, filled: int, cells_in_all: int, columns: int, hue: str, ghost: str) -> list[Row]:
    """Cells of one panel in rows from the top: as many as the control goes to, the filled ones in their colour."""
    lines = ceil(cells_in_all / columns)
    wide, high = 0.76 / columns, 0.56 / lines
    rows: list[Row] = []
    for cell in range(cells_in_all):
        left, top = place + 0.12 + wide * (cell % columns), 0.13 + high * (cell // columns)
        right, bottom = left + 0.88 * wide, top + 0.88 * high
        rows.append({"x": left, "x2": right, "y": top, "y2": bottom, "hue": hue if cell < filled else ghost})
    return rows


def against_memory(colours: Palette, *, cache_bytes: int) -> Picture:
    """The cache as a bar beside the memory of one H100."""
    memory = find_accelerator("h100-sxm").memory_bytes or 0
    widest = max(cache_bytes, memory) / 1e9
    x_scale = alt.Scale(domain=[0, 1.02 * widest], nice=False)
    rows: list[Row] = [
        {"bar": "cache", "gb": cache_bytes / 1e9, "hue": colours.cache},
        {"bar": "one H100", "gb": memory / 1e9, "hue": colours.reserve},
    ]
    y = alt.Y(
        "bar:N", sort=["cache", "one H100"], title=None, axis=alt.Axis(labelFontSize=14, ticks=False, domain=False)
    )
    bars = alt.Chart(data(rows)).mark_bar(height=22, cornerRadiusEnd=3).encode(
        x=alt.X("gb:Q", scale=x_scale, title="GB", axis=alt.Axis(grid=False, tickCount=5)), y=y,
        color=alt.Color("hue:N", scale=None),
    )  # fmt: skip
    times = cache_bytes / memory
    sentence = f"That is **{times:.2g} times** the memory of one H100 ({format_bytes(memory)})."
    alt_text = f"Two bars: the cache {format_both(cache_bytes)}, one H100 {format_both(memory)}."
    return made(bars.properties(height=95), sentence, alt_text)


def by_hand(colours: Palette, *, model: str, context_length: int, batch: int) -> Picture:
    """The product built up factor by factor on a log axis: each bar carries on where the last one ended."""
    layout = {preset.name: preset.layout for preset in PRESETS}[model]
    steps = [
        ("2: key and value", 2 * layout.bytes_per_element, f"× {layout.bytes_per_element} bytes"),
        (f"× head_dim {layout.head_dim}", layout.head_dim, ""),
        (f"× {layout.num_kv_heads} KV heads", layout.num_kv_heads, ""),
        (f"× {layout.num_layers} layers", layout.num_layers, "one token"),
        (f"× {context_length:,} tokens", context_length, "one sequence"),
        (f"× {batch} sequences", batch, "the batch"),
    ]
    steps[0] = (f"2 × {layout.bytes_per_element} bytes", 2 * layout.bytes_per_element, "")
    total = layout.kv_bytes_per_token * context_length * batch
    sentence = f"{model}: {format_binary(layout.kv_bytes_per_token, 0)} a token, **{format_both(total)}** in all."
    return _built_up(colours, steps, sentence)


def ladder(colours: Palette, *, seed: int) -> Picture:
    """The shortcut of the drill on one of its questions: one KV head, all layers, all tokens; then × G and × H."""
    q = cache_question(seed, "sequence")
    head = 2 * q.head_dim * q.bytes_per_element
    steps = [
        ("one KV head, one layer", head, "one token"),
        (f"× {q.num_layers} layers", q.num_layers, "one token"),
        (f"× {q.context_length:,} tokens", q.context_length, "MQA"),
        (f"× G = {q.num_kv_heads}", q.num_kv_heads, "GQA"),
        (f"× H / G = {q.num_query_heads // q.num_kv_heads}", q.num_query_heads // q.num_kv_heads, "MHA"),
    ]
    sentence = (
        f"An example: {q.num_layers} layers, H = {q.num_query_heads}, G = {q.num_kv_heads}, head_dim {q.head_dim}, "
        f"{q.bytes_per_element} {'bytes' if q.bytes_per_element > 1 else 'byte'} a number, {q.context_length:,} tokens."
    )
    return _built_up(colours, steps, sentence)


def _built_up(colours: Palette, steps: list[tuple[str, int, str]], sentence: str) -> Picture:
    rows: list[Row] = []
    running = 1
    for name, factor, reached in steps:
        before, running = running, running * factor
        rows.append({"step": name, "from": before, "to": running, "text": _neat(running), "reached": reached})
    room = alt.ExprRef(f"{running} * (width < {NARROW_BARS_PX} ? 1e12 : 1e6)")  # for words behind the bars
    x_scale = alt.Scale(type="log", domain=[1, room], nice=False)
    order = [row["step"] for row in rows]
    y = alt.Y("step:N", sort=order, title=None, axis=alt.Axis(labelFontSize=14, ticks=False, domain=False))
    x = alt.X("from:Q", scale=x_scale, title="bytes (log scale: equal lengths are equal factors)", axis=_bytes_axis())
    bars = alt.Chart(data(rows)).mark_bar(height=26, color=colours.cache).encode(x=x, x2="to:Q", y=y)
    far: dict[str, Any] = {"x": alt.X("to:Q", scale=x_scale), "y": y}
    ends = label(rows, colours.text, align="left", dx=8, fontWeight="bold", fontSize=15).encode(**far)
    notes = (
        alt.Chart(data(rows))
        .mark_text(color=colours.muted, align="left", dx=80, fontSize=13)
        .encode(**far, text="reached:N")
    )
    alt_text = "Bars on a log axis, each starting where the last ended: " + "; ".join(
        f"{row['step']} gives {row['text']}" for row in rows
    )
    return made(alt.layer(bars, ends, notes).properties(height=44 * len(rows)), sentence, f"{alt_text}.")


def presets(colours: Palette) -> Picture:
    """Cache of one token for real models of very different size, with H and G beside each bar."""
    layouts = sorted(((preset.name, preset.layout) for preset in PRESETS), key=lambda pair: -pair[1].kv_bytes_per_token)
    rows: list[Row] = [
        {
            "model": name,
            "kib": layout.kv_bytes_per_token / 1024,
            "hue": colours.kind(layout.kind),
            "text": f"{_neat(layout.kv_bytes_per_token)} · H = {layout.num_query_heads}, G = {layout.num_kv_heads}",
        }
        for name, layout in layouts
    ]
    x_scale = alt.Scale(domain=[0, 1.9 * rows[0]["kib"]], nice=False)
    y = alt.Y("model:N", sort=[row["model"] for row in rows], title=None, axis=alt.Axis(labelFontSize=14, ticks=False))
    x = alt.X("kib:Q", scale=x_scale, title="KiB a token, 16 bits", axis=alt.Axis(grid=False, tickCount=5))
    bars = (
        alt.Chart(data(rows))
        .mark_bar(height=30, cornerRadiusEnd=3)
        .encode(x=x, y=y, color=alt.Color("hue:N", scale=None))
    )
    ends = label(rows, colours.text, align="left", dx=8, fontSize=14).encode(x=alt.X("kib:Q", scale=x_scale), y=y)
    first, last = layouts[0], layouts[-1]
    sentence = (
        f"**{first[0]}** keeps the most a token and **{last[0]}** the least; neither is the largest or the smallest."
    )
    alt_text = "Bars: " + "; ".join(f"{row['model']} {row['text']}" for row in rows)
    return made(alt.layer(bars, ends).properties(height=52 * len(rows)), sentence, f"{alt_text}.")


def total_bytes(layout: Layout, context_length: int, batch: int) -> int:
    """What the seven factors multiply to."""
    return layout.kv_bytes_per_token * context_length * batch


def _neat(count: int) -> str:
    """Binary units without trailing zeros."""
    number, unit = format_binary(count, 2).split(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"


def _bytes_axis() -> alt.Axis:
    powers = [2**exponent for exponent in range(0, 61, 10)]
    names = ["1 B", "1 KiB", "1 MiB", "1 GiB", "1 TiB", "1 PiB", "1 EiB"]
    pick = "datum.value == 1 ? '1 B'"
    for power, name in zip(powers[1:], names[1:], strict=True):
        pick += f" : datum.value == {power} ? '{name}'"
    ends = alt.ExprRef(f"width < {NARROW_BARS_PX} ? 'end' : 'middle'")
    return alt.Axis(values=powers, labelExpr=f"{pick} : ''", titleAnchor=ends)


PICTURES = {
    "factors": factors,
    "against_memory": against_memory,
    "by_hand": by_hand,
    "ladder": ladder,
    "presets": presets,
}
