"""Pictures of what came after G: each idea's layout, and every registry model on the map of ideas.

Drawn in the hand of the three layouts: query heads above, what is kept below, a line from reader to read. Ideas about
layers or tokens are drawn as rows of layers over columns of tokens instead: full is kept, pale is read and not kept
twice, empty is not there.
"""

from collections.abc import Sequence
from typing import Any

from core.figures.drawing import alt
from core.figures.marks import Row, boxes, lines, words
from core.figures.palette import Palette
from core.learning.ideas import CONTEXT, IDEAS, bytes_per_token, read_per_token, registry, standing

HEADS = 8
HEIGHT = 250
LAYERS, TOKENS = 6, 12
Chart = alt.LayerChart | alt.FacetChart


def layout_chart(key: str, colours: Palette) -> Chart:
    """The layout of one idea. Raises KeyError for an unknown one."""
    drawn: Any = {
        "grouped": lambda: _heads(colours, [("K", "V")] * 2, colours.keys_values),
        "latent": lambda: _heads(colours, [("latent",)], colours.mla, beside="rotary key"),
        "gla": lambda: _heads(colours, [("latent 1",), ("latent 2",)], colours.mla, beside="rotary key"),
        "tied": lambda: _heads(colours, [("K = V",)] * 2, colours.keys_values, beside="rotary part of K"),
        "bits": lambda: _heads(colours, [("K", "V")] * 2, colours.keys_values, thin=True, beside="scales"),
        "fewer-layers": lambda: _grid(colours, _hybrid(), "state", "keeps a state of constant size"),
        "shorter": lambda: _grid(colours, _windows(), "gone", "left the window"),
        "compressed": lambda: _grid(colours, _compressed(), "gone", "stands in an entry of its stretch"),
        "shared": lambda: _grid(colours, _shared(), "shared", "reads the layer above it that keeps"),
        "sparse": lambda: _grid(colours, _sparse(), "unread", "kept, not read in this step"),
    }[key]()
    chart: Chart = drawn.properties(height=HEIGHT)
    return chart


def _heads(
    colours: Palette, groups: Sequence[tuple[str, ...]], hue: str, *, thin: bool = False, beside: str = ""
) -> Chart:
    """Query heads above, each group's kept boxes below."""
    size = HEADS // len(groups)
    queries: list[Row] = [
        {"left": 0.02 + head * 0.12, "right": 0.02 + head * 0.12 + 0.1, "top": 0.10, "bottom": 0.26,
         "x": 0.07 + head * 0.12, "y": 0.18, "text": f"Q{head + 1}"}
        for head in range(HEADS)
    ]  # fmt: skip
    kept: list[Row] = []
    links: list[Row] = []
    for number, parts in enumerate(groups):
        centre = sum(queries[number * size + at]["x"] for at in range(size)) / size
        wide = 0.17 if len(parts) > 1 else 0.30
        first = centre - wide * len(parts) / 2
        for place, text in enumerate(parts):
            left = first + place * wide
            kept.append(
                {
                    "left": left + 0.004,
                    "right": left + wide - 0.004,
                    "top": 0.56,
                    "bottom": 0.66 if thin else 0.76,
                    "x": left + wide / 2,
                    "y": 0.61 if thin else 0.66,
                    "text": text,
                }
            )
        links += [{"x": queries[number * size + at]["x"], "y": 0.27, "x2": centre, "y2": 0.55} for at in range(size)]
    small: list[Row] = []
    said: list[Row] = [{"x": 0.02, "y": 0.04, "text": "query heads"}]
    if beside:
        small = [
            {
                "left": 0.02,
                "right": 0.98 if thin else 0.12,
                "top": 0.70 if thin else 0.84,
                "bottom": 0.74 if thin else 0.92,
            }
        ]
        said.append({"x": 0.02 if thin else 0.14, "y": 0.81 if thin else 0.88, "text": beside})
    said.append({"x": 0.02, "y": 0.96, "text": "kept for every token"})
    return alt.layer(
        lines(links, colours.line), boxes(queries, colours.queries), boxes(kept, hue), boxes(small, hue),
        words(queries, colours.on_fill, 13, bold=True), words(kept, colours.on_fill, 13, bold=True),
        words(said, colours.muted, 13, align="left"),
    )  # fmt: skip


def _hybrid() -> list[list[str]]:
    return [["kept"] * TOKENS if layer == 3 else ["state"] + [""] * (TOKENS - 1) for layer in range(LAYERS)]


def _windows() -> list[list[str]]:
    return [["kept"] * TOKENS if layer == 5 else ["gone"] * 8 + ["kept"] * 4 for layer in range(LAYERS)]


def _compressed() -> list[list[str]]:
    return [["gone", "gone", "gone", "kept"] * 2 + ["kept"] * 4 for _ in range(LAYERS)]


def _shared() -> list[list[str]]:
    return [["kept" if layer % 2 == 0 else "shared"] * TOKENS for layer in range(LAYERS)]


def _sparse() -> list[list[str]]:
    chosen = {0, 3, 4, 8, 10, 11}
    return [["kept" if token in chosen else "unread" for token in range(TOKENS)] for _ in range(LAYERS)]


