"""The pictures of the sizing page.

The options are a matrix: one row a G, one column a width of the cache, in each cell a stacked bar against the same
budget line. All cells share one scale, which ends a little beyond the budget: a bar that runs on is cut at the edge
and says its size, so the bars near the budget stay readable however far the others are away.
"""

from typing import Any, Literal

from core.figures.drawing import alt
from core.figures.palette import Palette, mixed
from core.models.attention import kind_of
from core.serving.options import Option, OptionGrid
from core.units import GB, MIB

Row = dict[str, Any]

ROW_HEIGHT = 25
AROUND = 66  # px above and under the rows: column titles, and the key
CELL = 1.0  # width of a cell in budgets is CELL_BUDGETS; cells stand GAP apart
CELL_BUDGETS = 2.15
GAP = 0.10
NARROW_PX = 420  # of the rows alone: below it the figures would overlap
HEAD_PX = 640  # below it the heads and the key would
FADED = 0.34  # of a bar's colour is left where the option does not fit
INK = "datum.fits ? datum.part : datum.part + ', faded'"
CUT_LABEL_FROM = 1.62  # in budgets: longer bars carry their label inside


def option_rows(grid: OptionGrid) -> list[Row]:
    """One row a segment: G's row label, the cell's left edge, the segment's ends in cell units, and its figures."""
    rows: list[Row] = []
    for option in grid.options:
        plan = option.plan
        left, ends = _left(grid, option.kv_bits), 0.0
        parts = (
            ("weights", plan.loaded_bytes),
            ("KV cache", plan.cached_bytes),
            ("reserve", plan.runtime_bytes),
        )
        for part, num_bytes in parts:
            start, ends = ends, ends + num_bytes
            rows.append(
                {
                    "g": row_label(grid, option.num_kv_heads),
                    "left": left + _cell(start, plan.budget_bytes),
                    "right": left + _cell(ends, plan.budget_bytes),
                    "part": part,
                    "fits": plan.fits,
                    "size": f"{num_bytes / GB:,.1f} GB",
                    "cache": f"{option.width} cache",
                }
            )
    return rows


def label_rows(grid: OptionGrid) -> list[Row]:
    """One row a cell: where its figure stands, and what it says."""
    rows = []
    for option in grid.options:
        plan, left = option.plan, _left(grid, option.kv_bits)
        share = plan.total_bytes / plan.budget_bytes if plan.budget_bytes else float("inf")
        inside = share > CUT_LABEL_FROM
        end = _cell(plan.total_bytes, plan.budget_bytes)
        place = end - 0.02 if inside else max(end, _cell(plan.budget_bytes, plan.budget_bytes)) + 0.02
        total = f"{plan.total_bytes / GB:,.1f} GB" if plan.total_bytes < 1000 * GB else _terabytes(plan.total_bytes)
        rows.append(
            {
                "g": row_label(grid, option.num_kv_heads),
                "place": left + place,
                "says": f"✓ {total}" if plan.fits else (f"{total} →" if share > CELL_BUDGETS else total),
                "fits": plan.fits,
                "inside": inside,
            }
        )
    return rows


