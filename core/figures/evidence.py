"""Published quality changes against MHA: one row a study, one dot a result, the two scales never mixed.

Right of the line is better on both scales, so the perplexity axis runs backwards. A filled dot is a study that spent
the freed parameters again; a ring is one that did not. The line through a study's dots is its own range, not a trend.
"""

from collections.abc import Sequence
from typing import Any, Literal

from core.evidence.studies import Dot, signed
from core.figures.drawing import alt
from core.figures.palette import Palette, mixed

Scale = Literal["points", "perplexity"]
ROW_HEIGHT = 58
AXIS_HEIGHT = 50  # px under the rows: ticks, labels, title
NARROW_PX = 260  # of the rows alone, as on a phone upright: there names and labels say less
LINE_HEIGHT = 14  # px between the three lines of a study's name
NEAR = 0.075  # of the axis: half of what a label takes; nearer to the zero line it stands on its own side of it
CROWDED = 0.25  # of the axis: two labels of a study nearer than that lie over each other on a narrow picture
ASIDE = 8  # px that each steps aside there
ROOM = 0.3  # of the dots' own span, on the better side: what is written at the zero line and beside dots near it
AXIS = {
    "points": ("Mean benchmark points against MHA", "worse ←  MHA  → better"),
    "perplexity": ("Perplexity against MHA, %, reversed", "worse ←  MHA  → better"),
}


def quality_rows(dots: Sequence[Dot], scale: Scale) -> list[dict[str, Any]]:
    """One row a dot of that scale, largest models first."""
    shown = [dot for dot in dots if dot.scale == scale]
    shown.sort(key=lambda dot: -(dot.study.billion_parameters or 0))
    near = CROWDED * (1.12 + ROOM) * (max(0, *(d.change for d in shown)) - min(0, *(d.change for d in shown)))
    return [
        {
            "study": f"{dot.study.label}|{dot.study.training}|{_held(dot)}",
            "change": dot.change,
            "label": f"{dot.variant}  {signed(dot.change, 2 if scale == 'points' else 1)}",
            "variant": dot.variant,
            "kind": dot.kind,
            "held": dot.study.parameters_held_equal,
            "above": dot.kind == "GQA",
            "aside": _aside(dot, shown, near),
            "measure": dot.study.measure,
            "source": dot.study.citation,
            "caveat": dot.study.caveat,
        }
        for dot in shown
    ]


def quality_chart(dots: Sequence[Dot], scale: Scale, palette: Palette) -> alt.LayerChart | alt.FacetChart:
    """Range and dots of every study on one scale. dots must hold at least one of that scale."""
    rows = quality_rows(dots, scale)
    order = list(dict.fromkeys(row["study"] for row in rows))
    lowest = min(*(row["change"] for row in rows), 0)
    highest = max(*(row["change"] for row in rows), 0)
    span = highest - lowest or 1
    worse, better = 0.12 * span, ROOM * span
    domain = [lowest - worse, highest + better] if scale == "points" else [lowest - better, highest + worse]
    x_scale = alt.Scale(domain=domain, reverse=scale == "perplexity", nice=False, zero=False)
    axis_title, direction = AXIS[scale]
    narrow = f"width < {NARROW_PX}"
    ends = alt.ExprRef(f"{narrow} ? 'end' : 'middle'")  # a long title ends with the rows, under their names
    axis = alt.Axis(grid=True, tickCount=8, titleAnchor=ends)
    x = alt.X("change:Q", title=axis_title, scale=x_scale, axis=axis)
    y_axis = alt.Axis(
        labelExpr=f"{narrow} ? split(datum.label, '|')[0] : split(datum.label, '|')", labelLimit=360,
        labelLineHeight=LINE_HEIGHT, labelOffset=alt.ExprRef(f"{narrow} ? 0 : {-LINE_HEIGHT}"),
        ticks=False, domain=False, labelPadding=14,
    )  # fmt: skip
    y = alt.Y("study:N", title=None, sort=order, axis=y_axis)
    base = alt.Chart().encode(y=y)
    line = alt.Chart(alt.Data(values=[{"zero": 0, "says": direction}]))
    kind_scale = alt.Scale(domain=["MQA", "GQA"], range=[palette.mqa, palette.gqa])
    kinds = alt.Color("kind:N", scale=kind_scale, legend=None)
    return alt.layer(
        line.mark_rule(color=palette.text, strokeWidth=1.5).encode(x=alt.X("zero:Q", scale=x_scale)),
        line.mark_text(dy=-12, fontWeight=600, color=palette.text).encode(
            x=alt.X("zero:Q", scale=x_scale),
            y=alt.value(0),
            text=alt.value(alt.ExprRef(f"width < {NARROW_PX} ? 'MHA' : datum.says")),
        ),
        base.mark_line(color=mixed(palette.line, palette.background, 0.7), strokeWidth=2).encode(x=x, detail="study:N"),
        *_dots(base, rows, x, kind_scale, palette),
        *_labels(base, rows, NEAR * (domain[1] - domain[0]), scale, x, kinds, palette),
        data=alt.Data(values=rows),  # once, for all that is drawn of it
    ).properties(height=ROW_HEIGHT * len(order) + AXIS_HEIGHT)


