"""Conversion drawn, and the experiment's losses: against G, against cache bytes, and while it trains."""

import math
from collections.abc import Sequence

from core.figures.drawing import alt
from core.figures.marks import Picture, Row, boxes, lines, words
from core.figures.palette import Palette, mixed
from core.uptraining.conversion import METHODS
from core.uptraining.recipe import SCRATCH, Recipe
from core.uptraining.results import METHOD_WORDS, Point

TOP, BOTTOM = (0.16, 0.34), (0.66, 0.84)
PHONE_PX = 500  # a phone's and a paper's column: there "1 to 4" stands for "mean 1 to 4"
FLOOR = 1e-3  # nats; lower losses are drawn here
DASHES = {"mean": [1, 0], "first": [7, 4], "random": [2, 3], SCRATCH: [1, 0]}
SHORT = {"mean": "mean", "first": "first", "random": "random", SCRATCH: "from the start"}


def conversion_chart(num_query_heads: int, num_kv_heads: int, method: str, colours: Palette) -> Picture:
    """The H key (or value) heads of the checkpoint above, the G that are made from them below."""
    size = num_query_heads // num_kv_heads
    above = [_head(i, num_query_heads, TOP, f"{i + 1}", num_query_heads) for i in range(num_query_heads)]
    below = [_head(g, num_kv_heads, BOTTOM, _made_of(g, size, method), num_query_heads) for g in range(num_kv_heads)]
    used = [row for i, row in enumerate(above) if method == "mean" or (method == "first" and i % size == 0)]
    dropped = [row for row in above if row not in used]
    links = [
        {"x": row["x"], "y": TOP[1] + 0.01, "x2": below[above.index(row) // size]["x"], "y2": BOTTOM[0] - 0.01}
        for row in used
    ]
    captions = [
        {"x": 0.0, "y": 0.06, "text": f"MHA checkpoint: H = {num_query_heads} key heads, and as many value heads"},
        {"x": 0.0, "y": 0.95, "text": f"after conversion: G = {num_kv_heads}, {METHODS[method]}, not yet uptrained"},
    ]
    layers = [boxes(dropped, colours.ghost)] if dropped else []
    if used:
        layers += [
            lines(links, mixed(colours.line, colours.background, 0.75)),
            boxes(used, colours.keys_values),
            words(used, colours.on_fill, 13),
        ]
    if dropped:
        layers.append(words(dropped, colours.muted, 13))
    if method == "random":
        layers.append(boxes(below, colours.background, stroke=colours.keys_values, strokeWidth=2, strokeDash=[5, 4]))
    else:
        layers.append(boxes(below, colours.keys_values))
    below = [{**row, "short": row["text"].removeprefix("mean ")} for row in below]
    hue = colours.text if method == "random" else colours.on_fill
    layers.append(words(below, hue, 12, bold=True, narrow_px=PHONE_PX))
    layers.append(words(captions, colours.muted, 13, align="left"))
    return alt.layer(*layers).properties(height=230)


def conversion_alt_text(num_query_heads: int, num_kv_heads: int, method: str) -> str:
    """The same in words."""
    size = num_query_heads // num_kv_heads
    how = {
        "mean": f"each the mean of {size} consecutive heads",
        "first": f"each the first of {size} consecutive heads, the others dropped",
        "random": "each started again at random, nothing kept",
    }[method]
    return f"{num_query_heads} heads above, {num_kv_heads} below, {how}."


def loss_rows(points: Sequence[Point], recipe: Recipe) -> list[Row]:
    """One row a method, G and moment; MHA is the first point of every conversion."""
    base = next(point for point in points if point.method == "none")
    rows: list[Row] = []
    for point in points:
        names = [point.method] if point.method != "none" else [m for m in SHORT if m in recipe.methods]
        moments = [("after", point.loss_after)]
        moments += [("before", point.loss_before)] if point.method != SCRATCH and point is not base else []
        for name in names:
            for moment, loss in moments:
                rows.append(
                    {
                        "method": name,
                        "moment": moment,
                        "g": point.num_kv_heads,
                        "bytes": recipe.kv_bytes_per_token(point.num_kv_heads),
                        "loss": max(loss, FLOOR),
                        "says": _says(name, moment, point, loss),
                    }
                )
    return rows


def loss_chart(
    points: Sequence[Point], recipe: Recipe, colours: Palette, *, against: str, before: bool = False
) -> Picture:
    """Loss after uptraining (or right after conversion) against 'g' or 'bytes', with MHA and a blind guess as lines."""
    moment = "before" if before else "after"
    rows = [row for row in loss_rows(points, recipe) if row["moment"] == moment]
    methods = [name for name in SHORT if any(row["method"] == name for row in rows)]
    hue = alt.Color("method:N", legend=None, scale=alt.Scale(domain=methods, range=[_hue(m, colours) for m in methods]))
    dash = alt.StrokeDash("method:N", legend=None, scale=alt.Scale(domain=methods, range=[DASHES[m] for m in methods]))
    x, scale = _x_axis(against, recipe), _loss_scale(rows)
    y = _y_axis(scale)
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, color=hue)
    ends = [row for row in rows if row["g"] == 1]
    labels = alt.Chart(alt.Data(values=_apart(ends))).encode(x=x, color=hue)
    beside: Row = {"align": "left", "dx": 10} if against == "g" else {"align": "right", "dx": -10}
    place = alt.Y("place:Q", scale=scale)
    halo = labels.mark_text(fontWeight="bold", stroke=colours.background, strokeWidth=6, **beside)
    return alt.layer(
        _level(recipe, colours, at_right=against == "bytes"),
        base.mark_line(strokeWidth=2.5).encode(strokeDash=dash),
        base.mark_point(filled=True, size=75, opacity=1).encode(tooltip=alt.Tooltip("says:N", title=" ")),
        halo.encode(y=place, text="label:N"),
        labels.mark_text(fontWeight="bold", **beside).encode(y=place, text="label:N"),
    ).properties(height=255)


def training_chart(losses: Sequence[tuple[int, float]], recipe: Recipe, colours: Palette) -> Picture:
    """Loss over all training steps so far: the checkpoint's descent, then one saw tooth a conversion."""
    rows = [{"step": step, "loss": max(loss, FLOOR)} for step, loss in losses]
    x = alt.X("step:Q", title="training steps, all variants", scale=alt.Scale(domain=[0, recipe.total_steps]))
    scale = alt.Scale(type="log", domain=[FLOOR, 20], clamp=True, nice=False)
    axis = alt.Axis(values=[0.001, 0.01, 0.1, 1, 10], format="~g", gridDash=[2, 3])
    y = alt.Y("loss:Q", title="training loss, nats", scale=scale, axis=axis)
    line = alt.Chart(alt.Data(values=rows)).mark_line(color=colours.keys_values).encode(x=x, y=y)
    end = alt.Chart(
        alt.Data(values=[{"step": recipe.train_steps, "text": "checkpoint done: trained on, then converted"}])
    )
    rule = end.mark_rule(color=colours.line, strokeDash=[4, 4]).encode(x=x)
    text = end.mark_text(align="left", dx=6, color=colours.muted).encode(x=x, y=alt.value(8), text="text:N")
    return alt.layer(line, rule, text).properties(height=190)


def _head(index: int, count: int, band: tuple[float, float], text: str, widest: int) -> Row:
    half = 0.4 / widest if count == widest else 0.62 / widest
    centre = (index + 0.5) / count
    return {
        "left": centre - half, "right": centre + half, "top": band[0], "bottom": band[1],
        "x": centre, "y": (band[0] + band[1]) / 2, "text": text,
    }  # fmt: skip


def _made_of(group: int, size: int, method: str) -> str:
    first = group * size + 1
    if method == "random":
        return "new"
    if method == "first" or size == 1:
        return str(first)
    return f"mean {first} to {first + size - 1}"


def _hue(method: str, colours: Palette) -> str:
    """The three conversions are one idea in three strokes; training from the start is another."""
    return {"mean": colours.keys_values, "first": colours.keys_values, "random": colours.recurrent}.get(
        method, colours.gqa
    )


def _x_axis(against: str, recipe: Recipe) -> alt.X:
    choices = [recipe.num_query_heads, *recipe.kv_head_choices]
    if against == "g":
        axis = alt.Axis(
            values=choices,
            grid=False,
            labelExpr=f"datum.value + (datum.value == {choices[0]} ? ' (MHA)' : datum.value == 1 ? ' (MQA)' : '')",
        )
        scale = alt.Scale(type="log", base=2, domain=[choices[0] * 1.25, 0.3], nice=False)
        return alt.X("g:Q", title="KV heads G", scale=scale, axis=axis)
    most = recipe.kv_bytes_per_token(choices[0])
    values = [recipe.kv_bytes_per_token(g) for g in choices]
    scale = alt.Scale(domain=[-0.34 * most, most * 1.05], nice=False)
    title = "cache bytes per token (16 bits)"
    return alt.X("bytes:Q", title=title, scale=scale, axis=alt.Axis(values=values, grid=False))


def _loss_scale(rows: list[Row]) -> alt.Scale:
    top = max([row["loss"] for row in rows] + [3.0]) * 1.4
    return alt.Scale(type="log", domain=[FLOOR, top], clamp=True, nice=False)


def _y_axis(scale: alt.Scale) -> alt.Y:
    axis = alt.Axis(values=[0.001, 0.01, 0.1, 1, 10], format="~g", gridDash=[2, 3])
    return alt.Y("loss:Q", title="loss, nats (log scale)", scale=scale, axis=axis)


def _level(recipe: Recipe, colours: Palette, *, at_right: bool) -> Picture:
    """The loss of a blind guess among the values, named where no line of the chart passes."""
    chart = alt.Chart(alt.Data(values=[{"loss": math.log(recipe.num_values), "text": "blind guess"}]))
    rule = chart.mark_rule(color=colours.line, strokeDash=[4, 4]).encode(y="loss:Q")
    text = chart.mark_text(align="right" if at_right else "left", dx=-4 if at_right else 4, dy=-9, color=colours.muted)
    return alt.layer(rule, text.encode(y="loss:Q", x=alt.value("width" if at_right else 0), text="text:N"))


def _apart(rows: list[Row]) -> list[Row]:
    """Labels at the last points, moved apart where they would overlap (by a factor, as the axis is logarithmic)."""
    placed: list[Row] = []
    for row in sorted(rows, key=lambda row: -row["loss"]):
        place = row["loss"]
        if placed:
            place = min(place, placed[-1]["place"] / 1.75)
        placed.append({**row, "place": place, "label": SHORT[row["method"]]})
    return placed


def _says(method: str, moment: str, point: Point, loss: float) -> str:
    name = METHOD_WORDS[method] if point.method != "none" else METHOD_WORDS["none"]
    accuracy = point.accuracy_after if moment == "after" else point.accuracy_before
    return f"{name}, G = {point.num_kv_heads}: {loss:.3f} nats, {accuracy:.0%} right"
