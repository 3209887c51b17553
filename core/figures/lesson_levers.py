"""Pictures of the levers on the cache, side by side and stacked, and of what moves when G moves."""

import re
from dataclasses import dataclass
from typing import Any

from core.evidence.studies import evidence_for, range_text
from core.figures.drawing import alt
from core.figures.lessons import Picture, Row, data, label, made
from core.figures.palette import Palette
from core.hardware.accelerators import find_accelerator
from core.learning import arithmetic as sums
from core.models.head_sharing import divisors
from core.units import format_bytes

BASE_CONTEXT, BASE_BATCH = 32_768, 16  # the job that the levers are set against: 13B, MHA, 16 bits


@dataclass(frozen=True, kw_only=True)
class Lever:
    """One setting: the part of the bytes that it leaves, and what it risks."""

    name: str
    setting: str
    left: float  # 0..1
    risk: str


def base_bytes() -> int:
    """The cache with no lever set."""
    return sums.LAYOUT_13B.kv_bytes_per_token * BASE_CONTEXT * BASE_BATCH


def levers(*, num_kv_heads: int, bits: int, window: int, kept_percent: int, batch: int) -> tuple[Lever, ...]:
    """The five levers at those settings, against MHA, 16 bits, the whole context and a batch of 16.

    Raises ValueError for a G that does not divide 40 or a setting outside its range.
    """
    if not 1 <= kept_percent <= 100 or not 1 <= batch <= BASE_BATCH or bits not in (2, 4, 8, 16) or window < 1:
        raise ValueError(
            f"these settings are outside the levers' ranges: {bits} bits, {kept_percent} %, batch {batch}."
        )
    heads_risk = "none: this is MHA" if num_kv_heads == 40 else _heads_risk(num_kv_heads)
    bits_risk = {
        16: "none",
        8: "typically minimal",
        4: "small on the models tested",
        2: "visible, on CoQA most with one KV head",
    }
    window_left = min(window, BASE_CONTEXT) / BASE_CONTEXT
    return (
        Lever(name="Heads", setting=f"G = {num_kv_heads}", left=num_kv_heads / 40, risk=heads_risk),
        Lever(name="Bits", setting=f"{bits} bits", left=bits / 16, risk=bits_risk[bits]),
        Lever(
            name="Window",
            setting=f"last {window:,} tokens",
            left=window_left,
            risk="none" if window_left == 1 else "old text is gone; breaks a model not trained for it",
        ),
        Lever(
            name="Dropping",
            setting=f"keep {kept_percent} %",
            left=kept_percent / 100,
            risk="none" if kept_percent == 100 else "what was dropped cannot be recalled",
        ),
        Lever(
            name="Batch",
            setting=f"{batch} at once",
            left=batch / BASE_BATCH,
            risk="none: fewer people served" if batch < BASE_BATCH else "none",
        ),
    )


def _heads_risk(num_kv_heads: int) -> str:
    """Ranges at that G where it was studied; else at the nearest studied neighbours."""
    dots = evidence_for(40, num_kv_heads).dots
    at_g = [dot for dot in dots if dot.num_kv_heads == num_kv_heads]
    near = {dot.num_kv_heads for dot in dots}
    shown = re.sub(r" \(\d+ comparisons?\)", "", range_text(at_g or dots))
    return (
        f"measured {shown}"
        if at_g
        else f"near G = {' and '.join(str(g) for g in sorted(g or 0 for g in near))}: {shown}"
    )