def options_chart(
    grid: OptionGrid, palette: Palette, *, chosen: int | None = None, width_bits: int | None = None
) -> alt.LayerChart | alt.FacetChart:
    """Rows of G, columns of cache widths; solid bars fit under the budget line, faded ones do not.

    chosen and width_bits mark the option under discussion with a panel behind it.
    """
    budget = grid.options[0].plan.budget_bytes
    right = len(grid.widths) * (CELL + GAP) - GAP
    order = [row_label(grid, g) for g in grid.kv_heads]
    x_scale = alt.Scale(domain=[-0.01, right], nice=False, zero=False)
    axis = alt.Axis(title=None, ticks=False, domain=False, labelPadding=10, labelFontSize=14, labelFontWeight=600)
    y = alt.Y("g:N", sort=order, axis=axis, scale=alt.Scale(domain=order, paddingInner=0.28, paddingOuter=0.2))
    bars = alt.Chart(alt.Data(values=option_rows(grid))).transform_calculate(ink=INK)
    labels = alt.Chart(alt.Data(values=label_rows(grid)))
    place = alt.X("place:Q", scale=x_scale, axis=None)
    layers: list[alt.Chart] = []
    if chosen in grid.kv_heads and width_bits in grid.widths:
        layers.append(_chosen_cell(grid, chosen, width_bits, x_scale, y, palette))
    layers += [
        bars.mark_bar(height={"band": 1}).encode(
            y=y,
            x=alt.X("left:Q", scale=x_scale, axis=None),
            x2="right:Q",
            color=_inks(palette),
            tooltip=[alt.Tooltip(name) for name in ("g:N", "cache:N", "part:N", "size:N")],
        ),
        *_budget_lines(grid, budget, x_scale, palette),
        _label(labels, "datum.inside", "right", palette.text, y, place),
        _label(labels, "datum.fits", "left", palette.fits, y, place),
        _label(labels, "!datum.fits && !datum.inside", "left", palette.muted, y, place),
        *_headers(grid, x_scale, palette),
        *_key(grid, palette),
    ]
    return alt.layer(*layers).properties(height=ROW_HEIGHT * len(order) + AROUND)


def _inks(palette: Palette) -> alt.Color:
    """A colour a part, and the same faded where the option does not fit."""
    hues = {"weights": palette.weights, "KV cache": palette.cache, "reserve": palette.reserve}
    faded = {f"{part}, faded": mixed(hue, palette.background, FADED) for part, hue in hues.items()}
    both = hues | faded
    return alt.Color("ink:N", legend=None, scale=alt.Scale(domain=list(both), range=list(both.values())))


def options_alt_text(grid: OptionGrid) -> str:
    """Every option in words, width by width."""
    said = []
    for bits in grid.widths:
        listed = ", ".join(_option_says(grid, option) for option in grid.options if option.kv_bits == bits)
        said.append(f"{grid.width(bits)} cache: {listed}")
    budget = grid.options[0].plan.budget_bytes / GB
    return f"Memory of each G against the budget of {budget:.2f} GB. {'. '.join(said)}."


def row_label(grid: OptionGrid, num_kv_heads: int | None) -> str:
    """'G = 1 · MQA'; 'as published' for a model without the dial."""
    if num_kv_heads is None:
        return "as published"
    heads = max(g for g in grid.kv_heads if g is not None)
    kind = kind_of(_query_heads(grid) or heads, num_kv_heads)
    return f"G = {num_kv_heads} · {kind}" if kind != "GQA" else f"G = {num_kv_heads}"


def _query_heads(grid: OptionGrid) -> int | None:
    heads = {getattr(layer, "num_query_heads", None) for layer in grid.job.model.layers} - {None}
    return heads.pop() if len(heads) == 1 else None


def _option_says(grid: OptionGrid, option: Option) -> str:
    fits = "fits" if option.plan.fits else "does not fit"
    return f"{row_label(grid, option.num_kv_heads)} {option.plan.total_bytes / GB:,.1f} GB {fits}"


def _left(grid: OptionGrid, kv_bits: int) -> float:
    return grid.widths.index(kv_bits) * (CELL + GAP)


def _cell(num_bytes: float, budget: int) -> float:
    """Bytes as a place in a cell, cut at its right edge."""
    return min(num_bytes / (budget * CELL_BUDGETS), CELL) if budget else CELL


def _terabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e12:,.2f} TB"


def _chosen_cell(
    grid: OptionGrid, chosen: int | None, width_bits: int, x_scale: alt.Scale, y: alt.Y, palette: Palette
) -> alt.Chart:
    left = _left(grid, width_bits)
    data = alt.Data(values=[{"g": row_label(grid, chosen), "left": left - 0.012, "right": left + CELL}])
    marked = alt.Chart(data).mark_bar(
        height={"band": 1.24}, fill=palette.panel, stroke=palette.queries, strokeWidth=1.5, cornerRadius=4
    )
    return marked.encode(y=y, x=alt.X("left:Q", scale=x_scale, axis=None), x2="right:Q")


