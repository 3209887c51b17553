"""Pictures of the technique pages: paging, eviction, quantisation and MLA."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from core.figures.drawing import alt
from core.figures.marks import Align, Picture, Row, boxes, lines, strips, words
from core.figures.palette import Palette, mixed
from core.learning.techniques.eviction import POLICIES as EVICTIONS
from core.learning.techniques.eviction import Kept
from core.learning.techniques.latent import Share
from core.learning.techniques.paging import POLICIES as RESERVATIONS
from core.learning.techniques.paging import Pool, Use
from core.learning.techniques.quantisation import AXES, Trial

CELL = 0.85  # of a token's place on a strip: the rest is the gap to the next
COLUMNS = 4  # of the pool of blocks
TABLES_RIGHT = 0.40
ORDINALS = ("1st", "2nd", "3rd", *(f"{n}th" for n in range(4, 1_001)))


TABLES_NARROW_PX = 600  # below it "9 tokens" reaches into the first block of its table


def pool_chart(pool: Pool, colours: Palette) -> Picture:
    """Left the block tables, right the pool: filled slots, slots reserved and empty, free blocks."""
    slots: dict[str, list[Row]] = {"filled": [], "empty": [], "free": []}
    names: list[Row] = []
    lines_of_blocks = -(-len(pool.owner) // COLUMNS)
    for block, owner in enumerate(pool.owner):
        column, line = block % COLUMNS, block // COLUMNS
        width, height = (1 - TABLES_RIGHT) / COLUMNS, 0.88 / lines_of_blocks
        left, top = TABLES_RIGHT + column * width, 0.12 + line * height
        label = f"{block} · {_place(pool, owner, block)}" if owner else f"{block} · free"
        names.append({"x": left + 0.01, "y": top + 0.16 * height, "text": label})
        for slot in range(pool.block_size):
            kind = "free" if owner is None else ("filled" if slot < pool.filled[block] else "empty")
            slots[kind].append(_slot(left, top, width, height, slot, pool.block_size))
    layers = [
        boxes(rows, {"filled": colours.cache, "empty": colours.reserve, "free": colours.ghost}[kind])
        for kind, rows in slots.items()
        if rows
    ]
    titles = [
        {"x": 0.0, "y": 0.04, "text": "Block tables"},
        {"x": TABLES_RIGHT + 0.01, "y": 0.04, "text": f"The pool: blocks of {pool.block_size} tokens"},
    ]
    layers += [words(names, colours.muted, 12, align="left"), words(titles, colours.text, 14, align="left", bold=True)]
    return alt.layer(*layers, *_tables(pool, colours)).properties(height=330)


def pool_alt_text(pool: Pool) -> str:
    """Every table in words."""
    tables = "; ".join(
        f"{table.name} has {table.tokens} tokens in blocks {', '.join(map(str, table.blocks))}" for table in pool.tables
    )
    free = sum(owner is None for owner in pool.owner)
    return f"Step {pool.step}. {tables or 'No sequence is running'}. {free} blocks are free."


def use_chart(uses: Sequence[Use], published: Mapping[str, Any], colours: Palette) -> Picture:
    """Used share of what each policy reserves, beside the published ranges."""
    low, high = published["earlier_percent"]
    rows: list[Row] = [
        {"policy": RESERVATIONS[use.policy], "share": 100 * use.used_share, "paged": use.policy == "paged"}
        for use in uses
    ]
    order = [row["policy"] for row in rows]
    x = alt.X("share:Q", title="live tokens, % of reserved memory", scale=alt.Scale(domain=[0, 100]),
              axis=alt.Axis(tickCount=10))  # fmt: skip
    y = alt.Y("policy:N", sort=order, title=None, axis=None)
    base = alt.Chart(alt.Data(values=rows)).encode(y=y)
    bands = alt.Chart(alt.Data(values=[{"low": low, "high": high}]))
    marks = alt.Chart(alt.Data(values=[
        {"at": (low + high) / 2, "text": f"published, earlier servers: {low} to {high} %"},
        {"at": published["paged_percent"], "text": f"published, paged: {published['paged_percent']} %"},
    ]))  # fmt: skip
    return alt.layer(
        bands.mark_rect(color=mixed(colours.line, colours.background, 0.22)).encode(x=alt.X("low:Q"), x2="high:Q"),
        marks.transform_filter("datum.at > 50").mark_rule(color=colours.line, strokeWidth=2, strokeDash=[5, 4])
        .encode(x="at:Q"),
        base.transform_calculate(full="100").mark_bar(color=colours.ghost, height=18).encode(x=alt.X("full:Q")),
        base.mark_bar(color=colours.cache, height=18).encode(x=x),
        base.mark_text(align="left", dy=-17, color=colours.text).encode(x=alt.value(0), text="policy:N"),
        base.transform_filter("datum.share >= 12").mark_text(
            align="right", dx=-8, fontWeight="bold", color=colours.on_fill
        ).encode(x=x, text=alt.Text("share:Q", format=".1f")),
        base.transform_filter("datum.share < 12").mark_text(
            align="left", dx=8, fontWeight="bold", color=colours.text
        ).encode(x=x, text=alt.Text("share:Q", format=".1f")),
        marks.transform_filter("datum.at <= 50").mark_text(color=colours.text, dy=-4)
        .encode(x="at:Q", y=alt.value(-20), text="text:N"),
        marks.transform_filter("datum.at > 50").mark_text(color=colours.text, align="right", dy=-4)
        .encode(x=alt.value("width"), y=alt.value(-20), text="text:N"),
    ).properties(height=60 * len(rows))  # fmt: skip


def eviction_chart(kept: Sequence[Kept], weights: Sequence[float], marked: int, colours: Palette) -> Picture:
    """The last step's attention above; below, one strip a policy: kept tokens filled, dropped ones as ghosts."""
    count, strips_top = len(weights), 0.3
    width, height = 1 / count, (0.95 - strips_top) / len(kept)
    top_weight = max(weights)
    bars = [
        {"left": i * width, "right": (i + CELL) * width, "bottom": 0.27, "top": 0.27 - 0.19 * weight / top_weight}
        for i, weight in enumerate(weights)
    ]
    kept_runs: list[Row] = []
    dropped: list[Row] = []
    names: list[Row] = []
    details: list[Row] = []
    for line, policy in enumerate(kept):
        top = strips_top + line * height
        says = f"{policy.num_kept} of {count} tokens · {policy.attention_kept:.0%} of attention"
        names.append({"x": 0.0, "y": top + 0.24 * height, "text": EVICTIONS[policy.policy]})
        details.append({"x": 1.0, "y": top + 0.24 * height, "text": says})
        for stays, first, last in runs(policy.kept):
            run = {"x": first * width, "x2": (last + CELL) * width, "y": top + 0.68 * height}
            (kept_runs if stays else dropped).append(run)
    at = (marked + CELL / 2) * width
    side: Align = "left" if marked < 0.1 * count else "right" if marked > 0.9 * count else "center"
    cells = {"cell": CELL * width, "gap": (1 - CELL) * width, "high": 0.52 * height}
    layers = [
        boxes(bars, colours.queries, radius=0),
        strips(kept_runs, colours.cache, **cells),
        lines([{"x": at, "y": 0.08, "x2": at, "y2": 0.955}], colours.text, width=1.5),
        words(names, colours.text, 14, align="left", bold=True),
        words(details, colours.muted, 12, align="right"),
        words([{"x": 0.0, "y": 0.03, "text": "attention of the newest token"}], colours.muted, 12, align="left"),
        words([{"x": at, "y": 0.985, "text": f"token {marked + 1}"}], colours.text, 12, bold=True, align=side),
    ]
    if dropped:
        layers.insert(1, strips(dropped, colours.ghost, **cells))
    return alt.layer(*layers).properties(height=340)


