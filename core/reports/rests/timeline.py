"""The timeline: each model's bytes a token with their numbers, and what says its month."""

from collections.abc import Sequence

from core.figures.timeline import CONTEXT, Dot
from core.reports.closing import Rests, Sourced


def timeline_rests(found: Sequence[Dot]) -> Rests:
    """Every dot, oldest first."""
    return Rests(
        said=f"{len(found)} models of the registry, by the month that they came out in, on a scale of bytes a token.",
        formulas=tuple(
            (f"{dot.name}, {dot.released}", f"{dot.bytes_per_token * CONTEXT:,.0f} B / {CONTEXT:,} tokens",
             f"{dot.bytes_per_token / 1024:,.1f} KiB a token")
            for dot in found
        ),
        evidence=tuple(Sourced(says=f"{dot.name} came out in {dot.released}.", source=dot.release_source)
                       for dot in found),
        assumed=(
            f"One sequence of {CONTEXT:,} tokens at 16 bits: cache, index keys and constant states, shared out over "
            "its tokens.",
            "A dot stands at the first of its month: the month is what most sources give.",
        ),
    )  # fmt: skip