def _budget_lines(grid: OptionGrid, budget: int, x_scale: alt.Scale, palette: Palette) -> list[alt.Chart]:
    places = [{"at": _left(grid, bits) + _cell(budget, budget)} for bits in grid.widths]
    lines = alt.Chart(alt.Data(values=places))
    at = alt.X("at:Q", scale=x_scale, axis=None)
    return [lines.mark_rule(color=palette.text, strokeWidth=2).encode(x=at)]


def _label(
    labels: alt.Chart, which: str, align: Literal["left", "right"], colour: str, y: alt.Y, place: alt.X
) -> alt.Chart:
    marks = labels.transform_filter(which).mark_text(
        align=align, fontSize=13, fontWeight=400 if align == "right" else 600, color=colour
    )
    return marks.encode(y=y, x=place, text=_wide("datum.says", "datum.fits ? '✓' : ''"))


def _key(grid: OptionGrid, palette: Palette) -> list[alt.Chart]:
    """Under the rows, what the colours and the line are: swatch and word side by side."""
    job = grid.job
    memory = job.device.memory_bytes or 0
    whole = f"{memory / MIB:,.0f} MiB" if job.device.memory_reported_bytes else f"{memory / GB:g} GB"
    budget = grid.options[0].plan.budget_bytes / GB
    bottom = _pixels("height + 20")  # under the rows, whatever height they are given
    share = "by the server's log" if job.measured is not None else f"{whole} × {job.memory_utilization:g}"
    budget_words = f"budget {share} = {budget:.1f} GB; what is faded does not fit"
    entries = [
        (0, palette.weights, "weights", "weights"),
        (84, palette.cache, "KV cache", "KV cache"),
        (172, palette.reserve, "reserve", "reserve"),
        (248, palette.text, budget_words, "budget"),
    ]
    rows = [{"left": left, "colour": colour, "word": word, "short": short} for left, colour, word, short in entries]
    left = f"datum.left - (width < {HEAD_PX} ? 50 : 0)"  # where that is narrow it begins under the names of the rows
    key = alt.Chart(alt.Data(values=rows))
    swatch = key.mark_point(shape="square", size=110, filled=True, opacity=1)
    return [
        swatch.encode(x=_pixels(f"{left} + 6"), y=bottom, color=alt.Color("colour:N", scale=None)),
        key.mark_text(align="left", fontSize=13, color=palette.text).encode(
            x=_pixels(f"{left} + 18"), y=bottom, text=_wide("datum.word", "datum.short", HEAD_PX)
        ),
    ]


def _wide(text: str, on_a_phone: str, below_px: int = NARROW_PX) -> Any:
    """Words where there is room for them, else the short form: both are expressions on the row."""
    return _pixels(f"width < {below_px} ? {on_a_phone} : {text}")


def _pixels(expression: str) -> Any:
    return alt.value(alt.ExprRef(expression))


def _headers(grid: OptionGrid, x_scale: alt.Scale, palette: Palette) -> list[alt.Chart]:
    """Above each column its width, and above each line the budget."""
    budget = grid.options[0].plan.budget_bytes
    rows = [
        {
            "left": _left(grid, bits),
            "line": _left(grid, bits) + _cell(budget, budget),
            "title": grid.width(bits).replace(" bits", "-bit"),
            "budget": f"budget {budget / GB:.1f} GB",
        }
        for bits in grid.widths
    ]
    base = alt.Chart(alt.Data(values=rows))
    title = base.mark_text(align="left", fontSize=15, fontWeight=700, color=palette.text, dy=-16)
    line = base.mark_text(align="left", fontSize=12, color=palette.text, dy=-15, dx=0)
    return [
        title.encode(
            x=alt.X("left:Q", scale=x_scale, axis=None),
            y=alt.value(0),
            text=_wide("datum.title + ' cache'", "datum.title", HEAD_PX),
        ),
        line.encode(x=alt.X("line:Q", scale=x_scale, axis=None), y=alt.value(0), text=_wide("datum.budget", "''")),
    ]