def runs(kept: Sequence[bool]) -> Iterator[tuple[bool, int, int]]:
    """Tokens in a row that share a fate: whether they stay, the first of them and the last, from 0."""
    for stays, together in groupby(enumerate(kept), key=lambda token: token[1]):
        positions = [position for position, _ in together]
        yield stays, positions[0], positions[-1]


def sinks_chart(rows: Sequence[Mapping[str, float]], colours: Palette) -> Picture:
    """Published perplexity of Llama-2-7B by the number of first tokens kept, on a log axis."""
    base = alt.Chart(alt.Data(values=[dict(row) for row in rows])).encode(
        y=alt.Y("sinks:N", title="first tokens kept", sort=None)
    )
    x = alt.X(
        "perplexity:Q",
        title="perplexity (log scale, less is better)",
        scale=alt.Scale(type="log", domain=[5, 9000]),
        axis=alt.Axis(values=[10, 100, 1000], grid=True),
    )
    return alt.layer(
        base.mark_point(filled=True, size=130, color=colours.cache, opacity=1).encode(x=x),
        base.mark_text(align="left", dx=12, color=colours.text).encode(
            x=x, text=alt.Text("perplexity:Q", format=",.2f")
        ),
    ).properties(height=190)


def error_chart(trials: Sequence[Trial], colours: Palette) -> Picture:
    """Error of attention's output against bits with scales, one line for each way to group keys."""
    rows: list[Row] = [
        {
            "axis": trial.key_axis,
            "bits": trial.stored_bits,
            "error": 100 * trial.output_error,
            "says": f"{trial.bits} bits, {trial.stored_bits:g} with scales: {trial.output_error:.1%} error",
        }
        for trial in trials
    ]
    widest = max(row["bits"] for row in rows)
    x = alt.X(
        "bits:Q",
        title="bits per element, scales included (fewer to the right)",
        scale=alt.Scale(domain=[widest + 0.5, 0.4], nice=False),
        axis=alt.Axis(values=sorted({row["bits"] for row in rows}), format="~g", grid=False),
    )
    scale = alt.Scale(type="log", domain=[0.2, 300], clamp=True)
    y = alt.Y("error:Q", title="error of the attention output, %", scale=scale,
              axis=alt.Axis(values=[0.3, 1, 3, 10, 30, 100], format="~g"))  # fmt: skip
    hue = alt.Color("axis:N", legend=None, scale=alt.Scale(domain=list(AXES), range=[colours.cache, colours.recurrent]))
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, color=hue)
    fewest = min(row["bits"] for row in rows)
    ends = [{**row, "name": "keys by channel" if row["axis"] == "channel" else "keys by token"} for row in rows]
    last = alt.Chart(alt.Data(values=[row for row in ends if row["bits"] == fewest])).encode(x=x, y=y, color=hue)
    return alt.layer(
        base.mark_line(strokeWidth=2.5),
        base.mark_point(filled=True, size=80, opacity=1).encode(tooltip=alt.Tooltip("says:N", title=" ")),
        last.mark_text(align="left", dx=10, fontWeight="bold").encode(text="name:N"),
    ).properties(height=320)


