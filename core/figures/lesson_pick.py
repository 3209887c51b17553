"""Pictures of the capstone: what the GPU leaves, what a KV head costs, what would make G = 8 fit, how fast it is."""

from typing import Any

from core.figures.drawing import alt
from core.figures.lessons import Picture, Row, data, label, made
from core.figures.marks import where_they_fit
from core.figures.palette import Palette
from core.learning import arithmetic as sums
from core.learning.figures import CAPSTONE, CAPSTONE_CHOICES, milliseconds
from core.learning.record import Conditions
from core.serving.inverse import largest_batch
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.roofline import decode_bound
from core.units import GB, format_both, format_bytes

GRID_HEADS, GRID_BITS = (1, 2, 4, 5, 8, 40), (16, 8, 4)


def budget(colours: Palette, *, num_kv_heads: int, weight_bits: int, freed: str) -> Picture:
    """The GPU's memory as one bar: out of reach, weights, reserve, and what is left for the cache."""
    made_plan = plan(CAPSTONE.where(num_kv_heads=num_kv_heads, weight_bits=weight_bits, freed_parameters=freed))
    memory = CAPSTONE.device.memory_bytes or 0
    left = made_plan.budget_bytes - made_plan.weight_bytes - made_plan.runtime_bytes
    parts = (
        ("weights", made_plan.weight_bytes, colours.weights),
        ("reserve", made_plan.runtime_bytes, colours.reserve),
        ("left for the cache", left, colours.cache),
        ("out of reach", memory - made_plan.budget_bytes, colours.ghost),
    )
    rows: list[Row] = []
    at = 0.0
    for place, (name, size, hue) in enumerate(parts):
        up = place % 2 == 1
        rows.append(
            {"from": at, "to": at + size / GB, "middle": at + size / GB / 2, "hue": hue, "text": name,
             "size": format_bytes(size), "up": up}
        )  # fmt: skip
        at += size / GB
    x_scale = alt.Scale(domain=[0, memory / GB], nice=False)
    x = alt.X("from:Q", scale=x_scale, title=None, axis=None)
    middle = alt.X("middle:Q", scale=x_scale)
    bar = (
        alt.Chart(data(rows))
        .mark_rect(stroke=colours.background, strokeWidth=2)
        .encode(x=x, x2="to:Q", y=alt.value(70), y2=alt.value(140), color=alt.Color("hue:N", scale=None))
    )
    layers: list[Any] = [bar]
    for up, y_name, y_size in ((True, 26, 46), (False, 162, 184)):
        own = [row for row in rows if row["up"] is up]
        layers.append(label(own, colours.text, fontSize=14, fontWeight="bold").encode(x=middle, y=alt.value(y_name)))
        sizes = alt.Chart(data(own)).mark_text(color=colours.muted, fontSize=14)
        layers.append(sizes.encode(x=middle, y=alt.value(y_size), text="size:N"))
    sentence = (
        f"Weights at G = {num_kv_heads} in {weight_bits} bits: {format_bytes(made_plan.weight_bytes)}. "
        f"**{format_both(left)}** are left for the cache."
    )
    alt_text = "One bar: " + ", ".join(f"{row['text']} {row['size']}" for row in rows)
    return made(alt.layer(*layers).properties(height=210), sentence, f"{alt_text}.")


