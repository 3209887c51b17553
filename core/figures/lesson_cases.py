"""Pictures of the cases: the traffic of a step, copies over GPUs, KV heads against bits, windows."""

from typing import Any

from core.figures.drawing import alt
from core.figures.lessons import Picture, Row, data, haloed, label, made, plain_axis, stacked_bars, top_axis
from core.figures.palette import Palette, mixed
from core.learning import arithmetic as sums
from core.learning.figures import milliseconds, node_sequences
from core.models.head_sharing import Layout, divisors
from core.serving.tensor_parallel import copies_per_kv_head
from core.units import format_binary, number_of

SHAPES = {"13B": sums.LAYOUT_13B, "70B": sums.LAYOUT_70B}
BUDGET_HEADS, BUDGET_BITS = (1, 2, 4, 8), (16, 8, 4, 2)


def traffic(colours: Palette, *, batch_size: int, context_length: int) -> Picture:
    """What one step reads with MHA, G = 8 and MQA: weights and cache to one scale."""
    kinds = ((40, "MHA"), (8, "G = 8"), (1, "MQA"))
    steps = {name: sums.step_13b(g, batch_size, context_length) for g, name in kinds}
    rows: list[Row] = []
    for name, step in steps.items():
        weights = 1e3 * step.seconds_to_read(step.weight_bytes)
        rows.append({"bar": name, "from": 0.0, "to": weights, "hue": colours.weights})
        rows.append({"bar": name, "from": weights, "to": 1e3 * step.read_seconds, "hue": colours.cache})
    longest = 1e3 * steps["MHA"].read_seconds
    ends: list[Row] = [
        {"bar": name, "at": 1e3 * step.read_seconds, "text": f"{milliseconds(step.read_seconds)}, cache "
         f"{100 * step.cache_bytes / step.weight_bytes:,.0f} % of weights"}
        for name, step in steps.items()
    ]  # fmt: skip
    gain = steps["G = 8"].read_seconds / steps["MQA"].read_seconds
    first_gain = steps["MHA"].read_seconds / steps["G = 8"].read_seconds
    sentence = (
        f"{batch_size} × {context_length:,} tokens on an H100: from G = 8 to MQA a step gets at most "
        f"**{gain:.2f} times** as fast; from MHA to G = 8, {first_gain:.2f} times."
    )
    alt_text = "Bars of weights and cache: " + "; ".join(f"{row['bar']} {row['text']}" for row in ends)
    order = [name for _, name in kinds]
    chart = stacked_bars(rows, ends, order, 2.5 * longest, "milliseconds to read", colours)
    return made(chart, sentence, f"{alt_text}.")


def copies(colours: Palette, *, shape: str, ranks: int, chosen: int) -> Picture:
    """Cache of one token over all GPUs, for every G that splits: distinct heads in colour, copies in grey."""
    layout = SHAPES[shape]
    possible = [g for g in divisors(layout.num_query_heads) if not (g % ranks and ranks % g)]
    if layout.num_query_heads % ranks:
        raise ValueError(
            f"{layout.num_query_heads} query heads do not divide over {ranks} GPUs: choose another number."
        )
    head = layout.with_kv_heads(1).kv_bytes_per_token / 1024
    rows: list[Row] = []
    ends: list[Row] = []
    for g in possible:
        held = g * copies_per_kv_head(g, ranks)
        rows.append({"bar": f"G = {g}", "from": 0.0, "to": g * head, "hue": colours.cache})
        if held > g:
            rows.append({"bar": f"G = {g}", "from": g * head, "to": held * head, "hue": colours.reserve})
        ends.append({"bar": f"G = {g}", "at": held * head, "text": _held(shape, layout, g, ranks, held * head)})
    order = [f"G = {g}" for g in possible]
    flat = [g for g in possible if g <= ranks]
    sentence = (
        f"Over {ranks} GPUs, every G up to {max(flat)} keeps the same {max(flat) * head:,.0f} KiB a token: **the grey "
        f"part is copies**. The smallest G without a copy is **{max(flat)}**."
        if ranks > 1
        else "One GPU holds every head once: nothing is copied, and bytes grow in step with G."
    )
    alt_text = f"Bars of KiB a token on {ranks} GPUs: " + "; ".join(f"{row['bar']} {row['text']}" for row in ends)
    widest = max(row["at"] for row in ends)
    title = f"KiB a token on all {ranks} GPUs, 16 bits" if ranks > 1 else "KiB a token, 16 bits"
    chart = stacked_bars(rows, ends, order, 2.1 * widest, title, colours, chosen=f"G = {chosen}")
    return made(chart, sentence, f"{alt_text}.")