def levers_side_by_side(
    colours: Palette, *, num_kv_heads: int, bits: int, window: int, kept_percent: int, batch: int
) -> Picture:
    """A bar for each lever alone: what is left in colour, what it saves as a ghost, its risk in words."""
    found = levers(num_kv_heads=num_kv_heads, bits=bits, window=window, kept_percent=kept_percent, batch=batch)
    base = base_bytes()
    rows: list[Row] = [
        {
            "lever": lever.name,
            "left": 100 * lever.left,
            "text": f"{lever.setting}: {format_bytes(base * lever.left)}",
            "risk": f"risk: {lever.risk}",
        }
        for lever in found
    ]
    names_axis = alt.Axis(labelFontSize=15, ticks=False, domain=False)
    y = alt.Y("lever:N", sort=[lever.name for lever in found], title=None, axis=names_axis)
    x_scale = alt.Scale(domain=[0, 100], nice=False)
    x = alt.X("left:Q", scale=x_scale, title=None, axis=None)
    thick: dict[str, Any] = {"height": 18, "cornerRadius": 3}  # a line of text above, one below, and a gap
    ghosts = alt.Chart(data([{**row, "left": 100} for row in rows])).mark_bar(color=colours.ghost, **thick)
    bars = alt.Chart(data(rows)).mark_bar(color=colours.cache, **thick).encode(x=x, y=y)
    above = {"align": "left", "baseline": "bottom", "fontSize": 14}
    names = label(rows, colours.text, **above, dy=-12, fontWeight="bold").encode(x=alt.value(0), y=y)
    risks = alt.Chart(data(rows)).mark_text(color=colours.muted, align="left", baseline="top", dy=12, fontSize=13)
    least = min(lever.left for lever in found)
    first = " and ".join(lever.name for lever in found if lever.left == least)
    sentence = (
        f"A 13B with MHA, 16 bits, {BASE_BATCH} × {BASE_CONTEXT:,} tokens: **{format_bytes(base)}**. Each lever alone. "
        f"Smallest here: {first}."
    )
    alt_text = "Five bars. " + " ".join(f"{row['lever']}, {row['text']}, {row['risk']}." for row in rows)
    chart = alt.layer(ghosts.encode(x=x, y=y), bars, names, risks.encode(x=alt.value(0), y=y, text="risk:N"))
    return made(chart.properties(height=350), sentence, alt_text)


def levers_stacked(
    colours: Palette, *, num_kv_heads: int, bits: int, window: int, kept_percent: int, batch: int
) -> Picture:
    """The same levers one after the other: each bar is what is left after it and all before it."""
    found = levers(num_kv_heads=num_kv_heads, bits=bits, window=window, kept_percent=kept_percent, batch=batch)
    left, rows = 1.0, [_stacked_row("Start", "MHA, 16 bits", 1.0, 1.0)]
    for lever in found:
        before, left = left, left * lever.left
        rows.append(_stacked_row(lever.name, lever.setting, before, left))
    y = alt.Y("lever:N", sort=[row["lever"] for row in rows], title=None, axis=alt.Axis(labelFontSize=15, ticks=False))
    x = alt.X("left:Q", scale=alt.Scale(domain=[0, 185], nice=False), axis=None)
    ghosts = alt.Chart(data([{**row, "left": row["before"]} for row in rows])).mark_bar(color=colours.ghost, height=30)
    bars = alt.Chart(data(rows)).mark_bar(color=colours.cache, height=30).encode(x=x, y=y)
    ends = label(rows, colours.text, align="left", dx=8, fontSize=14).encode(
        x=alt.X("before:Q", scale=alt.Scale(domain=[0, 185], nice=False)), y=y
    )
    memory = find_accelerator("h100-sxm").memory_bytes or 0
    final = base_bytes() * left
    times = f"{1 / left:,.3g} times less" if left < 1 else "no lever is set"
    fits = "less" if final < memory else "more"
    sentence = (
        f"All five together leave **{format_bytes(final)}**: {times}, and {fits} than the {format_bytes(memory)} of "
        f"one H100."
    )
    alt_text = "Bars from top to bottom. " + " ".join(f"{row['lever']}: {row['text']}." for row in rows)
    return made(alt.layer(ghosts.encode(x=x, y=y), bars, ends).properties(height=290), sentence, alt_text)


def _stacked_row(name: str, setting: str, before: float, left: float) -> Row:
    text = f"{setting}: {format_bytes(base_bytes() * left)}"
    return {"lever": name, "before": 100 * before, "left": 100 * left, "text": text}


