"""The reference table: every registry model on every engine at three lengths, computed, never written down.

One rank, a 16-bit cache, each engine at its defaults: bytes of one request, times its payload, and how many such
requests a memory for the cache of 40 and of 70 GiB serves at once.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from io import StringIO
from math import floor

from core.engines.class_names import named_class
from core.engines.face import module_of, plan_cache
from core.engines.job_memory import held_bytes
from core.engines.plan import EngineError
from core.errors import SizingError
from core.host.spreadsheet import safe
from core.models.registry import RegisteredModel, load_registry
from core.models.spec import ModelSpec, read_config
from core.serving.kv_ledger import kv_ledger
from core.units import GIB

ENGINES = ("vllm", "sglang", "llama.cpp", "mlx", "transformers")
CONTEXTS = (4_096, 32_768, 131_072)
MEMORIES_GIB = (40, 70)
BITS, BYTES = 16, 2
MOST_SLOTS = 256  # of llama.cpp: LLAMA_MAX_SEQ


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One model on one engine at one length; where the engine does not serve it, refused says why."""

    model: str
    repository: str
    engine: str
    version: str
    context_length: int
    request_bytes: int | None = None
    times_payload: float | None = None
    requests_40_gib: int | None = None
    requests_70_gib: int | None = None
    refused: str = ""


FIELDS = tuple(field.name for field in fields(TableRow))
COLUMNS = tuple({"context_length": "context_tokens"}.get(name, name) for name in FIELDS)  # of the CSV, with units


def engine_table(
    models: Sequence[RegisteredModel] | None = None,
    engines: Sequence[str] = ENGINES,
    contexts: Sequence[int] = CONTEXTS,
) -> Iterator[TableRow]:
    """Rows of the registry, in its order."""
    for known in load_registry() if models is None else models:
        spec = named_class(read_config(known.config))
        for engine in engines:
            for context in contexts:
                yield _row(known, spec, engine, context)


def _row(known: RegisteredModel, spec: ModelSpec, engine: str, context: int) -> TableRow:
    try:
        one = plan_cache(spec, engine=engine, context_length=context, cache_bits=BITS)
        each = held_bytes(one, batch_size=1)
        requests = [requests_in(spec, engine, context, gib * GIB, each) for gib in MEMORIES_GIB]
    except (EngineError, SizingError) as refused:
        return TableRow(
            model=known.name, repository=known.repository, engine=engine,
            version=module_of(engine).VERSION, context_length=context,
            refused=str(refused),
        )  # fmt: skip
    payload = kv_ledger(spec, 1).reserved_elements(context, 1) * BYTES
    return TableRow(
        model=known.name,
        repository=known.repository,
        engine=engine,
        version=one.version,
        context_length=context,
        request_bytes=each,
        times_payload=each / payload if payload else None,
        requests_40_gib=requests[0],
        requests_70_gib=requests[1],
    )


def requests_in(spec: ModelSpec, engine: str, context: int, available_bytes: int, each: int) -> int | None:
    """Requests of that length at once from that memory; each is what one takes alone. None where it takes nothing."""
    if engine in ("vllm", "sglang", "mlx"):
        asked = plan_cache(
            spec, engine=engine, context_length=context, cache_bits=BITS, available_bytes=available_bytes
        )
        return 0 if asked.max_concurrency is None else floor(asked.max_concurrency)
    if not each:
        return None
    held = available_bytes // each
    return min(held, MOST_SLOTS) if engine == "llama.cpp" else held


def table_csv(rows: Sequence[TableRow]) -> str:
    """The rows as CSV, with a header."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = (getattr(row, name) for name in FIELDS)
        writer.writerow(["" if value is None else f"{value:.4g}" if isinstance(value, float) else safe(value)
                         for value in values])  # fmt: skip
    return text.getvalue()
