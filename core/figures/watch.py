"""A step of the small text model as one picture: the rows that each layer and KV head holds, and where the step stands
under the roof.

Three bands, one a G, to one scale: a strip a layer and KV head, a column a token. Pale is what was there and is read,
solid what the step writes (and reads too). The spec stays as it is from step to step; only its datasets change.
"""

import math
from collections.abc import Mapping
from typing import Any

from core.figures.drawing import alt
from core.figures.palette import Palette, mixed
from core.hardware.accelerators import Accelerator
from core.models.attention import kind_of
from core.units import format_binary
from core.uptraining.small_decoder import MOST_TOKENS, Step, Watched
from core.uptraining.small_text import KV_HEADS, SHAPE

HEIGHT = 430
LEFT, RIGHT = 0.185, 0.70  # of the strips
WORDS_PX = 104  # the longest words beside a band; on paper and on a phone the strips begin behind them
LETTER_PX = 4.8  # of the smallest: columns narrower than that have none, and no line between them
LETTERS, STRIP, LAYER_GAP = 0.066, 0.0158, 0.005
ROOF = (0.765, 0.985, 0.10, 0.80)  # left, right, top, bottom
INTENSITY, SHARE = (0.5, 1_000.0), (0.001, 1.0)
OUTLINE = (
    "Three bands of strips, for G = 8, 2 and 1 of one small model: a strip a layer and KV head, a column a token; "
    "beside them the roof of the chosen accelerator with the step's arithmetic intensity. Figures stand in the picture."
)

Row = dict[str, Any]


def bands() -> dict[int, tuple[float, list[tuple[float, float]]]]:
    """Of each G: where its letters stand, and the top and bottom of each strip, layer by layer."""
    found: dict[int, tuple[float, list[tuple[float, float]]]] = {}
    y = 0.01
    for num_kv_heads in KV_HEADS:
        letters, y = y + LETTERS / 2, y + LETTERS
        strips = []
        for _ in range(SHAPE.num_layers):
            for _ in range(num_kv_heads):
                strips.append((y + 0.1 * STRIP, y + 0.9 * STRIP))
                y += STRIP
            y += LAYER_GAP
        found[num_kv_heads] = (letters, strips)
        y += 0.012
    return found


def column(token: float) -> float:
    """The left edge of a token's column."""
    return LEFT + (RIGHT - LEFT) * token / MOST_TOKENS


def datasets(watched: Watched, number: int, accelerator: Accelerator, colours: Palette) -> dict[str, list[Row]]:
    """All that moves: the strips, letters and words of step `number`, and its dots under the roof."""
    steps = watched.at(number)
    number = steps[KV_HEADS[0]].number
    strips: list[Row] = []
    letters: list[Row] = []
    words: list[Row] = []
    for num_kv_heads, (middle, places) in bands().items():
        step = steps[num_kv_heads]
        hue = colours.kind(kind_of(SHAPE.num_query_heads, num_kv_heads))
        for top, bottom in places:
            strips += _strip(step, top, bottom, hue, colours)
        letters += _letters(watched, num_kv_heads, number, middle, colours)
        words += _words(step, num_kv_heads, middle, hue, colours)
    words[0]["spoken"] = alt_text(watched, number)
    dots = _dots(steps, accelerator, colours)
    return {"strips": strips, "letters": letters, "words": words, "dots": dots, "roof": _roof(accelerator)}


def _strip(step: Step, top: float, bottom: float, hue: str, colours: Palette) -> list[Row]:
    held = step.tokens - step.new_tokens
    parts = (
        (0, held, mixed(hue, colours.background, 0.38)),
        (held, step.tokens, hue),
        (step.tokens, MOST_TOKENS, colours.panel),
    )
    return [
        {"left": column(first), "right": column(last), "top": top, "bottom": bottom, "hue": colour}
        for first, last, colour in parts
        if last > first
    ]  # fmt: skip


def _letters(watched: Watched, num_kv_heads: int, number: int, y: float, colours: Palette) -> list[Row]:
    """The characters over their columns: the prompt quietly, what was written in the text's colour."""
    text = watched.prompt + watched.written(num_kv_heads, number)
    prompt = len(watched.prompt)
    return [
        {"x": column(place + 0.5), "y": y + 0.012, "text": "↵" if letter == "\n" else letter,
         "hue": colours.muted if place < prompt else colours.text, "weight": "normal" if place < prompt else "bold"}
        for place, letter in enumerate(text[:MOST_TOKENS])
    ]  # fmt: skip