def what_moves(colours: Palette, *, num_kv_heads: int, ranks: int) -> Picture:
    """Four small charts over every G of 40 heads: bytes, FLOPs per byte, tokens to parity, bytes per GPU."""
    if num_kv_heads not in divisors(40) or ranks not in (1, 2, 4, 8, 10, 20):
        raise ValueError(f"G = {num_kv_heads} over {ranks} GPUs: G must divide 40 and so must the GPUs.")
    on_each = "on the one GPU" if ranks == 1 else f"on each of {ranks} GPUs"
    panels = (
        ("KiB a token", lambda g: _token(g) / 1024, ",.0f"),
        ("FLOPs a byte of cache", lambda g: 40 / g, ",.3g"),
        ("N*, thousands of tokens", lambda g: sums.BYTES_13B / _token(g) / 1e3, ",.0f"),
        (
            f"KiB a token, {'one GPU' if ranks == 1 else f'each of {ranks} GPUs'}",
            lambda g: _per_rank(g, ranks) / 1024,
            ",.3g",
        ),
    )
    layers: list[Any] = []
    for place, (title, of, form) in enumerate(panels):
        able = [g for g in divisors(40) if place < len(panels) - 1 or _splits(g, ranks)]
        layers += _small(colours, place, title, [(g, of(g)) for g in able], num_kv_heads, form)
    grid = alt.layer(*layers).properties(height=330)
    token = _token(num_kv_heads)
    sentence = (
        f"**G = {num_kv_heads}**: {token / 1024:,.0f} KiB a token, {40 / num_kv_heads:,.3g} FLOPs a byte, "
        f"N* = {sums.BYTES_13B / token:,.0f} tokens; "
        + (
            f"{_per_rank(num_kv_heads, ranks) / 1024:,.3g} KiB a token {on_each}."
            if _splits(num_kv_heads, ranks)
            else f"over {ranks} GPUs its heads neither divide nor repeat evenly."
        )
    )
    alt_text = (
        f"Four curves over G = 1 to 40 with a dot at {num_kv_heads}. Bytes rise in step with G; FLOPs a byte and the "
        f"tokens to parity fall as 1 / G; bytes per GPU are flat up to G = {ranks} and rise beyond."
    )
    return made(grid, sentence, alt_text)


def _token(num_kv_heads: int) -> int:
    return sums.LAYOUT_13B.with_kv_heads(num_kv_heads).kv_bytes_per_token


def _splits(num_kv_heads: int, ranks: int) -> bool:
    """Whether the KV heads divide over the GPUs, or each is copied to equally many."""
    return num_kv_heads % ranks == 0 or ranks % num_kv_heads == 0


def _per_rank(num_kv_heads: int, ranks: int) -> float:
    return sums.node_bytes_per_token(sums.LAYOUT_13B.with_kv_heads(num_kv_heads), ranks) / ranks


def _small(
    colours: Palette, place: int, title: str, points: list[tuple[int, float]], chosen: int, form: str
) -> list[alt.Chart]:
    """One of four small charts, laid out by hand on a plane of 2 by 2, so that together they take the page's width."""
    left, top = place % 2 + 0.07, place // 2 + 0.27
    wide, high = 0.84, 0.52
    most = max(value for _, value in points)
    rows: list[Row] = [
        {"x": left + wide * i / (len(points) - 1), "y": top + high * (1 - value / most), "g": f"{g}",
         "text": format(value, form), "own": g == chosen}
        for i, (g, value) in enumerate(points)
    ]  # fmt: skip
    own = [row for row in rows if row["own"]]
    ends: list[Row] = [row for row in (rows[0], rows[-1]) if not row["own"]]
    floor: list[Row] = [{"x": left, "x2": left + wide, "y": top + high}]
    names: list[Row] = [{**row, "text": row["g"], "y": top + high + 0.07} for row in rows]
    line = alt.Chart(data(rows)).mark_line(color=colours.line, strokeWidth=2, point={"color": colours.line, "size": 30})
    dot = alt.Chart(data(own)).mark_circle(color=colours.gqa, size=190, opacity=1)
    heading: list[Row] = [{"x": left, "y": place // 2 + 0.04, "text": title}]
    chosen_one = [dot, label(own, colours.gqa, dy=-15, fontSize=15, fontWeight="bold")] if own else []
    return [
        alt.Chart(data(floor)).mark_rule(color=colours.ghost).encode(x=_at("x"), x2="x2:Q", y=_at("y")),
        line.encode(x=_at("x"), y=_at("y")),
        label(ends, colours.muted, dy=-11, fontSize=12).encode(x=_at("x"), y=_at("y")),
        *(chart.encode(x=_at("x"), y=_at("y")) for chart in chosen_one),
        label(names, colours.muted, fontSize=12).encode(x=_at("x"), y=_at("y")),
        label(heading, colours.text, align="left", fontSize=14, fontWeight=600).encode(x=_at("x"), y=_at("y")),
    ]


def _at(field: str) -> Any:
    """A place on the plane of the four small charts, 0 to 2 each way, y downwards."""
    down = field == "y"
    channel = alt.Y if down else alt.X
    return channel(f"{field}:Q", scale=alt.Scale(domain=[0, 2], nice=False, zero=False, reverse=down), axis=None)


PICTURES = {
    "levers_side_by_side": levers_side_by_side,
    "levers_stacked": levers_stacked,
    "what_moves": what_moves,
}
