"""The pictures of the technique pages by name: chart, the sentence that it shows, and the same in words."""

from collections.abc import Callable

from core.figures import technique_bytes, techniques, uptraining
from core.figures.engine_pages import pages_alt_text, pages_chart
from core.figures.lessons import Picture, made
from core.figures.palette import Palette
from core.learning.techniques import eviction, latent, paging, quantisation, server_pages
from core.learning.techniques.published import published
from core.units import number_of
from core.uptraining import results
from core.uptraining.recipe import SCRATCH, Recipe
from core.uptraining.results import Point


def picture(name: str, colours: Palette, **inputs: object) -> Picture:
    """The picture of that name. Raises ValueError for an unknown name or inputs that it refuses."""
    if name not in PICTURES:
        raise ValueError(f"no picture is called '{name}': choose one of {', '.join(PICTURES)}")
    return PICTURES[name](colours, **inputs)


def pool(colours: Palette, *, step: int) -> Picture:
    found = paging.pool_at(step)
    used = sum(owner is not None for owner in found.owner)
    sentence = (
        f"**Step {step}.** {found.says} {used} of {len(found.owner)} blocks are taken, and "
        f"{number_of(found.unfilled_slots, 'slot is', 'slots are')} reserved but not written (grey)."
    )
    return made(techniques.pool_chart(found, colours), sentence, techniques.pool_alt_text(found))


def fragmentation(
    colours: Palette, *, prompt_median: int, output_median: int, spread: float, context_limit: int, block_size: int
) -> Picture:
    lengths = paging.LengthDistribution(
        prompt_median=prompt_median, output_median=output_median, spread=spread, context_limit=context_limit
    )
    uses = paging.compare(lengths, block_size=block_size)
    by_policy = {use.policy: use for use in uses}
    limit, paged = by_policy["limit"], by_policy["paged"]
    sentence = (
        f"With these lengths, reserving {context_limit:,} tokens each uses **{limit.used_share:.1%}** of what it "
        f"reserves, and blocks of {block_size} use **{paged.used_share:.1%}**: the same memory holds "
        f"{limit.reserved_tokens / paged.reserved_tokens:.1f} times as many sequences."
    )
    said = "; ".join(f"{paging.POLICIES[use.policy]}: {use.used_share:.1%}" for use in uses)
    return made(techniques.use_chart(uses, published()["paged_use"].values, colours), sentence, said)


def server_request(colours: Palette, *, context_length: int) -> Picture:
    found = server_pages.taken(context_length)
    sentence = (
        f"**{context_length:,} tokens of {server_pages.MODEL} take {found.times:,.3g} times their keys and values.** "
        "Each row is a group of layers, each box a page: solid is filled, hatched is reserved and empty."
    )
    return made(pages_chart(found.plan, colours), sentence, pages_alt_text(found.plan))


def evicted(colours: Palette, *, num_tokens: int, budget: int, num_sinks: int, marked: int) -> Picture:
    kept = [
        eviction.keep(policy, num_tokens=num_tokens, budget=budget, num_sinks=num_sinks) for policy in eviction.POLICIES
    ]
    weights = eviction.attention_weights(num_tokens, num_hitters=eviction.NUM_HITTERS, seed=0)[-1]
    position = min(marked, num_tokens) - 1
    holds = [eviction.POLICIES[policy.policy] for policy in kept if policy.holds(position)]
    sentence = (
        f"With room for {budget} of {num_tokens} tokens, token {position + 1} is still there under: "
        f"**{'; '.join(holds)}**."
    )
    said = "; ".join(
        f"{eviction.POLICIES[policy.policy]}: {policy.num_kept} tokens, {policy.attention_kept:.0%} of attention"
        for policy in kept
    )
    return made(techniques.eviction_chart(kept, list(weights), position, colours), sentence, said)


def sinks(colours: Palette) -> Picture:
    rows = published()["sinks"]["llama2_7b"]
    sentence = (
        "**One first token kept ends the collapse of Llama-2-7B, four bring it back.** Published perplexity with a "
        "window and so many first tokens."
    )
    said = "; ".join(f"{row['sinks']} kept: {row['perplexity']:,.2f}" for row in rows)
    return made(techniques.sinks_chart(rows, colours), sentence, said)