def _held(shape: str, layout: Layout, g: int, ranks: int, kib: float) -> str:
    times = copies_per_kv_head(g, ranks)
    copied = "no copies" if times == 1 else f"{times} of each"
    if shape == "70B" and ranks == 8:
        return f"{kib:,.0f} KiB, {copied}, {node_sequences(g)} sequences"
    return f"{kib:,.0f} KiB, {copied}"


def heads_and_bits(colours: Palette, *, num_kv_heads: int, bits: int) -> Picture:
    """KV heads against bits as tiles: every diagonal is one price."""
    head = sums.LAYOUT_13B.with_kv_heads(1).kv_bytes_per_token  # 16 bits
    chosen = num_kv_heads * bits
    rows: list[Row] = [
        {
            "g": f"G = {g}", "bits": f"{width} bits", "text": format_binary(head * g * width / 16),
            "same": g * width == chosen, "own": g == num_kv_heads and width == bits,
        }
        for g in BUDGET_HEADS
        for width in BUDGET_BITS
    ]  # fmt: skip
    x = alt.X("g:N", title=None, sort=[f"G = {g}" for g in BUDGET_HEADS], axis=top_axis())
    y = alt.Y("bits:N", title=None, sort=[f"{width} bits" for width in BUDGET_BITS], axis=plain_axis())
    tiles = (
        alt.Chart(data(rows))
        .mark_rect(cornerRadius=6, stroke=colours.background, strokeWidth=6)
        .encode(x=x, y=y, color=alt.condition("datum.same", alt.value(colours.cache), alt.value(colours.ghost)))
    )
    words = (
        alt.Chart(data(rows))
        .mark_text(fontSize=16, fontWeight="bold")
        .encode(
            x=x,
            y=y,
            text="text:N",
            color=alt.condition("datum.same", alt.value(colours.on_fill), alt.value(colours.text)),
        )
    )
    equal = [f"G = {g} in {width} bits" for g in BUDGET_HEADS for width in BUDGET_BITS if g * width == chosen]
    price = format_binary(head * chosen / 16)
    bought = f"In the 13B shape **{price} a token** buys {_listed(equal)}"
    sentence = f"{bought}: the same bytes, with different evidence behind them."
    alt_text = f"A grid of KiB a token for G of 1 to 8 and 16 to 2 bits; cells at {price} are marked: {_listed(equal)}."
    return made(alt.layer(tiles, words).properties(height=300), sentence, alt_text)


def windows(colours: Palette, *, context_length: int, window: int) -> Picture:
    """Cache of one sequence against its length: MHA and G = 8, each with and without a window."""
    layout = sums.LAYOUT_MISTRAL
    variants: tuple[tuple[str, Layout, int | None, str, list[int]], ...] = (
        ("MHA", layout.with_kv_heads(32), None, colours.mha, []),
        (f"MHA, window {window:,}", layout.with_kv_heads(32), window, colours.mha, [6, 4]),
        ("G = 8", layout, None, colours.gqa, []),
        (f"G = 8, window {window:,}", layout, window, colours.gqa, [6, 4]),
    )
    ends = (512, 131_072)
    x = alt.X("tokens:Q", title="tokens in the sequence", scale=_log2(ends), axis=_token_axis())
    y = alt.Y("gib:Q", title="GiB of cache", scale=_log2((0.03, 128)), axis=_gib_axis())
    layers: list[Any] = []
    labels: list[Any] = []
    said = []
    for name, shape, cap, hue, dash in variants:
        lengths = sorted({ends[0], min(cap or ends[1], ends[1]), ends[1]})
        rows: list[Row] = [{"tokens": n, "gib": _gib(shape, n, cap)} for n in lengths]
        line = alt.Chart(data(rows)).mark_line(color=hue, strokeWidth=3, strokeDash=dash or [1, 0])
        here = _gib(shape, context_length, cap)
        dot = alt.Chart(data([{"tokens": context_length, "gib": here}])).mark_circle(color=hue, size=130, opacity=1)
        last: list[Row] = [{**rows[-1], "text": name}]
        dy = 14 if cap else -10  # a flat line's name stands under it, out of the way of the rising lines
        words = haloed(last, hue, colours, align="right", dx=-4, dy=dy, fontWeight="bold", fontSize=13)
        layers += [part.encode(x=x, y=y) for part in (line, dot)]
        labels += [part.encode(x=x, y=y) for part in words]
        said.append(f"{name} {format_binary(here * 2**30)}")
    rule = alt.Chart(data([{"tokens": context_length}])).mark_rule(color=colours.text, strokeDash=[4, 4]).encode(x=x)
    most, least = _gib(variants[0][1], context_length, None), _gib(layout, context_length, window)
    capped = f"{context_length / window:,.3g} times" if context_length > window else "nothing yet"
    sentence = (
        f"At **{context_length:,} tokens**: heads alone save {layout.group_size} times, the window alone {capped}, "
        f"both **{most / least:,.3g} times**."
    )
    alt_text = f"Log chart of cache against length. At {context_length:,} tokens: {'; '.join(said)}."
    return made(alt.layer(rule, *layers, *labels).properties(height=330), sentence, alt_text)


