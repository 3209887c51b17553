"""Pictures of what a decode step reads and computes: bars, roof, each sequence's share, the crossing, the experts."""

from math import log10

from core.figures.drawing import alt
from core.figures.lessons import Picture, Row, data, haloed, label, made
from core.figures.marks import where_they_fit
from core.figures.palette import Palette, mixed
from core.learning import arithmetic as sums
from core.learning.figures import milliseconds
from core.units import format_bytes

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ROOF_X = (0.2, 4_000.0)  # FLOPs per byte
ROOF_Y = (0.6, 3_000.0)  # TFLOP/s
FLIGHT_X = (1e3, 2e7)  # tokens in flight: 256 sequences of 65,536 are the most that a lesson asks for
CROSSING_Y = (0.006, 20_000.0)  # holds every line of FLIGHT_X whole: a line that is cut short has another slope


def price(colours: Palette, *, batch_size: int, context_length: int, num_kv_heads: int) -> Picture:
    """Two bars to one scale: what a step reads, and what it computes."""
    step = sums.step_13b(num_kv_heads, batch_size, context_length)
    weights, cache = step.seconds_to_read(step.weight_bytes), step.seconds_to_read(step.cache_bytes)
    rows: list[Row] = [
        {"bar": "Reading", "from": 0.0, "to": 1e3 * weights, "part": "weights"},
        {"bar": "Reading", "from": 1e3 * weights, "to": 1e3 * (weights + cache), "part": "cache"},
        {"bar": "Arithmetic", "from": 0.0, "to": 1e3 * step.flop_seconds, "part": "arithmetic"},
    ]
    longest = max(step.read_seconds, step.flop_seconds) * 1e3
    x_scale = alt.Scale(domain=[0, 1.34 * longest], nice=False)
    x = alt.X("from:Q", title="milliseconds for one step", scale=x_scale, axis=alt.Axis(grid=False, tickCount=6))
    y = alt.Y("bar:N", title=None, sort=["Reading", "Arithmetic"], axis=alt.Axis(labelFontSize=15, ticks=False))
    hues = alt.Scale(domain=["weights", "cache", "arithmetic"], range=[colours.weights, colours.cache, colours.queries])
    bars = (
        alt.Chart(data(rows))
        .mark_bar(height=72)
        .encode(x=x, x2="to:Q", y=y, color=alt.Color("part:N", scale=hues, legend=None))
    )
    inside: list[Row] = [
        {"bar": "Reading", "at": (row["from"] + row["to"]) / 2, "text": row["part"], "wide": row["to"] - row["from"]}
        for row in rows[:2]
    ]
    ends: list[Row] = [
        {"bar": "Reading", "at": 1e3 * step.read_seconds, "text": milliseconds(step.read_seconds)},
        {"bar": "Arithmetic", "at": 1e3 * step.flop_seconds, "text": milliseconds(step.flop_seconds)},
    ]
    at = alt.X("at:Q", scale=x_scale)
    words = label(inside, colours.on_fill, fontWeight="bold", fontSize=14).encode(x=at, y=y)
    words = words.transform_filter(where_they_fit("text", f"datum.wide / {1.34 * longest}", 14))
    times = label(ends, colours.text, align="left", dx=8, fontWeight="bold", fontSize=18).encode(x=at, y=y)
    ratio = step.read_seconds / step.flop_seconds
    reads = f"{format_bytes(step.weight_bytes)} of weights and {format_bytes(step.cache_bytes)} of cache"
    slower = f"reading takes **{ratio:,.0f} times** as long" if ratio >= 1.5 else "the two take about as long"
    sentence = f"Batch {batch_size}, {context_length:,} tokens: a step reads {reads}. Beside the arithmetic, {slower}."
    alt_text = (
        f"Two bars. Reading: {milliseconds(step.read_seconds)}, of which weights {milliseconds(weights)} and cache "
        f"{milliseconds(cache)}. Arithmetic: {milliseconds(step.flop_seconds)}."
    )
    return made(alt.layer(bars, words, times).properties(height=270), sentence, alt_text)