def rounding(colours: Palette, *, group: int, outlier_scale: float) -> Picture:
    trials = quantisation.trials(quantisation.sample(outlier_scale=outlier_scale), group=group)
    error = {(trial.key_axis, trial.bits): trial.output_error for trial in trials}
    factor = error["token", 4] / error["channel", 4]
    sentence = (
        f"With large channels {outlier_scale:g} times the rest and groups of {group}, 4 bits cost "
        f"{quantisation.stored_bits(4, group):g} bits an element. Grouping keys by token makes **{factor:.1f} times** "
        "the error of grouping them by channel."
    )
    said = "; ".join(
        f"keys by {trial.key_axis}, {trial.stored_bits:g} bits: {trial.output_error:.1%}" for trial in trials
    )
    return made(techniques.error_chart(trials, colours), sentence, said)


def kivi(colours: Palette, *, task: str) -> Picture:
    rows, name = published()["kivi"]["rows"], {"coqa": "CoQA", "gsm8k": "GSM8K"}[task]
    falls = {row["model"]: row[task][2] - row[task][16] for row in rows}
    worst = min(falls, key=lambda model: falls[model])
    sentence = (
        f"**At 2 bits {worst} falls most on {name}, by {-falls[worst]:.2f} points.** KIVI's published scores, each "
        "against the same model at 16 bits."
    )
    said = "; ".join(f"{row['model']}: {row[task][16]}, {row[task][4]}, {row[task][2]}" for row in rows)
    return made(techniques.kivi_chart(rows, task, colours), sentence, f"{name} at 16, 4 and 2 bits. {said}")


def kept_by_mla(colours: Palette) -> Picture:
    layer = latent.DEEPSEEK_V2
    sentence = (
        f"**A token leaves {latent.latent_elements()} numbers behind in each layer.** Keys and values of all "
        f"{layer.num_query_heads} heads are computed from them when they are read."
    )
    said = f"hidden state, then latent of {layer.latent_dim} and rotary key of {layer.rope_dim}, then every head"
    return made(techniques.latent_chart(colours), sentence, said)


def split_shares(
    colours: Palette, *, num_query_heads: int, num_kv_heads: int, head_dim: int, tensor_parallel: int
) -> Picture:
    shares = latent.shares(
        num_query_heads=num_query_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        tensor_parallel=tensor_parallel,
    )
    elements = {share.kind: share.elements for share in shares}
    ratio = elements["MLA"] / elements["GQA"]
    gpus = "one GPU" if tensor_parallel == 1 else f"each of {tensor_parallel} GPUs"
    than = f"{1 / ratio:.1f} times less than" if ratio < 1 else f"{ratio:.1f} times as much as"
    sentence = f"On {gpus}, MLA keeps **{than}** GQA with G = {num_kv_heads}."
    said = "; ".join(f"{share.name}: {share.elements:,.0f} elements" for share in shares)
    return made(techniques.shares_chart(shares, tensor_parallel, colours), sentence, said)


def conversion(colours: Palette, *, num_kv_heads: int, method: str) -> Picture:
    heads = Recipe().num_query_heads
    sentence = {
        "mean": "**Every new head is the average of its group.** All heads contribute, and none survives as it was.",
        "first": "**One head of each group survives as it was.** What the others had learned is lost.",
        "random": "**Nothing survives.** The new heads must be learned again.",
    }[method]
    chart = uptraining.conversion_chart(heads, num_kv_heads, method, colours)
    return made(chart, sentence, uptraining.conversion_alt_text(heads, num_kv_heads, method))


def losses(
    colours: Palette, *, points: tuple[Point, ...], recipe: Recipe, against: str, before: bool, finding: str
) -> Picture:
    chart = uptraining.loss_chart(points, recipe, colours, against=against, before=before)
    said = "; ".join(
        f"{results.METHOD_WORDS[point.method]}, G = {point.num_kv_heads}: "
        f"{point.loss_before if before else point.loss_after:.3f} nats"
        for point in points
        if not (before and point.method == SCRATCH)
    )
    return made(chart, finding, said)


def training(colours: Palette, *, steps: tuple[tuple[int, float], ...], recipe: Recipe) -> Picture:
    last = f"after {steps[-1][0]:,} steps {steps[-1][1]:.3f}" if steps else "not started"
    sentence = "**Loss while it trains.** Each conversion starts high and comes down as the model trains on."
    return made(uptraining.training_chart(steps, recipe, colours), sentence, f"Training loss, {last}")


PICTURES: dict[str, Callable[..., Picture]] = {
    "pool": pool,
    "fragmentation": fragmentation,
    "server_request": server_request,
    "evicted": evicted,
    "sinks": sinks,
    "rounding": rounding,
    "kivi": kivi,
    "kept_by_mla": kept_by_mla,
    "split_shares": split_shares,
    "conversion": conversion,
    "losses": losses,
    "training": training,
    **technique_bytes.PICTURES,
}