def kivi_chart(rows: Sequence[Mapping[str, Any]], task: str, colours: Palette) -> Picture:
    """Published score of each model at 4 and 2 bits, as the change from its own 16 bits."""
    dots: list[Row] = [
        {
            "model": f"{row['model']} ({row['kind']}, G = {row['num_kv_heads']})",
            "kind": row["kind"],
            "bits": f"{bits} bits",
            "change": row[task][bits] - row[task][16],
            "label": f"{bits} bits: {row[task][bits]:.2f}",
            "above": bits == 4,
        }
        for row in rows
        for bits in (4, 2)
    ]
    kinds = alt.Scale(domain=["MHA", "GQA", "MQA"], range=[colours.mha, colours.gqa, colours.mqa])
    order = [f"{row['model']} ({row['kind']}, G = {row['num_kv_heads']})" for row in rows]
    y = alt.Y("model:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))
    lowest, highest = min(dot["change"] for dot in dots), max(dot["change"] for dot in dots)
    room = 0.22 * (highest - lowest)
    scale = alt.Scale(domain=[lowest - room, max(highest, 0) + room], nice=False)
    axis = alt.Axis(tickCount=8)
    x = alt.X("change:Q", title="points against the same model at 16 bits", scale=scale, axis=axis)
    base = alt.Chart(alt.Data(values=dots)).encode(y=y)
    hue = alt.Color("kind:N", legend=None, scale=kinds)
    # an edge of the page's colour, so that the line at zero does not run through the words
    edged: dict[str, Any] = {"stroke": colours.background, "strokeWidth": 5, "strokeJoin": "round"}
    plain: dict[str, Any] = {}
    zero = (
        alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=colours.text).encode(x=alt.X("zero:Q", scale=scale))
    )
    says = [
        base.transform_filter(where).mark_text(dy=dy, fontWeight=600, **edge).encode(x=x, text="label:N", color=colour)
        for edge, colour in ((edged, alt.value(colours.background)), (plain, hue))
        for where, dy in (("datum.above", -15), ("!datum.above", 17))
    ]
    return alt.layer(
        zero,
        base.mark_line(color=colours.line).encode(x=x, detail="model:N"),
        base.mark_point(filled=True, size=120, opacity=1).encode(x=x, color=hue),
        *says,
    ).properties(height=260)


PHONE_PX = 460  # a phone's and a paper's column: there the shorter words stand


