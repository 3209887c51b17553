"""Pictures of bytes for the technique pages: paging times G, and a budget of tokens against fewer KV heads."""

from collections.abc import Callable

from core.figures.lessons import Picture, Row, made, stacked_bars
from core.figures.palette import Palette
from core.learning.techniques.figures import POOL_BYTES, SMALL_13B
from core.learning.techniques.published import published
from core.units import GB, format_binary


def multiply(colours: Palette, *, num_kv_heads: int) -> Picture:
    """Live tokens in one pool: slots for MHA and for the chosen G, times the published share that is used."""
    use = published()["paged_use"]
    low, high = (percent / 100 for percent in use["earlier_percent"])
    paged = use["paged_percent"] / 100
    mha = SMALL_13B.num_kv_heads
    rows: list[Row] = []
    ends: list[Row] = []
    live: dict[tuple[int, str], float] = {}
    for g in dict.fromkeys((mha, num_kv_heads)):
        slots = POOL_BYTES // SMALL_13B.with_kv_heads(g).kv_bytes_per_token
        name = "MHA" if g == mha else f"G = {g}"
        for policy, least, most in (("reserved", low, high), ("paged", paged, paged)):
            bar = f"{name}, {policy}"
            live[g, policy] = most * slots
            rows.append({"bar": bar, "from": 0.0, "to": least * slots / 1e3, "hue": colours.cache})
            rows.append({"bar": bar, "from": least * slots / 1e3, "to": most * slots / 1e3, "hue": colours.reserve})
            rows.append({"bar": bar, "from": most * slots / 1e3, "to": slots / 1e3, "hue": colours.ghost})
            some = f"{least * slots:,.0f}" if least == most else f"{least * slots:,.0f} to {most * slots:,.0f}"
            ends.append({"bar": bar, "at": slots / 1e3, "text": f"{some} of {slots:,} live"})
    gain = f"{paged / high:.1f} to {paged / low:.1f} times"
    times = live[num_kv_heads, "paged"] / live[mha, "reserved"]
    sentence = (
        f"**{mha // num_kv_heads} times the slots with G = {num_kv_heads}, and with paging {gain} as many of them "
        f"live**: {times:.1f} to {times * high / low:.1f} times the live tokens."
        if num_kv_heads < mha
        else f"**Paging alone: {gain} the live tokens.** Every G below {mha} multiplies that."
    )
    alt_text = "Bars of tokens in the pool: " + "; ".join(f"{row['bar']}: {row['text']}" for row in ends)
    order = [row["bar"] for row in ends]
    title = f"thousands of tokens in {POOL_BYTES // GB} GB"
    chart = stacked_bars(rows, ends, order, 2.05 * max(row["at"] for row in ends), title, colours, room_px=240)
    return made(chart, sentence, f"{alt_text}.")


def forgotten(colours: Palette, *, num_tokens: int, budget: int) -> Picture:
    """The same bytes saved twice: by a budget of tokens under MHA, and by fewer KV heads with every token kept.

    Raises ValueError where the budget is not from 1 to num_tokens.
    """
    if not 1 <= budget <= num_tokens:
        raise ValueError(f"the budget is {budget:,}: give 1 to {num_tokens:,} tokens.")
    mha = SMALL_13B.num_kv_heads
    whole = SMALL_13B.kv_bytes_per_token * num_tokens
    kept = whole * budget / num_tokens
    equal = max((g for g in range(1, mha + 1) if mha % g == 0 and g * num_tokens <= mha * budget), default=1)
    heads = whole * equal / mha
    bars = (
        ("MHA, all kept", whole, f"{format_binary(whole, 2)}: nothing lost"),
        ("MHA, budget", kept, f"{format_binary(kept, 2)}: {num_tokens - budget:,} tokens forgotten"),
        (f"G = {equal}, all kept", heads, f"{format_binary(heads, 2)}: no token forgotten"),
    )
    rows: list[Row] = []
    for name, size, _ in bars:
        rows.append({"bar": name, "from": 0.0, "to": size / 2**30, "hue": colours.cache})
        rows.append({"bar": name, "from": size / 2**30, "to": whole / 2**30, "hue": colours.ghost})
    ends: list[Row] = [{"bar": name, "at": whole / 2**30, "text": text} for name, _, text in bars]
    sentence = (
        f"{budget:,} of {num_tokens:,} tokens under MHA take {format_binary(kept, 2)}. **G = {equal} takes "
        f"{format_binary(heads, 2)} and keeps every token.**"
    )
    alt_text = "Bars of cache for one sequence of a 13B model: " + "; ".join(
        f"{name}: {text}" for name, _, text in bars
    )
    chart = stacked_bars(rows, ends, [name for name, *_ in bars], 1.7 * whole / 2**30, "GiB of cache", colours)
    return made(chart, sentence, f"{alt_text}.")


PICTURES: dict[str, Callable[..., Picture]] = {"multiply": multiply, "forgotten": forgotten}
