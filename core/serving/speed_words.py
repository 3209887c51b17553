"""What is said of speed but for a step's: first token, draft, shared prefix, offload, each a bound with its numbers."""

from core.serving.draft import NAMED
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan
from core.serving.offload import Offload, OffloadBound
from core.serving.prefill import prefill_bound
from core.serving.speed_aid_bounds import DraftBound, cached_prefix_bound, draft_bound, offload_of
from core.units import GB, format_both, format_bytes


def first_token_lines(job: ServingJob) -> tuple[str, list[str]]:
    """The bound on the time to the first token of one request in a sentence, and its formulas with numbers put in."""
    bound = prefill_bound(job)
    if bound.seconds is None:
        return "**Time to first token**: neither rate nor bandwidth of this accelerator is known, so no bound.", []
    said = (
        f"**Time to first token ≥ {bound.seconds:,.2f} s** for {bound.tokens:,} tokens of one request: a bound, from "
        f"arithmetic alone where it is the longer side. {bound.caveat}"
    ).rstrip()
    matrices = f"2 × {bound.parameters:,} × {bound.tokens:,} + 2 × {bound.head_parameters:,}"
    work = f"({matrices} + {bound.attention_flops:,} of attention) FLOP"
    lines = []
    if bound.compute_seconds is not None and bound.flops_per_s:
        rate = f"{bound.flops_per_s / 1e12:,.1f} TFLOP/s"
        lines.append(f"compute: {work} / {bound.ranks} / {rate} = {bound.compute_seconds:,.3f} s")
    if bound.memory_seconds is not None and bound.bandwidth_bytes_per_s:
        bytes_, rate = format_both(bound.weight_read_bytes, 2), f"{bound.bandwidth_bytes_per_s / 1e12:.3f} TB/s"
        lines.append(f"weights read once: {bytes_} / {rate} = {bound.memory_seconds:,.3f} s")
    return said, lines


def aids_lines(plan: MemoryPlan) -> list[tuple[str, str]]:
    """A sentence and its formula with the numbers put in, for draft, prefix and offload in turn."""
    job, found = plan.job, []
    drafted, cached, outside = draft_bound(job), cached_prefix_bound(job), offload_of(plan)
    if drafted is not None and drafted.seconds is not None and drafted.draft_seconds is not None and job.draft:
        found.append(
            (
                f"**With {NAMED[job.draft.method]}, at most {drafted.tokens_per_second:,.0f} tokens/s** over all users "
                f"where every drafted token is accepted, and {drafted.least_tokens_per_second:,.0f} where none is: "
                "bounds.",
                _drafted(drafted),
            )
        )
    if cached is not None and cached.seconds is not None:
        found.append(
            (
                f"**Time to first token ≥ {cached.seconds:,.2f} s with the shared prefix in the cache**: a bound. "
                f"{cached.caveat}".rstrip(),
                f"prefill of {cached.tokens:,} of {job.context_length:,} tokens, by the formula above",
            )
        )
    if outside is not None and job.offload is not None:
        again = outside.recompute_seconds
        beside = "" if again is None else f", to work it out again ≥ {again:,.3g} s"
        found.append(
            (
                f"**Outside wait {outside.requests_kept:,} more requests**; to bring one back takes ≥ "
                f"{outside.load_seconds:,.3g} s{beside}: bounds.",
                f"{_kept(job.offload, outside)}; {format_bytes(outside.moved_bytes)} / "
                f"{job.offload.bandwidth_bytes_per_s / GB:,.0f} GB/s",
            )
        )
    return found


def _drafted(bound: DraftBound) -> str:
    """The step with a draft, and what it gives a second."""
    plain, seconds = bound.plain, (bound.seconds or 0.0) * 1e3
    step = f"{(bound.checked.step_seconds or 0.0) * 1e3:,.2f} ms"
    taken = f"({step} + {bound.speculated} × {format_bytes(bound.draft_bytes)} / bandwidth = {seconds:,.2f} ms)"
    stages = f" × {plain.batches_in_flight} stages" if plain.batches_in_flight > 1 else ""
    if not plain.emptier_copies:
        return f"{plain.batch_size:,} × ({bound.speculated} + 1){stages} / {taken}"
    each = f"{plain.batch_per_replica:,} × ({bound.speculated} + 1){stages} / {taken}"
    return f"the fullest copies: {each} each; {plain.emptier_copies:,} with a sequence less step in less"


def _kept(offload: Offload, outside: OffloadBound) -> str:
    """How many requests lie outside: by the chunks of vLLM's own offload, else by bytes."""
    if outside.chunks_kept is None or outside.chunks_of_a_request is None:
        return f"{format_bytes(offload.num_bytes)} / {format_bytes(outside.request_bytes)}"
    return f"{outside.chunks_kept:,} blocks outside / {outside.chunks_of_a_request:,} of a request"