def reach(colours: Palette, *, window: int) -> Picture:
    """How far back information can travel by each layer, against the length that was trained on."""
    layers = sums.LAYOUT_MISTRAL.num_layers
    rows: list[Row] = [{"layer": number, "tokens": window * number / 1024} for number in range(1, layers + 1)]
    x = alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, values=[1, 8, 16, 24, 32]))
    y = alt.Y("tokens:Q", title="thousands (1,024) of tokens within reach", axis=alt.Axis(tickCount=5))
    bars = alt.Chart(data(rows)).mark_bar(color=mixed(colours.queries, colours.background, 0.75)).encode(x=x, y=y)
    trained = (
        alt.Chart(data([{"tokens": 8.0}])).mark_rule(color=colours.keys_values, strokeWidth=3).encode(y="tokens:Q")
    )
    bold = {"align": "left", "fontWeight": "bold", "fontSize": 15}
    words = label([{"text": "the line: trained on 8,192 tokens"}], colours.keys_values, **bold).encode(
        x=alt.value(12), y=alt.value(20)
    )
    total = window * layers
    sentence = (
        f"{window:,} × {layers} layers = **{total:,} tokens within reach** of the last layer: a bound on what could "
        f"arrive, not a measurement of what is found."
    )
    alt_text = (
        f"Bars rising from {window:,} tokens at layer 1 to {total:,} at layer {layers}; a line at 8,192 trained on."
    )
    return made(alt.layer(bars, trained, words).properties(height=320), sentence, alt_text)


def mix(colours: Palette, *, context_length: int, window: int, full_layers: int) -> Picture:
    """Tokens that each of 32 layers keeps when some keep everything and the others a window."""
    layout = sums.LAYOUT_MISTRAL
    kept = sums.windowed_tokens(context_length, window, full_layers, layout.num_layers)
    every = [full_layers * (i + 1) // layout.num_layers > full_layers * i // layout.num_layers for i in range(32)]
    rows: list[Row] = [
        {"layer": i + 1, "tokens": (context_length if full else min(context_length, window)) / 1024,
         "hue": colours.cache if full else colours.queries}
        for i, full in enumerate(every)
    ]  # fmt: skip
    x = alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, values=[1, 8, 16, 24, 32]))
    room = alt.Scale(domain=[0, 1.14 * context_length / 1024], nice=False)  # above the bars, for their names
    y = alt.Y("tokens:Q", title="thousands (1,024) of tokens kept", axis=alt.Axis(tickCount=5), scale=room)
    bars = alt.Chart(data(rows)).mark_bar().encode(x=x, y=y, color=alt.Color("hue:N", scale=None))
    names = [
        label([{"text": says}], hue, fontWeight="bold", fontSize=14, align=side).encode(x=alt.value(at), y=alt.value(8))
        for says, hue, side, at in (
            (f"a window of {window:,}", colours.queries, "left", 6),
            ("everything", colours.cache, "right", "width"),
        )
    ]
    per_layer = layout.kv_bytes_per_token_and_layer
    whole = layout.kv_bytes_per_token * context_length
    share = 100 * full_layers * context_length / kept
    sentence = (
        f"{number_of(full_layers, 'full layer')} of {layout.num_layers}: the model keeps "
        f"**{format_binary(kept * per_layer)}** of {format_binary(whole)}; the full layers' part is {share:.0f} %."
    )
    alt_text = (
        f"One bar a layer: {full_layers} keep {context_length:,} tokens, the others {min(context_length, window):,}."
    )
    return made(alt.layer(bars, *names).properties(height=320), sentence, alt_text)


def _gib(layout: Layout, tokens: int, window: int | None) -> float:
    return layout.kv_bytes_per_token * min(tokens, window or tokens) / 2**30


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def _log2(domain: tuple[float, float]) -> alt.Scale:
    return alt.Scale(type="log", base=2, domain=list(domain), nice=False, clamp=True)


def _token_axis() -> alt.Axis:
    return alt.Axis(values=[512, 2048, 8192, 32_768, 131_072], format=",")


def _gib_axis() -> alt.Axis:
    return alt.Axis(values=[0.0625, 0.25, 1, 4, 16, 64])


PICTURES = {
    "traffic": traffic,
    "copies": copies,
    "heads_and_bits": heads_and_bits,
    "windows": windows,
    "reach": reach,
    "mix": mix,
}
