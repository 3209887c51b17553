"""The job of a decision record, row by row: what somebody needs to size it again."""

from core.reports.exports import Table
from core.serving.draft import NAMED
from core.serving.engine_words import NAMES
from core.serving.job import PAYLOAD, ServingJob
from core.serving.memory_plan import MemoryPlan
from core.serving.options import Option, option_name
from core.serving.split_words import split_of
from core.serving.stored import average_bits, storage
from core.units import GB, GIB


def job_table(model_name: str, job: ServingJob, option: Option) -> Table:
    """What was asked for, as the option under discussion has it; what a server does besides only where it was asked."""
    plan = option.plan
    pattern = job.window_pattern
    windows = (
        "the model's own"
        if pattern is None
        else f"{pattern.global_layers} global and {pattern.local_layers} local layers of {pattern.window:,} tokens"
    )
    served, engine = plan.job, plan.engine_plan
    block = served.block_size if engine is None or engine.block_size is None else engine.block_size
    reserve = "by the server's log" if served.measured else f"{served.runtime_reserve_bytes / GB:g} GB"
    rows = (
        ("Model", f"{model_name}, {plan.parameters.total:,} parameters at {option_name(option)}"),
        ("Sequences × tokens", f"{job.batch_size:,} × {job.context_length:,}"),
        ("Weights and KV cache", f"{_weight_words(plan)} and {float(served.kv_bits_per_element):g} bits an element"),
        ("Sliding windows", windows),
        ("Accelerators", f"{job.num_accelerators} × {job.device.name}, {split_of(job)}"),
        *_engine_rows(job, plan),
        ("Memory utilisation and reserve", f"{job.memory_utilization:g} and {reserve}"),
        ("Block and prefill chunk", f"{block} and {job.prefill_chunk:,} tokens"),
        ("K and V weights that a smaller G frees", job.freed_parameters),
        *_beside_rows(served),
    )
    return ("Input", "Value"), rows


def _engine_rows(job: ServingJob, plan: MemoryPlan) -> list[tuple[str, str]]:
    """Whose allocation was counted, with what it was set to otherwise than it is by itself."""
    asked = plan.engine_plan
    if job.engine == PAYLOAD:
        return []
    if asked is None:
        return [("Engine", f"{NAMES[job.engine]}, counted as payload")]
    settings = "".join(f", {name} {value}" for name, value in job.engine_settings)
    return [("Engine", f"{asked.version}{settings}")]


def _beside_rows(job: ServingJob) -> list[tuple[str, str]]:
    """What a server does besides, and its own memory; of each only what was asked for."""
    rows = []
    if job.measured is not None:
        rows.append(("Memory for the cache, by the server's log", f"{job.measured.cache_bytes / GIB:,.4g} GiB"))
    if (draft := job.draft) is not None:
        who = "the model's own layers" if draft.model is None else draft.model.model_type
        rows.append(("Draft", f"{NAMED[draft.method]}, {who}, {draft.tokens} tokens a step"))
    if job.shared_prefix:
        rows.append(("Shared prefix", f"{job.shared_prefix:,} tokens"))
    if job.offload is not None:
        outside = job.offload
        rate = f"{outside.bandwidth_bytes_per_s / GB:,.4g} GB/s"
        rows.append(("Cache offload", f"{outside.num_bytes / GB:,.4g} GB beside each accelerator, over {rate}"))
    return rows


def _weight_words(plan: MemoryPlan) -> str:
    """'16 bits', or a format's name and what a weight takes on average."""
    job = plan.job
    if job.weight_format is None:
        return f"{job.weight_bits:g} bits"
    name, average = storage(job).name, f"{average_bits(job, plan.parameters):.3g} bits"
    return f"{average} a weight" if name == average else f"{name}, {average} a weight"