def cost(colours: Palette, *, weight_bits: int, freed: str) -> Picture:
    """Every G against 16, 8 and 4 bits as tiles: what the job takes in all, and whether it fits."""
    rows: list[Row] = []
    fitting = []
    for g in GRID_HEADS:
        for bits in GRID_BITS:
            result = plan(capstone(g, bits, weight_bits=weight_bits, freed=freed))
            rows.append(
                {
                    "g": f"G = {g}", "bits": f"{bits} bits", "fits": result.fits,
                    "text": f"{result.total_bytes / GB:,.0f} GB",
                    "says": "fits" if result.fits else _over(result.total_bytes),
                }
            )  # fmt: skip
            if result.fits:
                fitting.append(f"G = {g} in {bits} bits")
    plain = alt.Axis(labelFontSize=14, ticks=False, domain=False)
    x = alt.X("bits:N", title="KV cache", sort=[f"{bits} bits" for bits in GRID_BITS], axis=_top())
    y = alt.Y("g:N", title=None, sort=[f"G = {g}" for g in GRID_HEADS], axis=plain)
    tiles = (
        alt.Chart(data(rows))
        .mark_rect(cornerRadius=6, stroke=colours.background, strokeWidth=5)
        .encode(x=x, y=y, color=alt.condition("datum.fits", alt.value(colours.fits), alt.value(colours.ghost)))
    )
    ink = alt.condition("datum.fits", alt.value(colours.on_fill), alt.value(colours.text))
    totals = (
        alt.Chart(data(rows))
        .mark_text(fontSize=15, fontWeight="bold", dy=-7)
        .encode(x=x, y=y, text="text:N", color=ink)
    )
    says = alt.Chart(data(rows)).mark_text(fontSize=12, dy=10).encode(x=x, y=y, text="says:N", color=ink)
    limit = plan(CAPSTONE.where(num_kv_heads=1)).budget_bytes
    listed = ", ".join(fitting) if fitting else "nothing"
    sentence = f"Weights, reserve and cache against {format_bytes(limit)}. **It fits: {listed}.**"
    alt_text = "A grid of totals: " + "; ".join(f"{row['g']} {row['bits']} {row['text']} {row['says']}" for row in rows)
    return made(alt.layer(tiles, totals, says).properties(height=340), sentence, f"{alt_text}.")


def price_of_heads(*, num_kv_heads: int, batch_size: int, context_length: int) -> str:
    """A sentence: what that G keeps in 16 bits for a token, and for all tokens in flight."""
    token = sums.LAYOUT_13B.with_kv_heads(num_kv_heads).kv_bytes_per_token
    own = (batch_size, context_length) == (CAPSTONE.batch_size, CAPSTONE.context_length)
    ending = "" if own else f" The job stays {CAPSTONE.batch_size} × {CAPSTONE.context_length:,}."
    return (
        f"**G = {num_kv_heads}** keeps {token:,} bytes a token in 16 bits: "
        f"{format_both(token * batch_size * context_length)} for {batch_size * context_length:,} tokens.{ending}"
    )


def capstone(num_kv_heads: int, kv_bits: int, *, weight_bits: int = 16, freed: str = "dropped") -> ServingJob:
    """The capstone's job with that G and those bits."""
    return CAPSTONE.where(num_kv_heads=num_kv_heads, kv_bits=kv_bits, weight_bits=weight_bits, freed_parameters=freed)


def _over(total: int) -> str:
    limit = plan(CAPSTONE.where(num_kv_heads=1)).budget_bytes
    return f"{format_bytes(total - limit)} too much"