def roof(colours: Palette, *, batch_size: int, context_length: int, num_kv_heads: int) -> Picture:
    """The roofline of an H100 with the weights' part, the cache's part and the whole step as dots."""
    step = sums.step_13b(num_kv_heads, batch_size, context_length)
    bandwidth, peak = step.accelerator.bandwidth_bytes_per_s or 1, (step.accelerator.bf16_dense_flops or 1) / 1e12
    ridge = peak * 1e12 / bandwidth

    def under(intensity: float) -> float:
        return min(intensity * bandwidth / 1e12, peak)

    parts = {
        "weights": step.weight_flops / step.weight_bytes,
        "cache": step.cache_flops / step.cache_bytes,
        "whole step": step.total_flops / step.total_bytes,
    }
    trail = [sums.step_13b(num_kv_heads, batch, context_length) for batch in BATCHES]
    walked: list[Row] = [{"x": s.total_flops / s.total_bytes, "y": under(s.total_flops / s.total_bytes)} for s in trail]
    x = alt.X("x:Q", title="FLOPs per byte read", scale=_log(ROOF_X), axis=_decades())
    y = alt.Y("y:Q", title="TFLOP/s within reach of an H100", scale=_log(ROOF_Y), axis=_decades())
    corners = (ROOF_X[0], ridge, ROOF_X[1])
    roof_rows: list[Row] = [{"x": corner, "y": under(corner)} for corner in corners]
    line = alt.Chart(data(roof_rows)).mark_line(color=colours.text, strokeWidth=3, strokeJoin="round").encode(x=x, y=y)
    edge = alt.Chart(data([{"x": ridge}])).mark_rule(color=colours.line, strokeDash=[4, 4]).encode(x=x)
    regions = label(
        [
            {"x": 0.25, "y": 1800.0, "text": "waits for memory", "short": "memory"},
            {"x": 380.0, "y": 1800.0, "text": "waits for arithmetic", "short": "arithmetic"},
        ],
        colours.muted, align="left", fontSize=14, fontStyle="italic",
    ).encode(x=x, y=y, text=alt.value(alt.ExprRef("width < 360 ? datum.short : datum.text")))  # fmt: skip
    ridge_label = label(
        [{"x": ridge, "y": 1.35, "text": f"ridge: {ridge:.0f} FLOPs per byte"}], colours.muted, align="right", dx=-6
    ).encode(x=x, y=y)
    ghosts = (
        alt.Chart(data(walked))
        .mark_circle(color=mixed(colours.line, colours.background, 0.55), size=36, opacity=1)
        .encode(x=x, y=y)
    )
    hues = {"weights": colours.weights, "cache": colours.cache, "whole step": colours.queries}
    dots = [_roof_dot(name, value, under(value), hues[name], x, y) for name, value in parts.items()]
    side = "memory" if parts["whole step"] < ridge else "arithmetic"
    sentence = (
        f"Batch {batch_size}, {context_length:,} tokens, G = {num_kv_heads}: weights at {parts['weights']:,.0f} FLOPs "
        f"a byte, cache at {parts['cache']:,.0f}, the whole step at **{parts['whole step']:,.1f}**. "
        f"It waits for {side}."
    )
    alt_text = (
        f"Roofline on two log axes, ridge at {ridge:.0f} FLOPs per byte. {sentence.replace('**', '')} "
        f"Small dots show the whole step for batches from 1 to 256."
    )
    chart = alt.layer(edge, line, regions, ridge_label, ghosts, *[layer for dot in dots for layer in dot])
    return made(chart.properties(height=320), sentence, alt_text)


