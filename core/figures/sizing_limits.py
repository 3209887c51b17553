"""Where the limits lie: batch against context for every G, and the chance that a batch holds under real traffic."""

from collections.abc import Sequence
from math import log10
from typing import Any, Literal

from core.figures.drawing import alt
from core.figures.palette import Palette
from core.models.attention import kind_of
from core.serving.sweep import FrontierPoint
from core.serving.traffic import Occupancy

HEIGHT = 380
HOLD_HEIGHT = 260
LEAST_BATCH, ROOM_ABOVE = 0.8, 1.5  # where the axis begins, and how many times the largest batch it goes to
NEAR_POINTS, APART_PX = 1, 17  # labels at points so near each other stand so far apart
NAME_SHARE = 0.16  # of the axis, that a name takes beside its line


def frontier_rows(
    points: Sequence[FrontierPoint], num_query_heads: int, chosen: int | None = None
) -> list[dict[str, Any]]:
    """Points that a log axis can show. Each line has its label on itself, staggered so that neighbours stay apart.

    G that hold nearly the same (copied heads, under tensor parallel) share one line and one label.
    """
    rows: list[dict[str, Any]] = []
    taken: list[tuple[int, float]] = []
    largest = max((point.largest_batch for point in points), default=1)
    for place, group in enumerate(_alike(points)):
        line: list[dict[str, Any]] = [
            {
                "g": group[0],
                "kind": kind_of(num_query_heads, chosen if chosen in group and chosen else group[-1]),
                "chosen": chosen in group,
                "context": point.context_length,
                "batch": point.largest_batch,
            }
            for point in points
            if point.num_kv_heads == group[-1] and point.largest_batch
        ]
        at = _label_place(line, min(1 + 2 * (place % 3), len(line) - 1), taken, largest)
        taken.append((at, _height_px(line[at]["batch"], largest)))
        line[at]["label"] = _line_label(group, num_query_heads)
        rows += line
    return rows


def _label_place(line: Sequence[dict[str, Any]], wanted: int, taken: Sequence[tuple[int, float]], largest: int) -> int:
    """The point nearest to the wanted one where the label is not over another: flat lines run close together."""
    for at in sorted(range(1, len(line)), key=lambda place: abs(place - wanted)):
        height = _height_px(line[at]["batch"], largest)
        if all(abs(at - other) > NEAR_POINTS or abs(height - there) >= APART_PX for other, there in taken):
            return at
    return wanted


def _height_px(batch: int, largest: int) -> float:
    return HEIGHT * log10(batch / LEAST_BATCH) / log10(ROOM_ABOVE * largest / LEAST_BATCH)


def _line_label(group: Sequence[int], num_query_heads: int) -> str:
    """'G = 1 · MQA', 'G = 8', 'G = 1, 2, 4, 8': the colour of a line alone tells nobody its kind."""
    kind = kind_of(num_query_heads, group[0])
    end = f" · {kind}" if len(group) == 1 and kind != "GQA" else ""
    return f"G = {', '.join(map(str, group))}{end}"


def _alike(points: Sequence[FrontierPoint]) -> list[list[int]]:
    """Neighbouring G whose largest batches stay within a tenth of each other at every context; G that hold nothing
    are left out."""
    by_g: dict[int, list[int]] = {}
    for point in points:
        by_g.setdefault(point.num_kv_heads, []).append(point.largest_batch)
    groups: list[list[int]] = []
    for g, batches in by_g.items():
        if not any(batches):
            continue
        before = by_g[groups[-1][0]] if groups else []
        if before and all(abs(a - b) <= 0.1 * max(a, b) for a, b in zip(before, batches, strict=True)):
            groups[-1].append(g)
        else:
            groups.append([g])
    return groups


