"""The capstone's decision record: the job, what fits, the choice and its reason, what would change it; as Markdown."""

from dataclasses import dataclass

from core.errors import SizingError
from core.evidence.records import Finding
from core.evidence.studies import evidence_for, findings_for
from core.learning.figures import CAPSTONE, CAPSTONE_CHOICES
from core.serving.inverse import largest_batch
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.roofline import decode_bound
from core.serving.what_if import WindowPattern
from core.units import format_both, format_bytes

PATTERNS = {
    "none": None,
    "10 full + 30 of 4,096": WindowPattern(global_layers=10, local_layers=30, window=4_096),
    "7 full + 33 of 1,024": WindowPattern(global_layers=7, local_layers=33, window=1_024),
}


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What of the job a choice may rest on; as they open, the job is the capstone's own.

    weight_bits   per stored weight
    freed         'dropped', or 'spent' on a wider FFN
    live_percent  mean length of a sequence, in percent of the longest
    pattern       a name of PATTERNS: which layers keep a window
    gpus          all of them one tensor-parallel group

    Raises SizingError for a pattern without a name here or a percent out of range.
    """

    weight_bits: int = 16
    freed: str = "dropped"
    live_percent: int = 100
    pattern: str = "none"
    gpus: int = 1

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS or not 1 <= self.live_percent <= 100:
            raise SizingError(
                f"windows {self.pattern!r} at {self.live_percent} %: choose one of {', '.join(PATTERNS)} and "
                "1 to 100 %."
            )

    @property
    def mean_length(self) -> int:
        """Tokens that a sequence holds on average."""
        return CAPSTONE.context_length * self.live_percent // 100

    def job(self, num_kv_heads: int, kv_bits: int) -> ServingJob:
        """The capstone's job under these conditions. Raises SizingError for a G or bits that it cannot have."""
        return CAPSTONE.where(
            num_kv_heads=num_kv_heads,
            kv_bits=kv_bits,
            weight_bits=self.weight_bits,
            freed_parameters=self.freed,
            context_length=self.mean_length,
            window_pattern=PATTERNS[self.pattern],
            num_accelerators=self.gpus,
            tensor_parallel=self.gpus,
        )

    def changes(self) -> list[str]:
        """How the tokens are held otherwise than asked, a phrase each; empty where nothing is changed."""
        said = []
        if self.live_percent < 100:
            said.append(
                f"A mean length of {self.mean_length:,} tokens, {self.live_percent} % of the longest, in a paged cache"
            )
        if (windows := PATTERNS[self.pattern]) is not None:
            said.append(
                f"{windows.global_layers} layers keep everything, {windows.local_layers} the last {windows.window:,} "
                "tokens, and are trained so"
            )
        if self.gpus > 1:
            said.append(f"{self.gpus} GPUs with tensor parallelism: the gigabytes below are of one of them")
        return said


AS_ASKED = Conditions()


def verdict_sentence(*, num_kv_heads: int, kv_bits: int, conditions: Conditions = AS_ASKED) -> str:
    """The verdict in one sentence. Raises SizingError for a G or bits that the job cannot have."""
    made = plan(conditions.job(num_kv_heads, kv_bits))
    verdict = "fits" if made.fits else "does not fit"
    return (
        f"**G = {num_kv_heads} in {kv_bits} bits {verdict}{_under(conditions)}**: {format_bytes(made.total_bytes)} of "
        f"{format_bytes(made.budget_bytes)} a GPU."
    )


def sizing_query(*, num_kv_heads: int, kv_bits: int, conditions: Conditions = AS_ASKED) -> dict[str, str]:
    """The query that opens the sizing page on that choice, so that it reaches the same verdict.

    That page judges every sequence at one length: it is given the mean, and traffic that holds just that.
    """
    query = {
        "size_g": num_kv_heads,
        "size_wish": num_kv_heads,
        "size_kv_bits": kv_bits,
        "size_batch": CAPSTONE.batch_size,
        "size_context": conditions.mean_length,
        "size_weight_bits": conditions.weight_bits,
        "size_freed": conditions.freed,
        "size_count": conditions.gpus,
        "size_tp": conditions.gpus,
    }
    if conditions.live_percent < 100:
        query["size_traffic"] = "Constant"
    if (windows := PATTERNS[conditions.pattern]) is not None:
        query |= {
            "size_windows": "Some layers keep a window",
            "size_global": windows.global_layers,
            "size_local": windows.local_layers,
            "size_window": windows.window,
        }
    return {name: str(value) for name, value in query.items()}