def question(colours: Palette, *, kv_bits: int, live_percent: int, pattern: str, gpus: int) -> Picture:
    """G = 8 with the job changed: what one GPU then holds, against its budget."""
    result = plan(Conditions(live_percent=live_percent, pattern=pattern, gpus=gpus).job(8, kv_bits))
    parts = (
        ("weights", result.weight_bytes, colours.weights),
        ("cache", result.kv_reserved_bytes, colours.cache),
        ("reserve", result.runtime_bytes, colours.reserve),
    )
    rows: list[Row] = []
    at = 0.0
    for name, size, hue in parts:
        rows.append({"from": at, "to": at + size / GB, "middle": at + size / GB / 2, "hue": hue, "text": name})
        at += size / GB
    limit = result.budget_bytes / GB
    x_scale = alt.Scale(domain=[0, 1.12 * max(at, limit)], nice=False)
    x = alt.X("from:Q", scale=x_scale, title="GB on each GPU", axis=alt.Axis(grid=False, tickCount=6))
    bar = (
        alt.Chart(data(rows))
        .mark_rect(stroke=colours.background, strokeWidth=2)
        .encode(x=x, x2="to:Q", y=alt.value(40), y2=alt.value(100), color=alt.Color("hue:N", scale=None))
    )
    names = label(rows, colours.on_fill, fontSize=14, fontWeight="bold").encode(
        x=alt.X("middle:Q", scale=x_scale), y=alt.value(70)
    )
    names = names.transform_filter(where_they_fit("text", f"(datum.to - datum.from) / {1.12 * max(at, limit)}", 14))
    mark: list[Row] = [{"limit": limit, "text": f"budget {limit:.1f} GB"}]
    hue = colours.fits if result.fits else colours.exceeds
    at_limit = alt.X("limit:Q", scale=x_scale)
    rule = alt.Chart(data(mark)).mark_rule(color=hue, strokeWidth=3, strokeDash=[6, 4]).encode(x=at_limit)
    words = label(mark, hue, fontSize=14, fontWeight="bold", align="right", dx=-6).encode(x=at_limit, y=alt.value(18))
    verdict = "it fits" if result.fits else f"{format_bytes(-result.headroom_bytes)} too much"
    sentence = f"**G = 8, {verdict}**: {format_bytes(result.total_bytes)} of {format_bytes(result.budget_bytes)} a GPU."
    alt_text = f"One bar of weights, cache and reserve, {at:.1f} GB, beside a budget of {limit:.1f} GB: {verdict}."
    return made(alt.layer(bar, rule, names, words).properties(height=150), sentence, alt_text)


def speed(colours: Palette, *, accelerator: str) -> Picture:
    """Tokens per second in all for the three choices, and for G = 8 with as many users as then fit."""
    rows: list[Row] = []
    for g, bits in (*CAPSTONE_CHOICES, (8, 8), (8, 16)):
        job = capstone(g, bits, freed="spent").where(accelerator=accelerator)
        if (g, bits) not in CAPSTONE_CHOICES:
            users = int(largest_batch(job))
            if not users:
                continue
            job = job.where(batch_size=users)
        bound = decode_bound(job)
        step, total = bound.step_seconds or 0.0, bound.tokens_per_second or 0.0
        rows.append(
            {
                "choice": f"G = {g}, {bits} bits", "rate": total, "hue": colours.gqa if g > 1 else colours.mqa,
                "text": f"{total:,.0f} tokens/s: {job.batch_size} users, {milliseconds(step)} a step",
            }
        )  # fmt: skip
    axis = alt.Axis(labelFontSize=14, ticks=False, domain=False)
    y = alt.Y("choice:N", sort=[row["choice"] for row in rows], title=None, axis=axis)
    x_scale = alt.Scale(domain=[0, 2.3 * max(row["rate"] for row in rows)], nice=False)
    x = alt.X(
        "rate:Q",
        scale=x_scale,
        title="tokens per second over all users (bound)",
        axis=alt.Axis(grid=False, tickCount=5),
    )
    bars = (
        alt.Chart(data(rows))
        .mark_bar(height=28, cornerRadiusEnd=3)
        .encode(x=x, y=y, color=alt.Color("hue:N", scale=None))
    )
    ends = label(rows, colours.text, align="left", dx=8, fontSize=13).encode(x=alt.X("rate:Q", scale=x_scale), y=y)
    first = rows[0]
    sentence = f"At best, with weights of 13.0 B parameters in 16 bits: **{first['text']}** for {first['choice']}."
    alt_text = "Bars: " + "; ".join(f"{row['choice']} {row['text']}" for row in rows)
    return made(alt.layer(bars, ends).properties(height=52 * len(rows)), sentence, f"{alt_text}.")


def _top() -> alt.Axis:
    return alt.Axis(labelFontSize=14, ticks=False, domain=False, orient="top", labelAngle=0)


PICTURES = {"pick_budget": budget, "pick_cost": cost, "pick_question": question, "pick_speed": speed}