def frontier_chart(
    points: Sequence[FrontierPoint],
    palette: Palette,
    *,
    num_query_heads: int,
    chosen: int | None,
    context_length: int,
    batch_size: int,
    fits: bool,
) -> alt.LayerChart | alt.FacetChart:
    """Each line is the most that one G holds; the job is the dot. Both axes are logarithmic."""
    rows = frontier_rows(points, num_query_heads, chosen)
    largest = max([row["batch"] for row in rows], default=1)
    contexts = [row["context"] for row in rows] + [context_length]
    x_scale = alt.Scale(type="log", base=2, domain=[min(contexts), max(contexts) * 1.6], nice=False)
    y_scale = alt.Scale(type="log", base=10, domain=[LEAST_BATCH, max(largest, batch_size) * ROOM_ABOVE], nice=False)
    x = alt.X(
        "context:Q",
        title="Context, tokens in each sequence",
        scale=x_scale,
        axis=alt.Axis(format=",", values=sorted(set(contexts)), labelOverlap=True, grid=False),
    )
    powers = alt.Axis(format=",", values=[10**power for power in range(8)])
    y = alt.Y("batch:Q", title="Largest batch that fits", scale=y_scale, axis=powers)
    colour = alt.Color(
        "kind:N",
        legend=None,
        scale=alt.Scale(domain=["MQA", "GQA", "MHA"], range=[palette.mqa, palette.gqa, palette.mha]),
    )
    base = alt.Chart(alt.Data(values=rows))
    named = base.transform_filter("isValid(datum.label)")
    hover = [alt.Tooltip("g:Q", title="G"), alt.Tooltip("context:Q", format=","), alt.Tooltip("batch:Q", format=",")]
    width: Any = alt.condition("datum.chosen", alt.value(4), alt.value(1.8))
    job = {"context": context_length, "batch": batch_size, "label": f"this job: {batch_size:,} × {context_length:,}"}
    dot = alt.Chart(alt.Data(values=[job])).encode(x=x, y=y)
    ink = palette.fits if fits else palette.exceeds
    # wide enough that a line does not show between the words of its name
    edge: dict[str, Any] = {"stroke": palette.background, "strokeWidth": 10, "strokeJoin": "round"}
    return alt.layer(
        base.mark_line(interpolate="monotone").encode(
            x=x, y=y, detail="g:N", color=colour, strokeWidth=width, tooltip=hover
        ),
        named.mark_text(fontSize=13, fontWeight=600, **edge).encode(x=x, y=y, text="label:N"),
        named.mark_text(fontSize=13, fontWeight=600).encode(x=x, y=y, text="label:N", color=colour),
        dot.mark_point(size=170, filled=True, color=ink, stroke=palette.background, strokeWidth=2, opacity=1),
        dot.mark_text(align="left", dx=12, dy=-12, fontWeight=700, stroke=palette.background, strokeWidth=5).encode(
            text="label:N"
        ),
        dot.mark_text(align="left", dx=12, dy=-12, fontWeight=700, color=ink).encode(text="label:N"),
    ).properties(height=HEIGHT)


def hold_chart(found: Occupancy, palette: Palette, *, holds: float = 0.99) -> alt.LayerChart | alt.FacetChart:
    """The chance that a batch stays within the cache, falling as the batch grows, with the three batches marked."""
    curve = alt.Chart(alt.Data(values=[{"batch": batch, "chance": chance} for batch, chance in found.curve]))
    marks: list[dict[str, Any]] = [
        {"batch": found.holding_batch, "label": f"{found.holding_batch:,} hold at {holds:.0%}", "ink": palette.fits},
        {"batch": found.batch_size, "label": f"this job: {found.batch_size:,}", "ink": palette.text},
        {"batch": found.static_batch, "label": f"static: {found.static_batch:,}", "ink": palette.muted},
    ]
    farthest = max(*(batch for batch, _ in found.curve), found.batch_size)
    for place, mark in enumerate(marks):
        mark |= {"y": 44 + 24 * place, "left": _name_stands_left(mark["batch"], marks, farthest, found.holding_batch)}
    x = alt.X(
        "batch:Q",
        title="Sequences in flight",
        scale=alt.Scale(domain=[0, farthest * 1.12], nice=False),
        axis=alt.Axis(grid=False, format=",d", tickMinStep=1),
    )
    y = alt.Y(
        "chance:Q",
        title="Chance that the batch holds",
        scale=alt.Scale(domain=[0, 1.02], nice=False),
        axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
    )
    ink = alt.Color("ink:N", scale=None)
    named = alt.Chart(alt.Data(values=marks))
    level = alt.Chart(alt.Data(values=[{"chance": holds}]))
    return alt.layer(
        level.mark_rule(color=palette.fits, strokeDash=[4, 4]).encode(y=y),
        curve.mark_line(color=palette.cache, strokeWidth=3, interpolate="step-after").encode(x=x, y=y),
        named.mark_rule(strokeWidth=2).encode(x=x, color=ink),
        *_names(named, "right", -6, x, palette),
        *_names(named, "left", 6, x, palette),
    ).properties(height=HOLD_HEIGHT)


def _name_stands_left(batch: int, marks: list[dict[str, Any]], farthest: int, holding: int) -> bool:
    """Whether a name stands left of its line: away from a neighbour that its words would cross, else where there is
    room, which under the curve is left of a batch that holds and above it right of one that does not."""
    near = [mark["batch"] - batch for mark in marks if 0 < abs(mark["batch"] - batch) < NAME_SHARE * farthest]
    roomy = batch > NAME_SHARE * farthest
    if near and not (min(near) < 0 < max(near)):
        return roomy and near[0] > 0
    return roomy and batch <= holding and batch > 0.25 * farthest


def _names(named: alt.Chart, align: Literal["left", "right"], dx: int, x: alt.X, palette: Palette) -> list[alt.Chart]:
    """The names of the marked batches on one side of their lines, over a halo."""
    marks = named.transform_filter("datum.left" if align == "right" else "!datum.left")
    y = alt.Y("y:Q", scale=None, axis=None)
    halo = marks.mark_text(align=align, dx=dx, fontWeight=600, stroke=palette.background, strokeWidth=5)
    text = marks.mark_text(align=align, dx=dx, fontWeight=600)
    return [
        halo.encode(x=x, y=y, text="label:N"),
        text.encode(x=x, y=y, text="label:N", color=alt.Color("ink:N", scale=None)),
    ]