def _words(step: Step, num_kv_heads: int, y: float, hue: str, colours: Palette) -> list[Row]:
    kind = kind_of(SHAPE.num_query_heads, num_kv_heads)
    said = (
        (f"{kind}, G = {num_kv_heads}", hue, 14, "bold"),
        (f"{format_binary(step.cache_bytes)} so far", colours.text, 13, "bold"),
        (f"writes {step.written_bytes:,} B", colours.text, 12, "normal"),
        (f"reads {step.read_bytes:,} B", colours.text, 12, "normal"),
    )
    return [
        {"x": 0.0, "y": y + 0.037 * line, "text": text, "hue": colour, "size": size, "weight": weight, "spoken": None}
        for line, (text, colour, size, weight) in enumerate(said)
    ]


def _log(value: float, bounds: tuple[float, float]) -> float:
    """0 to 1 between the bounds on a log scale, kept inside."""
    low, high = map(math.log, bounds)
    return min(1.0, max(0.0, (math.log(value) - low) / (high - low)))


def _at(intensity: float, share: float) -> Row:
    left, right, top, bottom = ROOF
    return {
        "x": left + (right - left) * _log(intensity, INTENSITY),
        "y": bottom - (bottom - top) * _log(share, SHARE),
    }


def _ridge(accelerator: Accelerator) -> float:
    ridge = accelerator.ridge_flops_per_byte
    if ridge is None:
        raise ValueError(f"{accelerator.name} has no known rate or bandwidth: choose another accelerator.")
    return ridge


def _roof(accelerator: Accelerator) -> list[Row]:
    ridge = _ridge(accelerator)
    corners = [_at(INTENSITY[0], INTENSITY[0] / ridge), _at(ridge, 1.0), _at(INTENSITY[1], 1.0)]
    return [{**corner, "order": place} for place, corner in enumerate(corners)]


def _dots(steps: Mapping[int, Step], accelerator: Accelerator, colours: Palette) -> list[Row]:
    """The reading of the cache by each G, and the whole step."""
    ridge = _ridge(accelerator)
    found = []
    for num_kv_heads, step in steps.items():
        kind = kind_of(SHAPE.num_query_heads, num_kv_heads)
        value = step.attention_intensity
        at = _at(value, min(1.0, value / ridge))
        says = f"{kind}: {value:,.3g}"
        found.append({**at, "hue": colours.kind(kind), "shape": "circle", "text": says, "size": 130})
    whole = steps[KV_HEADS[0]].intensity
    at = _at(whole, min(1.0, whole / ridge))
    found.append({**at, "hue": colours.weights, "shape": "diamond", "text": f"whole step: {whole:,.3g}", "size": 150})
    left, _, _, bottom = ROOF
    for place, row in enumerate(found):
        row |= {"named_x": left + 0.02, "named_y": bottom + 0.115 + 0.036 * (place - 1)}
    return found


def chart(colours: Palette) -> alt.LayerChart | alt.FacetChart:
    """The picture without its data, which `datasets` gives by name."""
    return alt.layer(
        _rects(), _ticks(colours), _characters(), _sized(), *_roof_layers(colours),
    ).properties(height=HEIGHT)  # fmt: skip


BEGIN = f"max({LEFT}, {WORDS_PX} / width)"  # of the strips, at the width that the picture has


COUNTABLE = f"width * ({RIGHT} - {BEGIN}) >= {LETTER_PX * MOST_TOKENS}"


def _behind_the_words(mark: alt.Chart, *fields: str) -> alt.Chart:
    """Shares of the picture between LEFT and RIGHT, pressed together where LEFT is too narrow for the words."""
    room = f"({RIGHT} - {BEGIN}) / {RIGHT - LEFT}"
    return mark.transform_calculate(**{name: f"{RIGHT} - ({RIGHT} - datum.{name}) * {room}" for name in fields})


def _x(field: str) -> alt.X:
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=None)


def _y(field: str) -> alt.Y:
    return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[0, 1], reverse=True, nice=False, zero=False), axis=None)


def _hue() -> alt.Color:
    return alt.Color("hue:N", scale=None, legend=None)


def _rects() -> alt.Chart:
    mark = _behind_the_words(alt.Chart(alt.NamedData(name="strips")), "left", "right").mark_rect(aria=False)
    return mark.encode(x=_x("left"), x2="right:Q", y=_y("top"), y2="bottom:Q", color=_hue())


def _ticks(colours: Palette) -> alt.Chart:
    """Lines between the tokens' columns, so that rows can be counted."""
    rows = [
        {"x": column(token), "top": places[0][0], "bottom": places[-1][1]}
        for _, places in bands().values()
        for token in range(1, MOST_TOKENS)
    ]
    lines = _behind_the_words(alt.Chart(alt.Data(values=rows)), "x").transform_filter(COUNTABLE)
    mark = lines.mark_rule(color=colours.background, strokeWidth=1, aria=False)
    return mark.encode(x=_x("x"), y=_y("top"), y2="bottom:Q")


