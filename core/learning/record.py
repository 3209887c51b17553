"""The capstone's decision record: the job, what fits, the choice and its reason, what would change it; as Markdown."""

from core.evidence import evidence_for, findings_for
from core.evidence_records import Finding
from core.learning.figures import CAPSTONE, CAPSTONE_CHOICES
from core.roofline import decode_bound
from core.serving.memory_plan import MemoryPlan
from core.sizing import largest_batch, plan
from core.units import format_both, format_bytes


def decision_record(*, num_kv_heads: int, kv_bits: int, reason: str) -> str:
    """The record of one choice. Raises SizingError for a G or bits that the job cannot have."""
    job = CAPSTONE.where(num_kv_heads=num_kv_heads, kv_bits=kv_bits)
    made = plan(job)
    return "\n".join(
        [
            f"# KV heads of the 13B model: G = {num_kv_heads}, {kv_bits}-bit cache",
            "",
            "## The job",
            f"- {job.batch_size} sequences of {job.context_length:,} tokens on one {job.device.name}",
            "- Shape: 40 layers, 40 query heads, head_dim 128; weights in 16 bits, parameters that G frees are dropped",
            "",
            "## What it takes",
            *_lines(made),
            "",
            "## What was weighed",
            *_options(),
            "",
            "## What is published",
            f"- {evidence_for(40, num_kv_heads).sentence}",
            *[f"- {finding.statement} ({finding.citation})" for finding in _on_bits(kv_bits)],
            "",
            "## Reason",
            reason.strip() or "(not given)",
            "",
            "## What would change it",
            "- A mean length well below the longest: a paged cache charges for tokens that are there.",
            "- Windows on most layers, more GPUs, or fewer bits: each makes a larger G fit.",
            "- A proxy trained at both candidates whose losses differ by more than the team accepts.",
            "",
        ]
    )


def _lines(made: MemoryPlan) -> list[str]:
    verdict = "fits" if made.fits else "does not fit"
    bound = decode_bound(made.job)
    step = bound.step_seconds
    lines = [
        f"- Weights {format_bytes(made.weight_bytes)}, cache {format_both(made.kv_reserved_bytes)}, reserve "
        f"{format_bytes(made.runtime_bytes)}: {format_bytes(made.total_bytes)}",
        f"- Budget {format_bytes(made.budget_bytes)}: it **{verdict}**, headroom {format_bytes(made.headroom_bytes)}",
    ]
    if step is not None:
        lines.append(f"- A step takes at least {1000 * step:.1f} ms, so at most {1 / step:.1f} tokens/s a user")
    return lines


def _options() -> list[str]:
    """The three that cost the same, and G = 8 in 8 bits with the users that it would hold."""
    told = [f"- G = {g}, {bits} bits: {_verdict(g, bits)}" for g, bits in CAPSTONE_CHOICES]
    eight = largest_batch(CAPSTONE.where(num_kv_heads=8, kv_bits=8))
    return [*told, f"- G = 8, 8 bits: {_verdict(8, 8)}; it would hold {int(eight)} sequences"]


def _verdict(num_kv_heads: int, kv_bits: int) -> str:
    made = plan(CAPSTONE.where(num_kv_heads=num_kv_heads, kv_bits=kv_bits))
    return f"{format_bytes(made.total_bytes)}, {'fits' if made.fits else 'does not fit'}"


def _on_bits(kv_bits: int) -> list[Finding]:
    return [] if kv_bits >= 16 else list(findings_for("kv_quantisation", bits=kv_bits)[:2])