def decision_record(*, num_kv_heads: int, kv_bits: int, reason: str, conditions: Conditions = AS_ASKED) -> str:
    """The record of one choice under its conditions. Raises SizingError for a G or bits that the job cannot have."""
    made = plan(conditions.job(num_kv_heads, kv_bits))
    return "\n".join(
        [
            f"# KV heads of the 13B model: G = {num_kv_heads}, {kv_bits}-bit cache",
            "",
            "## The job",
            *_job(conditions),
            "",
            "## What it takes",
            *_lines(made, conditions),
            "",
            "## What was weighed",
            *_options(conditions),
            "",
            "## What is published",
            f"- {evidence_for(40, num_kv_heads).sentence}",
            *[f"- {finding.statement} ({finding.citation})" for finding in _on_bits(kv_bits)],
            "",
            "## Reason",
            reason.strip() or "(not given)",
            "",
            "## What would change it",
            *_doubts(conditions),
            "",
        ]
    )


def _job(conditions: Conditions) -> list[str]:
    freed = "dropped" if conditions.freed == "dropped" else "spent on a wider feed-forward part"
    told = [
        f"- {CAPSTONE.batch_size} sequences of {CAPSTONE.context_length:,} tokens on one {CAPSTONE.device.name}",
        f"- Shape: 40 layers, 40 query heads, head_dim 128; weights in {conditions.weight_bits} bits, parameters that "
        f"G frees are {freed}",
    ]
    changes = [f"- {change}" for change in conditions.changes()]
    return [*told, "", "## Conditions that change it", *changes] if changes else told


def _lines(made: MemoryPlan, conditions: Conditions) -> list[str]:
    verdict = "fits" if made.fits else "does not fit"
    each = " a GPU" if conditions.gpus > 1 else ""
    step = decode_bound(made.job).step_seconds
    lines = [
        f"- Weights {format_bytes(made.weight_bytes)}, cache {format_both(made.kv_reserved_bytes)}, reserve "
        f"{format_bytes(made.runtime_bytes)}: {format_bytes(made.total_bytes)}{each}",
        f"- Budget {format_bytes(made.budget_bytes)}{each}: it **{verdict}**{_under(conditions)}, headroom "
        f"{format_bytes(made.headroom_bytes)}",
    ]
    if step is not None:
        lines.append(f"- A step takes at least {1000 * step:.1f} ms, so at most {1 / step:.1f} tokens/s a user")
    return lines


def _under(conditions: Conditions) -> str:
    return "" if conditions == AS_ASKED else " under these conditions"


def _options(conditions: Conditions) -> list[str]:
    """The three that cost the same, and G = 8 in 8 bits with the users that it would hold."""
    told = [f"- G = {g}, {bits} bits: {_verdict(conditions.job(g, bits))}" for g, bits in CAPSTONE_CHOICES]
    eight = conditions.job(8, 8)
    return [*told, f"- G = 8, 8 bits: {_verdict(eight)}; it would hold {int(largest_batch(eight))} sequences"]


def _verdict(job: ServingJob) -> str:
    made = plan(job)
    return f"{format_bytes(made.total_bytes)}, {'fits' if made.fits else 'does not fit'}"


def _doubts(conditions: Conditions) -> list[str]:
    """What would make a larger G fit, and what the choice leans on."""
    doubts = []
    if conditions.live_percent == 100:
        doubts.append("- A mean length well below the longest: a paged cache charges for tokens that are there.")
    else:
        doubts.append(f"- A mean length above {conditions.mean_length:,} tokens: the cache grows with it.")
    doubts.append("- Windows on most layers, more GPUs, or fewer bits: each makes a larger G fit.")
    if conditions.pattern != "none":
        doubts.append("- Windows that cost more quality than a smaller G: every layer then keeps the whole context.")
    if conditions.gpus > 1:
        doubts.append(f"- Fewer than {conditions.gpus} GPUs: each would hold more of the weights and the cache.")
    doubts.append("- A proxy trained at both candidates whose losses differ by more than the team accepts.")
    return doubts


def _on_bits(kv_bits: int) -> list[Finding]:
    return [] if kv_bits >= 16 else list(findings_for("kv_quantisation", bits=kv_bits)[:2])
