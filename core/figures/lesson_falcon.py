"""Pictures of Falcon's bet: what MQA was worth to a step, which doors 71 heads closed, what its makers did next."""

from core.figures.drawing import alt
from core.figures.lessons import Picture, Row, data, label, made, plain_axis, stacked_bars, top_axis
from core.figures.palette import Palette
from core.learning import arithmetic as sums
from core.learning.figures import FALCON_PARAMETERS
from core.units import format_bytes

GPU_COUNTS = tuple(range(2, 17))


def worth(colours: Palette, *, batch_size: int, context_length: int) -> Picture:
    """Weights and cache of a step: Falcon-7B with MQA, and the same weights with LLaMA-7B's cache."""
    weights = 2 * FALCON_PARAMETERS / 1e9
    caches = {
        "LLaMA-7B's cache": sums.LAYOUT_LLAMA_7B.kv_bytes_per_token * batch_size * context_length / 1e9,
        "Falcon-7B's cache": sums.LAYOUT_FALCON_7B.kv_bytes_per_token * batch_size * context_length / 1e9,
    }
    rows: list[Row] = []
    ends: list[Row] = []
    for name, cache in caches.items():
        rows.append({"bar": name, "from": 0.0, "to": weights, "hue": colours.weights})
        rows.append({"bar": name, "from": weights, "to": weights + cache, "hue": colours.cache})
        ends.append({"bar": name, "at": weights + cache, "text": f"{weights:.0f} GB + {format_bytes(cache * 1e9)}"})
    most = weights + caches["LLaMA-7B's cache"]
    saved = 100 * (most - weights - caches["Falcon-7B's cache"]) / most
    sentence = f"Batch {batch_size}, {context_length:,} tokens: MQA takes **{saved:.0f} %** off what a step reads."
    alt_text = f"Two bars of weights and cache: {'; '.join(row['bar'] + ' ' + row['text'] for row in ends)}."
    chart = stacked_bars(rows, ends, list(caches), 1.7 * most, "GB read in one step", colours)
    return made(chart, sentence, alt_text)


def divides(colours: Palette, *, num_gpus: int) -> Picture:
    """Query heads of each Falcon on every GPU where 2 to 16 GPUs divide them, the chosen number of GPUs framed.

    Raises ValueError for a number of GPUs that the picture has no column for.
    """
    if num_gpus not in GPU_COUNTS:
        raise ValueError(f"{num_gpus} GPUs: choose {GPU_COUNTS[0]} to {GPU_COUNTS[-1]}.")
    rows: list[Row] = [
        {
            "model": f"{name}: H = {heads}", "gpus": f"{count}", "fits": heads % count == 0,
            "text": f"{heads // count}" if heads % count == 0 else "–",
        }
        for name, heads, _ in sums.FALCONS
        for count in GPU_COUNTS
    ]  # fmt: skip
    order = [f"{name}: H = {heads}" for name, heads, _ in sums.FALCONS]
    x = alt.X("gpus:N", title="GPUs", sort=[f"{count}" for count in GPU_COUNTS], axis=top_axis())
    y = alt.Y("model:N", title=None, sort=order, axis=plain_axis())
    fill = alt.condition("datum.fits", alt.value(colours.queries), alt.value(colours.ghost))
    ink = alt.condition("datum.fits", alt.value(colours.on_fill), alt.value(colours.muted))
    tiles = alt.Chart(data(rows)).mark_rect(cornerRadius=4, stroke=colours.background, strokeWidth=4)
    frame = alt.Chart(data([{"gpus": f"{num_gpus}"}])).mark_rect(
        cornerRadius=4, fillOpacity=0, stroke=colours.text, strokeWidth=2.5
    )
    words = alt.Chart(data(rows)).mark_text(fontSize=13).encode(x=x, y=y, text="text:N", color=ink)
    chart = alt.layer(tiles.encode(x=x, y=y, color=fill), frame.encode(x=x), words).properties(height=300)
    by_name = {name: heads for name, heads, _ in sums.FALCONS}
    first, second = (_dealt(by_name[name], num_gpus) for name in ("Falcon-7B", "Falcon-40B"))
    sentence = f"**71 divides by nothing but 1 and 71.** Over {num_gpus} GPUs, {first}; {second}."
    alt_text = f"A grid of query heads on each of {num_gpus} GPUs: " + "; ".join(
        f"{name} {_dealt(heads, num_gpus)}" for name, heads, _ in sums.FALCONS
    )
    return made(chart, sentence, f"{alt_text}.")


def _dealt(heads: int, num_gpus: int) -> str:
    each, over = divmod(heads, num_gpus)
    return f"{heads} heads leave {over} over" if over else f"{heads} heads give {each} to each"


def falcons(colours: Palette) -> Picture:
    """KV heads of each Falcon, the first generation by size and then by release."""
    rows: list[Row] = [
        {"model": name, "g": g, "text": f"G = {g} of {heads}", "hue": colours.mqa if g == 1 else colours.gqa}
        for name, heads, g in sums.FALCONS
    ]
    y = alt.Y("model:N", title=None, sort=[name for name, *_ in sums.FALCONS], axis=plain_axis())
    x_scale = alt.Scale(domain=[0, 11], nice=False)
    x = alt.X("g:Q", title="KV heads", scale=x_scale, axis=alt.Axis(grid=False, tickCount=8))
    bars = (
        alt.Chart(data(rows))
        .mark_bar(height=26, cornerRadiusEnd=3)
        .encode(x=x, y=y, color=alt.Color("hue:N", scale=None))
    )
    ends = label(rows, colours.text, align="left", dx=8, fontSize=14).encode(x=alt.X("g:Q", scale=x_scale), y=y)
    sentence = "**One MQA model in a family of grouped ones.**"
    alt_text = "Bars of KV heads: " + "; ".join(f"{row['model']} {row['text']}" for row in rows)
    return made(alt.layer(bars, ends).properties(height=260), sentence, f"{alt_text}.")


PICTURES = {"worth": worth, "divides": divides, "falcons": falcons}
