"""What to measure to confirm a choice of G: memory, step time, spread of KV lengths, and quality; as Markdown."""

import shlex

from core.models.attention import GroupedAttention
from core.reports.exports import Table
from core.reports.tables import markdown_table
from core.serving.job import ServingJob
from core.serving.options import Option, OptionGrid, as_payload
from core.serving.roofline import decode_bound
from core.units import GB, in_gb

DTYPES = {16: "bfloat16", 8: "float8_e4m3fn", 4: "int4"}


def benchmark_plan(*, model_name: str, grid: OptionGrid, option: Option, link: str, written: str) -> str:
    """The plan for one option, with what each measurement is expected to show."""
    job = option.plan.job
    name = "the model as published" if option.num_kv_heads is None else f"G = {option.num_kv_heads}"
    parts = [
        f"# Benchmark plan: {name} for {model_name}",
        f"Written {written} by Headroom. The view: {link}",
        f"Confirms, on {job.num_accelerators} × {job.device.name}: {job.batch_size:,} sequences of "
        f"{job.context_length:,} tokens with {option.cache}.",
        as_payload(option.engine_refusal),
        *job.model.remarks,
        "## 1. Memory",
        _memory(option),
        "## 2. Step time against its bound",
        "Decode with every sequence at the same length. Warm up, synchronise, take medians of at least 20 steps with "
        "their spread. The bound is bytes over bandwidth: a result below it means that the measurement is wrong.",
        markdown_table(_step_table(grid, option)),
        "Record the ratio of bound to measured. If G makes less difference than the bound says, something other than "
        "the cache is the bottleneck.",
        *_spread_parts(job),
        "## 4. One layer's attention alone",
        _kernel(grid, option),
        "## 5. Quality",
        _quality(option),
        "## Decide beforehand",
        "- The step time, the usage of the KV cache and the loss in quality at which the choice is dropped.\n"
        "- Who runs it, on which commit, and where the results are kept.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _memory(option: Option) -> str:
    plan = option.plan
    draft = f", {plan.draft_weight_bytes / GB:,.2f} GB of the draft's weights" if plan.draft_weight_bytes else ""
    under = f"under {plan.budget_bytes / GB:,.2f} GB"
    if not plan.fits:
        why = plan.refusal_words or f"{in_gb(-plan.headroom_bytes)} more than there are"
        under = f"of {plan.budget_bytes / GB:,.2f} GB. **It does not fit, for {why}: make it fit before it is run**"
    return (
        f"- Expect {plan.kv_reserved_bytes / GB:,.2f} GB of KV cache and {plan.weight_bytes / GB:,.2f} GB of weights"
        f"{draft} on each accelerator, {plan.total_bytes / GB:,.2f} GB in all, {under}.\n"
        "- Read the engine's own log: KV cache size in tokens or blocks, and the memory after loading the weights.\n"
        "- Raise the batch until it preempts; compare the largest batch with the plan's."
    )


def _step_table(grid: OptionGrid, option: Option) -> Table:
    """Bounds at three batches and three contexts for the chosen G and its neighbours."""
    job = option.plan.job
    rows = []
    for g in _neighbours(grid, option):
        for context in sorted({max(job.context_length // 16, 1), max(job.context_length // 4, 1), job.context_length}):
            for batch in sorted({1, max(job.batch_size // 4, 1), job.batch_size}):
                at = job.where(num_kv_heads=g, context_length=context, batch_size=batch)
                seconds = decode_bound(at).step_seconds
                rows.append(
                    (
                        "as published" if g is None else str(g),
                        f"{context:,}",
                        f"{batch:,}",
                        "unknown" if seconds is None else f"{seconds * 1e3:.2f}",
                        "",
                    )
                )
    return ("G", "Tokens", "Batch", "Bound, ms", "Measured, ms"), tuple(rows)


def _neighbours(grid: OptionGrid, option: Option) -> list[int | None]:
    """The chosen G with the one below and the one above it."""
    place = grid.kv_heads.index(option.num_kv_heads)
    return list(grid.kv_heads[max(place - 1, 0) : place + 2])


def _spread_parts(job: ServingJob) -> list[str]:
    """Of contexts that can be spread at all."""
    if job.context_length < 2:
        return ["## 3. Spread of KV lengths", "With one token in each sequence there is nothing to spread."]
    return [
        "## 3. Spread of KV lengths",
        _spread(job),
        markdown_table(_length_table(job)),
        "Record the median and the 95th percentile of the time between tokens, preemptions and the peak usage of the "
        "KV cache.",
    ]


def _spread(job: ServingJob) -> str:
    return (
        "Real batches are ragged, and one long sequence can hold up a step. Run three batches with the same number of "
        f"live tokens ({job.batch_per_replica * job.context_length // 2:,}) and compare: if time depends on the "
        "spread, the kernel's scheduling is the limit, not bandwidth."
    )


def _length_table(job: ServingJob) -> Table:
    """Three mixes of equal total: constant, uniform, and one in eight long."""
    half = job.context_length // 2
    rows = (
        ("constant", f"all at {half:,}", "0"),
        ("uniform", f"0 to {job.context_length:,}", f"{job.context_length / 12**0.5:,.0f}"),
        (
            "one in eight long",
            f"1/8 at {job.context_length:,}, 7/8 at {max(0, (half * 8 - job.context_length) // 7):,}",
            f"{(job.context_length - half) / 7**0.5:,.0f}",
        ),
    )
    return ("Mix", "Tokens in each sequence", "Standard deviation, tokens"), rows


def _kernel(grid: OptionGrid, option: Option) -> str:
    """The command that measures one layer on a host, for grouped attention of one shape."""
    shapes = {
        (layer.num_query_heads, layer.head_dim)
        for layer in option.plan.job.model.layers
        if isinstance(layer, GroupedAttention)
    }
    if len(shapes) != 1 or option.num_kv_heads is None:
        return "Headroom's kernels measure layers of grouped attention with one shape; this model has others."
    job = option.plan.job
    heads, head_dim = shapes.pop()
    dtype = _dtype(option.kv_bits, head_dim)
    command = [
        "python", "-m", "core.decode", "run",
        "--query-heads", str(heads), "--kv-heads", ",".join(str(g) for g in reversed(grid.kv_heads)),
        "--head-dim", str(head_dim), "--context", str(job.context_length), "--batch", str(job.batch_per_replica),
        "--dtype", dtype,
    ]  # fmt: skip
    otherwise = ""
    if option.kv_bits < 16 and dtype == "bfloat16":
        otherwise = f" No kernel here reads this {option.kv_bits}-bit cache: it is measured in bfloat16."
    return (
        "Each KV byte must be read once for a whole group of query heads; this checks that it is, beside bandwidth "
        f"measured in the same run.{otherwise}\n\n```\n{shlex.join(command)}\n```"
    )


def _dtype(kv_bits: int, head_dim: int) -> str:
    """int4 has a scale for 32 elements of a head."""
    return "bfloat16" if kv_bits == 4 and head_dim % 32 else DTYPES.get(kv_bits, "bfloat16")


def _quality(option: Option) -> str:
    lines = [
        "- Two small proxy models of equal parameters on the same data, each with a tuned learning rate: loss, and "
        "stability of fine-tuning on long inputs.",
        "- Retrieval, code and mathematics at the full context, not perplexity alone.",
    ]
    if option.kv_bits < 16:
        lines.append(
            f"- The {option.kv_bits}-bit cache against bf16 on the same checkpoint, at the full context, with the "
            "scales that will be served."
        )
    if option.plan.job.window_pattern is not None:
        lines.append("- The window pattern must be trained in: test recall of text beyond the window.")
    return "\n".join(lines)