def quality_alt_text(dots: Sequence[Dot], scale: Scale) -> str:
    """Every dot in words."""
    listed = "; ".join(f"{dot.study.label}: {dot.variant} {dot.change_text}" for dot in dots if dot.scale == scale)
    return f"Quality change against MHA, right is better. {listed}."


def _dots(base: alt.Chart, rows: list[dict[str, Any]], x: alt.X, kinds: alt.Scale, palette: Palette) -> list[alt.Chart]:
    """Filled where the parameters were held equal, a ring where not; a mark without a dot would be a nameless one."""
    hover = [alt.Tooltip(f"{name}:N") for name in ("label", "measure", "source", "caveat")]
    filled = base.transform_filter("datum.held").mark_point(size=150, filled=True, opacity=1)
    rings = base.transform_filter("!datum.held").mark_point(
        size=140, filled=True, fill=palette.background, strokeWidth=3, opacity=1
    )
    made = []
    if any(row["held"] for row in rows):
        made.append(filled.encode(x=x, color=alt.Color("kind:N", scale=kinds, legend=None), tooltip=hover))
    if not all(row["held"] for row in rows):
        made.append(rings.encode(x=x, stroke=alt.Stroke("kind:N", scale=kinds, legend=None), tooltip=hover))
    return made


def _labels(
    base: alt.Chart,
    rows: list[dict[str, Any]],
    near: float,
    scale: Scale,
    x: alt.X,
    kinds: alt.Color,
    palette: Palette,
) -> list[alt.Chart]:
    """The labels of the dots, GQA's above and MQA's under them, each over a halo so that no grid runs through it.

    Near the zero line a label begins or ends at its dot, so that it stays on its side of the line. A side without a
    label makes no marks, which the browser would take time for.
    """
    drawn = {(_side(row["change"], near, scale), row["above"]) for row in rows}
    right = "datum.change >= 0" if scale == "points" else "datum.change <= 0"
    sides: tuple[tuple[str, Literal["left", "center", "right"], int], ...] = (
        (f"abs(datum.change) >= {near}", "center", 0),
        (f"abs(datum.change) < {near} && {right}", "left", -2),
        (f"abs(datum.change) < {near} && !({right})", "right", 2),
    )
    made, says = [], alt.value(alt.ExprRef(f"width < {NARROW_PX} ? datum.variant : datum.label"))
    small: dict[str, Any] = {"fontSize": alt.ExprRef(f"width < {NARROW_PX} ? 11 : 13"), "fontWeight": 600}
    for which, align, dx in sides:
        for above, dy in ((True, -16), (False, 18)):
            if (align, above) not in drawn:
                continue
            marks = base.transform_filter(f"{which} && {'datum.above' if above else '!datum.above'}")
            moved = alt.ExprRef(f"{dx} + (width < {NARROW_PX} ? {ASIDE} * datum.aside : 0)")
            halo = marks.mark_text(
                align=align, dx=moved, dy=dy, **small, stroke=palette.background, strokeWidth=5, strokeJoin="round"
            )
            text = marks.mark_text(align=align, dx=moved, dy=dy, **small)
            made += [halo.encode(x=x, text=says), text.encode(x=x, text=says, color=kinds)]
    return made


def _side(change: float, near: float, scale: Scale) -> str:
    """How the label of that change is aligned."""
    if abs(change) >= near:
        return "center"
    return "left" if (change >= 0 if scale == "points" else change <= 0) else "right"


def _aside(dot: Dot, shown: Sequence[Dot], near: float) -> int:
    """-1, 0 or 1: to which side its label makes room for another of its study and kind within near of it."""
    better = -1 if dot.scale == "perplexity" else 1
    gaps = [
        better * (dot.change - other.change)
        for other in shown
        if other is not dot and other.study is dot.study and other.kind == dot.kind
    ]
    return sum(1 if gap > 0 else -1 for gap in gaps if abs(gap) < near)


def _held(dot: Dot) -> str:
    return "parameters held equal" if dot.study.parameters_held_equal else "parameters not held equal"