def latent_chart(colours: Palette) -> Picture:
    """What an MLA layer of DeepSeek-V2 keeps of a token, and what is computed from it when it is read."""
    latent = {"left": 0.30, "right": 0.56, "top": 0.30, "bottom": 0.70}
    rope = {"left": 0.30, "right": 0.3325, "top": 0.78, "bottom": 0.96}
    hidden = [{"left": 0.0, "right": 0.19, "top": 0.30, "bottom": 0.70, "x": 0.095, "y": 0.5, "text": "hidden state",
               "short": "hidden"}]  # fmt: skip
    heads: list[Row] = [
        {"left": 0.76, "right": 1.0, "top": 0.06 + i * 0.17, "bottom": 0.19 + i * 0.17, "x": 0.88,
         "y": 0.125 + i * 0.17, "text": text}
        for i, text in enumerate(("K, V of head 1", "K, V of head 2", "…", "K, V of head 128"))
    ]  # fmt: skip
    links = [{"x": 0.195, "y": 0.5, "x2": 0.295, "y2": 0.5}, {"x": 0.195, "y": 0.66, "x2": 0.295, "y2": 0.87}]
    links += [{"x": 0.565, "y": 0.5, "x2": 0.755, "y2": row["y"]} for row in heads]
    bus = 0.72  # the rotary key goes to every head: along one line, so that it crosses nothing
    links += [
        {"x": 0.338, "y": 0.87, "x2": bus, "y2": 0.87},
        {"x": bus, "y": 0.87, "x2": bus, "y2": heads[0]["y"] + 0.04},
    ]
    links += [{"x": bus, "y": row["y"] + 0.04, "x2": 0.755, "y2": row["y"] + 0.04} for row in heads]
    inside = [{"x": 0.43, "y": 0.5, "text": "latent, 512"}]
    first_caption = [{"x": 0.0, "y": 0.16, "text": "computed, not kept", "short": "not kept"}]
    captions = [
        {"x": 0.43, "y": 0.16, "text": "kept in the cache: 576"},
        {"x": 0.88, "y": 0.79, "text": "computed when read"},
    ]
    beside = [{"x": 0.345, "y": 0.93, "text": "rotary key, 64, shared by all heads"}]
    return alt.layer(
        lines(links, mixed(colours.line, colours.background, 0.75)),
        boxes(hidden, colours.ghost),
        boxes([latent, rope], colours.mla),
        boxes(heads, colours.ghost),
        words(hidden, colours.text, 13, narrow_px=PHONE_PX),
        words(inside, colours.on_fill, 15, bold=True),
        words(heads, colours.text, 12),
        words(first_caption, colours.muted, 13, align="left", narrow_px=PHONE_PX),
        words(captions, colours.muted, 13),
        words(beside, colours.mla, 13, align="left", bold=True),
    ).properties(height=300)


def shares_chart(shares: Sequence[Share], tensor_parallel: int, colours: Palette) -> Picture:
    """Elements that one rank keeps of a token and layer."""
    rows: list[Row] = [{"name": share.name, "kind": share.kind, "elements": share.elements} for share in shares]
    kinds = alt.Scale(domain=["MHA", "GQA", "MQA", "MLA"], range=[colours.mha, colours.gqa, colours.mqa, colours.mla])
    where = "the one GPU" if tensor_parallel == 1 else f"each of {tensor_parallel} GPUs"
    most = max(row["elements"] for row in rows)
    x = alt.X("elements:Q", title=f"elements per token and layer on {where}", scale=alt.Scale(domain=[0, most * 1.12]),
              axis=alt.Axis(tickCount=8, labelFlush=40))  # fmt: skip
    y = alt.Y("name:N", sort=[row["name"] for row in rows], title=None,
              axis=alt.Axis(ticks=False, domain=False, labelPadding=8))  # fmt: skip
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, color=alt.Color("kind:N", legend=None, scale=kinds))
    return alt.layer(
        base.mark_bar(height=26),
        base.mark_text(align="left", dx=8, fontWeight="bold").encode(text=alt.Text("elements:Q", format=",.0f")),
    ).properties(height=max(200, 50 * len(rows)))


def _place(pool: Pool, owner: str, block: int) -> str:
    table = next(table for table in pool.tables if table.name == owner)
    return f"{owner}, {ORDINALS[table.blocks.index(block)]}"


def _slot(left: float, top: float, width: float, height: float, slot: int, count: int) -> Row:
    cell = (width - 0.02) / count
    start = left + 0.01 + slot * cell
    return {
        "left": start + 0.001,
        "right": start + cell - 0.001,
        "top": top + 0.3 * height,
        "bottom": top + 0.86 * height,
    }


def _tables(pool: Pool, colours: Palette) -> list[alt.Chart]:
    rows: list[Row] = []
    cells: list[Row] = []
    for line, table in enumerate(pool.tables):
        y = 0.18 + line * 0.2
        rows.append({"x": 0.0, "y": y, "text": table.name, "short": table.name})
        rows.append({"x": 0.03, "y": y, "text": f"{table.tokens} tokens", "short": str(table.tokens)})
        for place, block in enumerate(table.blocks):
            left = 0.13 + place * 0.052
            cells.append({"left": left, "right": left + 0.046, "top": y - 0.06, "bottom": y + 0.06,
                          "x": left + 0.023, "y": y, "text": str(block)})  # fmt: skip
    if not rows:
        return [words([{"x": 0.0, "y": 0.18, "text": "no sequence is running"}], colours.muted, 13, align="left")]
    drawn = [words(rows, colours.text, 13, align="left", narrow_px=TABLES_NARROW_PX)]
    return [*drawn, boxes(cells, colours.panel, stroke=colours.line), words(cells, colours.text, 13, bold=True)]