def _grid(colours: Palette, cells: list[list[str]], other: str, says: str) -> Chart:
    """Layers as rows, tokens as columns."""
    left, top, wide, tall = 0.13, 0.11, 0.072, 0.118
    found: dict[str, list[Row]] = {"kept": [], other: []}
    for layer, row in enumerate(cells):
        for token, kind in enumerate(row):
            if kind:
                place = {"left": left + token * wide, "right": left + (token + 0.88) * wide}
                found[kind].append({**place, "top": top + layer * tall, "bottom": top + (layer + 0.82) * tall})
    names: list[Row] = [
        {"x": 0.0, "y": top + (layer + 0.41) * tall, "text": f"layer {layer + 1}"} for layer in range(len(cells))
    ]
    key: list[Row] = [{"left": 0.13, "right": 0.16, "top": 0.9, "bottom": 0.97}]
    key_other: list[Row] = [{"left": 0.45, "right": 0.48, "top": 0.9, "bottom": 0.97}]
    said: list[Row] = [
        {"x": 0.175, "y": 0.937, "text": "kept and read"}, {"x": 0.495, "y": 0.937, "text": says},
        {"x": 0.13, "y": 0.04, "text": "tokens, oldest first"},
    ]  # fmt: skip
    quiet = {"state": colours.recurrent, "shared": colours.line, "unread": colours.line}.get(other, colours.ghost)
    return alt.layer(
        boxes(found["kept"] + key, colours.keys_values, radius=2), boxes(found[other] + key_other, quiet, radius=2),
        words(names, colours.text, 12, align="left"), words(said, colours.muted, 12, align="left"),
    )  # fmt: skip


def map_chart(colours: Palette) -> Chart:
    """A row an idea, a dot a model that stands on it, by the bytes of a token of a long sequence."""
    rows = map_rows()
    names = [found.name for found in IDEAS] + [PLAIN]
    y = alt.Y("idea:N", sort=names, scale=alt.Scale(domain=names), title=None,
              axis=alt.Axis(labelFontSize=13, ticks=False, domain=False, grid=True, labelLimit=220))  # fmt: skip
    labels = "datum.value < 1024 ? datum.value + ' KiB' : datum.value / 1024 + ' MiB'"
    x = alt.X("kib:Q", title=f"bytes a token keeps at {CONTEXT:,} tokens, 16 bits",
              scale=alt.Scale(type="log", base=2, domain=[4, 8_192], nice=False),
              axis=alt.Axis(values=[4, 16, 64, 256, 1024, 4096], labelExpr=labels, grid=False))  # fmt: skip
    base = alt.Chart(alt.Data(values=rows))
    hover = [
        alt.Tooltip("model:N"), alt.Tooltip("said:N", title="keeps a token"),
        alt.Tooltip("read:N", title="a step reads"), alt.Tooltip("ideas:N", title="stands on"),
    ]  # fmt: skip
    ticks = base.mark_point(filled=True, size=90, opacity=0.75, color=colours.keys_values, stroke=colours.background)
    empty = [{"idea": found.name} for found in IDEAS if not any(row["idea"] == found.name for row in rows)]
    none = alt.Chart(alt.Data(values=empty)).mark_text(align="left", dx=6, fontSize=12, color=colours.muted)
    return alt.layer(
        ticks.encode(x=x, y=y, tooltip=hover),
        none.encode(y=y, x=alt.value(0), text=alt.value("no model of the registry yet")),
    ).properties(height=34 * len(names))


PLAIN = "None of these: G = H"


def map_rows() -> list[Row]:
    """One row for each idea that each registry model stands on, one of PLAIN for a model on none."""
    by_key = {found.key: found.name for found in IDEAS}
    rows: list[Row] = []
    for model, spec in registry():
        found = [by_key[key] for key in standing(spec)] or [PLAIN]
        kib = bytes_per_token(spec) / 1024
        rows += [
            {"model": model.name, "idea": name, "kib": kib, "said": f"{kib:,.1f} KiB", "ideas": ", ".join(found),
             "read": f"{read_per_token(spec) / 1024:,.1f} KiB"}
            for name in found
        ]  # fmt: skip
    return rows


def map_sentence() -> str:
    """How many stand on none, on one and on several, as Markdown."""
    counts = [len(standing(spec)) for _, spec in registry()]
    none, one = counts.count(0), counts.count(1)
    return (
        f"**Of {len(counts)} models, {none} keep G = H and nothing else, {one} use one idea, "
        f"{len(counts) - none - one} several.** A dot is a model; hover over it for its name."
    )


def map_alt_text() -> str:
    """Which models stand on which idea."""
    rows = map_rows()
    names = [found.name for found in IDEAS] + [PLAIN]
    said = (f"{name}: {', '.join(row['model'] for row in rows if row['idea'] == name) or 'none'}" for name in names)
    return f"The registry's models by idea. {'; '.join(said)}."


def layout_alt_text(key: str) -> str:
    """The layout in words."""
    found = next(each for each in IDEAS if each.key == key)
    return f"The layout of {found.name}: {found.does}"