def _roof_dot(name: str, x_value: float, y_value: float, hue: str, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """A dot and its name; the three names go to three sides, so that dots that meet stay readable."""
    place = {
        "weights": {"align": "right", "dx": -6, "dy": -19},
        "cache": {"align": "right", "dx": -14, "dy": 3},
        "whole step": {"align": "left", "dx": 13, "dy": 16},
    }
    rows: list[Row] = [{"x": x_value, "y": y_value, "text": name}]
    size = 300 if name == "whole step" else 170
    dot = alt.Chart(data(rows)).mark_circle(color=hue, size=size, opacity=1).encode(x=x, y=y)
    return [dot, label(rows, hue, fontWeight="bold", fontSize=14, **place[name]).encode(x=x, y=y)]


def share(colours: Palette, *, batch_size: int, context_length: int, num_kv_heads: int) -> Picture:
    """Milliseconds of one step divided by the sequences that it serves, for batches from 1 to 256."""
    rows: list[Row] = []
    for batch in BATCHES:
        step = sums.step_13b(num_kv_heads, batch, context_length)
        cache = 1e3 * step.seconds_to_read(step.cache_bytes) / batch
        weights = 1e3 * step.seconds_to_read(step.weight_bytes) / batch
        own = batch == batch_size
        for part, start, end, hue in (
            ("cache", 0.0, cache, colours.cache),
            ("weights", cache, cache + weights, colours.weights),
        ):
            ink = hue if own else mixed(hue, colours.background, 0.4)
            rows.append({"batch": batch, "from": start, "to": end, "part": part, "ink": ink, "own": own})
    floor = rows[0]["to"]
    x = alt.X("batch:O", title="sequences in the batch", axis=alt.Axis(labelAngle=0, labelFontSize=14))
    y = alt.Y("from:Q", title="milliseconds a sequence", axis=alt.Axis(tickCount=6), scale=alt.Scale(nice=False))
    bars = alt.Chart(data(rows)).mark_bar().encode(x=x, y=y, y2="to:Q", color=alt.Color("ink:N", scale=None))
    ends: list[Row] = [
        {"batch": row["batch"], "to": row["to"], "text": f"{row['to']:.1f}", "own": row["own"]}
        for row in rows
        if row["part"] == "weights"
    ]
    tops = label(ends, colours.text, dy=-9, fontSize=13).encode(
        x=x, y="to:Q", color=alt.condition("datum.own", alt.value(colours.text), alt.value(colours.muted))
    )
    line = alt.Chart(data([{"floor": floor}])).mark_rule(color=colours.cache, strokeWidth=2, strokeDash=[6, 4])
    says = f"the cache's floor: {floor:.2f} ms, whatever the batch"
    bold = {"align": "right", "dy": -10, "fontWeight": "bold", "fontSize": 15}
    named = label([{"text": says}], colours.cache, **bold)
    chosen_rows = [row for row in rows if row["batch"] == batch_size]
    total, weights = chosen_rows[1]["to"], chosen_rows[1]["to"] - chosen_rows[1]["from"]
    own_cache = format_bytes(sums.step_13b(num_kv_heads, 1, context_length).cache_bytes)
    sentence = (
        f"At batch {batch_size}, each sequence pays {weights:.2f} ms for its share of the weights and **{floor:.2f} ms "
        f"for its own cache** ({own_cache}, G = {num_kv_heads})."
    )
    alt_text = (
        f"Bars for batches 1 to 256. Each has a cache part of {floor:.2f} ms, equal in all, and a weights part that "
        f"falls from {rows[1]['to'] - rows[1]['from']:.1f} ms to {rows[-1]['to'] - rows[-1]['from']:.2f} ms. "
        f"At batch {batch_size} the sum is {total:.2f} ms."
    )
    layers = (bars, tops, line.encode(y="floor:Q"), named.encode(y=alt.value(90), x=alt.value("width")))
    chart = alt.layer(*layers).properties(height=320)
    return made(chart, sentence, alt_text)


def crossing(colours: Palette, *, batch_size: int, context_length: int) -> Picture:
    """Bytes of a step against tokens in flight: weights flat, the caches of MHA, G = 8 and MQA rising."""
    tokens = batch_size * context_length
    x = alt.X("tokens:Q", title="tokens in flight (batch × context)", scale=_log(FLIGHT_X), axis=_decades())
    powers = alt.Axis(values=[0.01, 0.1, 1, 10, 100, 1_000], format=",~g")
    y = alt.Y("bytes:Q", title="gigabytes read in one step", scale=_log(CROSSING_Y), axis=powers)
    weights = sums.BYTES_13B / 1e9
    flat: list[Row] = [{"tokens": end, "bytes": weights} for end in FLIGHT_X]
    layers = [alt.Chart(data(flat)).mark_line(color=colours.weights, strokeWidth=3).encode(x=x, y=y)]
    named: list[Row] = [{"tokens": FLIGHT_X[0], "bytes": weights, "text": f"weights, {weights:.1f} GB"}]
    words = haloed(named, colours.weights, colours, align="left", dx=4, dy=-12, fontWeight="bold", fontSize=14)
    labels = [part.encode(x=x, y=y) for part in words]
    reading: list[str] = []
    for g, name, hue in ((40, "MHA", colours.mha), (8, "G = 8", colours.gqa), (1, "MQA", colours.mqa)):
        token = sums.LAYOUT_13B.with_kv_heads(g).kv_bytes_per_token
        drawn, named_here = _cache_line(name, token, hue, tokens, x, y, colours)
        layers, labels = layers + drawn, labels + named_here
        reading.append(f"{format_bytes(token * tokens)}{'' if reading else ' of cache'} with {name}")
    rule: list[Row] = [{"tokens": tokens, "text": f"your job: {tokens:,} tokens"}]
    job = alt.Chart(data(rule)).mark_rule(color=colours.text, strokeWidth=2, strokeDash=[5, 4]).encode(x=x)
    left = log10(tokens) > 5.3
    job_name = label(
        rule, colours.text, align="right" if left else "left", dx=-7 if left else 7, dy=8, baseline="top",
        fontWeight="bold", fontSize=14,
    ).encode(x=x, y=alt.value(0))  # fmt: skip
    sentence = (
        f"{batch_size} × {context_length:,} = **{tokens:,} tokens in flight**: each step reads "
        f"{format_bytes(sums.BYTES_13B)} of weights, and {', '.join(reading)}."
    )
    parity = [_parity(g) for g in (40, 8, 1)]
    alt_text = (
        f"Log chart. A flat line of weights at {weights:.1f} GB is crossed by three rising cache lines: MHA at "
        f"{parity[0]:,.0f} tokens, G = 8 at {parity[1]:,.0f}, MQA at {parity[2]:,.0f}. The job stands at {tokens:,}."
    )
    return made(alt.layer(job, *layers, *labels, job_name).properties(height=320), sentence, alt_text)


def _cache_line(
    name: str, token: int, hue: str, tokens: int, x: alt.X, y: alt.Y, colours: Palette
) -> tuple[list[alt.Chart], list[alt.Chart]]:
    """One rising line with its crossing with the weights and the job's dot on it; and its labels, to lie on top."""
    ends: list[Row] = [{"tokens": end, "bytes": max(token * end / 1e9, 1e-6)} for end in FLIGHT_X]
    line = alt.Chart(data(ends)).mark_line(color=hue, strokeWidth=3, clip=True).encode(x=x, y=y)
    at = sums.tokens_at_parity(sums.BYTES_13B, token)
    cross: list[Row] = [{"tokens": at, "bytes": sums.BYTES_13B / 1e9, "text": f"{at:,.0f}"}]
    ring = alt.Chart(data(cross)).mark_point(color=hue, size=160, strokeWidth=3, filled=True).encode(x=x, y=y)
    dot = alt.Chart(data([{"tokens": tokens, "bytes": token * tokens / 1e9}]))
    # under the line's left end: the line rises away from its name
    start: list[Row] = [{"tokens": 1.15e3, "bytes": token * 1.15e3 / 1e9, "text": name}]
    words = haloed(start, hue, colours, align="left", dx=8, dy=13, fontWeight="bold", fontSize=14)
    words += haloed(cross, hue, colours, align="left", dx=9, dy=14, fontWeight="bold", fontSize=13)
    labels = [part.encode(x=x, y=y) for part in words]
    return [line, ring, dot.mark_circle(color=hue, size=90, opacity=1, clip=True).encode(x=x, y=y)], labels


def _parity(num_kv_heads: int) -> float:
    """N* of the lessons' 13B at that G."""
    return sums.tokens_at_parity(sums.BYTES_13B, sums.LAYOUT_13B.with_kv_heads(num_kv_heads).kv_bytes_per_token)


def _log(domain: tuple[float, float]) -> alt.Scale:
    return alt.Scale(type="log", domain=list(domain), nice=False, clamp=True)


def _decades() -> alt.Axis:
    return alt.Axis(tickCount=5, format="~s")


def experts(colours: Palette, *, batch_size: int) -> Picture:
    """Gigabytes of DeepSeek-V3's experts that one step reads, for batches from 1 to 256."""
    rows: list[Row] = []
    for batch in BATCHES:
        own, read = batch == batch_size, sums.expert_bytes_read(batch) / 1e9
        ink = colours.weights if own else mixed(colours.weights, colours.background, 0.4)
        rows.append({"batch": batch, "read": read, "text": f"{read:,.0f}", "ink": ink, "own": own})
    whole = sums.EXPERTS_V3.layers * sums.EXPERTS_V3.num_experts * sums.EXPERTS_V3.parameters_each / 1e9
    x = alt.X("batch:O", title="sequences in the batch", axis=alt.Axis(labelAngle=0, labelFontSize=14))
    scale = alt.Scale(domain=[0, 1.16 * whole], nice=False)
    y = alt.Y("read:Q", title="gigabytes of experts read in one step", axis=alt.Axis(tickCount=6), scale=scale)
    bars = alt.Chart(data(rows)).mark_bar().encode(x=x, y=y, color=alt.Color("ink:N", scale=None))
    ink_of = alt.condition("datum.own", alt.value(colours.text), alt.value(colours.muted))
    tops = label([row for row in rows if row["read"] <= 0.9 * whole], colours.text, dy=-9, fontSize=13).encode(
        x=x, y=y, color=ink_of
    )
    near = [{**row, "read": 0.9 * whole} for row in rows if row["read"] > 0.9 * whole]  # under the line, in the bar
    in_bar = alt.condition("datum.own", alt.value(colours.on_fill), alt.value(colours.text))
    inside = label(near, colours.text, fontSize=13).encode(x=x, y=y, color=in_bar)
    line = alt.Chart(data([{"read": whole}])).mark_rule(color=colours.text, strokeWidth=2, strokeDash=[6, 4])
    says = [{"read": whole, "text": f"all {sums.EXPERTS_V3.num_experts} experts of every layer: {whole:,.0f} GB"}]
    named = label(says, colours.text, align="left", dx=6, dy=-10, fontWeight="bold", fontSize=15)
    woken, read = sums.experts_woken(batch_size), sums.expert_bytes_read(batch_size)
    sentence = (
        f"At batch {batch_size}, a layer wakes {woken:,.0f} of its {sums.EXPERTS_V3.num_experts} experts on average: a "
        f"step reads **{format_bytes(read)}** of them, {format_bytes(read / batch_size)} a sequence."
    )
    alt_text = (
        f"Bars for batches 1 to 256. The experts that a step reads grow from {rows[0]['text']} GB to "
        f"{rows[-1]['text']} GB, of {whole:,.0f} GB that all of them take. {sentence.replace('**', '')}"
    )
    layers = (bars, tops, inside, line.encode(y=y), named.encode(y=y, x=alt.value(0)))
    return made(alt.layer(*layers).properties(height=320), sentence, alt_text)


PICTURES = {"price": price, "roof": roof, "share": share, "crossing": crossing, "experts": experts}