def _characters() -> alt.Chart:
    letters = _behind_the_words(alt.Chart(alt.NamedData(name="letters")), "x")
    mark = letters.transform_filter(COUNTABLE).mark_text(
        baseline="middle", fontSize=alt.ExprRef("max(8, width * 0.0125)"), font="monospace",
        fontWeight=alt.ExprRef("datum.weight"), aria=False,
    )  # fmt: skip
    return mark.encode(x=_x("x"), y=_y("y"), text="text:N", color=_hue())


def _sized() -> alt.Chart:
    mark = alt.Chart(alt.NamedData(name="words")).mark_text(
        baseline="middle", align="left", fontWeight=alt.ExprRef("datum.weight"),
        description=alt.ExprRef("datum.spoken"), ariaRoleDescription="picture in words",
    )  # fmt: skip
    size = alt.Size("size:Q", scale=None, legend=None)
    return mark.encode(x=_x("x"), y=_y("y"), text="text:N", color=_hue(), size=size)


def _roof_layers(colours: Palette) -> list[alt.Chart]:
    left, right, top, bottom = ROOF
    line = alt.Chart(alt.NamedData(name="roof")).mark_line(color=colours.text, strokeWidth=2.5, strokeJoin="round")
    line = line.encode(x=_x("x"), y=_y("y"), order="order:O")
    frame = alt.Chart(alt.Data(values=[{"x": left, "x2": right, "y": bottom}])).mark_rule(color=colours.line)
    frame = frame.encode(x=_x("x"), x2="x2:Q", y=_y("y"))
    marks = [{**_at(value, SHARE[0]), "text": f"{value:g}"} for value in (1, 10, 100)]
    numbers = alt.Chart(alt.Data(values=marks)).transform_filter("datum.text != '10' || width > 500")
    numbers = numbers.mark_text(fontSize=11, dy=11, color=colours.muted)
    numbers = numbers.encode(x=_x("x"), y=_y("y"), text="text:N")
    said: list[Row] = [
        {"x": (left + right) / 2, "y": top - 0.06, "text": "FLOPs per byte read", "hue": colours.muted},
    ]
    title = (
        alt.Chart(alt.Data(values=said))
        .mark_text(fontSize=13)
        .encode(x=_x("x"), y=_y("y"), text="text:N", color=_hue())
    )
    shape = alt.Shape("shape:N", scale=None, legend=None)
    size = alt.Size("size:Q", scale=None, legend=None)
    dots = alt.Chart(alt.NamedData(name="dots"))
    points = dots.mark_point(filled=True, opacity=1, stroke=colours.background, strokeWidth=1.5)
    points = points.encode(x=_x("x"), y=_y("y"), color=_hue(), shape=shape, size=size)
    keys = dots.mark_point(filled=True, opacity=1, size=70).encode(
        x=_x("named_x"), y=_y("named_y"), color=_hue(), shape=shape
    )
    names = dots.mark_text(align="left", dx=9, fontSize=12, color=colours.text)
    names = names.encode(x=_x("named_x"), y=_y("named_y"), text="text:N")
    return [frame, line, numbers, title, points, keys, names]


def title(watched: Watched, number: int) -> str:
    """What the step is: 'Prefill: 14 tokens in one step' or 'Decode: token 15'."""
    step = watched.at(number)[KV_HEADS[0]]
    if step.is_prefill:
        return f"Prefill: {step.new_tokens} token{'s' * (step.new_tokens > 1)} in one step"
    return f"Decode: token {step.tokens}"


def sentence(watched: Watched, number: int) -> str:
    """What the step writes and reads at the three G, as Markdown."""
    steps = watched.at(number)
    most, least = steps[KV_HEADS[0]], steps[KV_HEADS[-1]]
    rows = f"{most.new_tokens} rows are" if most.new_tokens > 1 else "One row is"
    return (
        f"**{rows} written in every layer and KV head, and all {most.tokens} are read.** With G = {KV_HEADS[0]} that "
        f"is {most.read_bytes:,} B of cache, and {least.read_bytes:,} B with G = 1. Weights: {most.weight_bytes:,} B, "
        f"once for {'all of them' if most.is_prefill else 'this one token'}."
    )


def alt_text(watched: Watched, number: int) -> str:
    """The step in words, for who does not see it."""
    said = "; ".join(
        f"G = {num_kv_heads}: {step.cache_bytes:,} bytes so far, {step.written_bytes:,} written, {step.read_bytes:,} "
        f"read, {step.attention_intensity:.3g} FLOPs a byte of cache, text "
        f"{watched.written(num_kv_heads, step.number)!r}"
        for num_kv_heads, step in watched.at(number).items()
    )
    return f"{title(watched, number)}. {said}."
