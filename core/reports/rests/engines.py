"""Engines: the rows on screen as a table, and how each is reckoned."""

from collections.abc import Sequence

from core.reports.closing import Rests
from core.reports.exports import Section
from core.serving.engine_table import MEMORIES_GIB, TableRow
from core.units import GIB

MOST_FORMULAS = 12
HEADS = ("Model", "Engine", "One request, bytes", "Times payload", *(f"Requests in {g} GiB" for g in MEMORIES_GIB))


def engines_rests(rows: Sequence[TableRow]) -> Rests:
    """The table of the selection; the formula for those that take most beyond the payload; refusals with their why."""
    served = [row for row in rows if row.request_bytes is not None]
    refused = [row for row in rows if row.refused]
    body = [Section(title="Bytes of one request on each engine", table=(HEADS, tuple(map(_cells, served))))]
    if refused:
        cells = tuple((row.model, row.version, row.refused) for row in refused)
        body.append(Section(title="Not served, and why", table=(("Model", "Engine", "Why"), cells)))
    return Rests(
        said=f"{len(rows)} rows, {len(refused)} of which the engine does not serve.",
        body=tuple(body),
        formulas=tuple(formula for row in _dearest(served) for formula in _formulas(row)),
        assumed=(
            "One rank, a 16-bit cache, each engine at its defaults and by the rules of the version that is named.",
            "Requests are what that memory serves at once when all of it is for the cache.",
        ),
    )


def _cells(row: TableRow) -> tuple[str, ...]:
    return (
        row.model,
        row.version,
        f"{row.request_bytes:,}",
        "–" if row.times_payload is None else f"{row.times_payload:.2f}",
        *("–" if held is None else f"{held:,}" for held in (row.requests_40_gib, row.requests_70_gib)),
    )


def _dearest(served: Sequence[TableRow]) -> list[TableRow]:
    known = [row for row in served if row.times_payload]
    return sorted(known, key=lambda row: -(row.times_payload or 0))[:MOST_FORMULAS]


def _formulas(row: TableRow) -> list[tuple[str, str, str]]:
    """Bytes over payload; where a request is one piece, the memory over it."""
    each, times = row.request_bytes or 0, row.times_payload or 1
    name = f"{row.model} on {row.version}, {row.context_length:,} tokens"
    found = [(name, f"{each:,} B / {each / times:,.0f} B of payload", f"{times:,.3g} times")]
    if row.engine in ("mlx", "transformers") and row.requests_40_gib is not None:
        memory = MEMORIES_GIB[0] * GIB
        found.append((f"{name}: in {MEMORIES_GIB[0]} GiB", f"{memory:,} B / {each:,} B", f"{row.requests_40_gib:,}"))
    return found
