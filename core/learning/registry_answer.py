"""Which registered models use which layout, and with which G: read from the registry as it stands."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.models.attention import CompressedAttention, GroupedAttention, Layer, ParallelLayer
from core.models.registry import RegisteredModel
from core.models.spec import UnsupportedConfig, read_config


@dataclass(frozen=True, kw_only=True)
class ModelKind:
    """One model as the table shows it. kv_heads and query_heads are '8', or '8 and 4' where layers differ."""

    name: str
    kind: str
    kv_heads: str
    query_heads: str
    source: str

    @property
    def shown_kind(self) -> str:
        return self.kind if self.kind in ("GQA", "MQA", "MHA", "MLA") else "other"


def kinds_by_model(models: Sequence[RegisteredModel]) -> tuple[ModelKind, ...]:
    """Every model, by name."""
    return tuple(sorted((_kind(model) for model in models), key=lambda row: row.name.lower()))


def sentence(rows: Sequence[ModelKind]) -> str:
    """How many of the registered models use GQA, and which G is the most common."""
    gqa = [row for row in rows if row.shown_kind == "GQA"]
    counts = Counter(row.kv_heads for row in gqa).most_common()
    second = counts[min(1, len(counts) - 1)][1] if counts else 0
    parts = " and ".join(f"G = {g} in {count}" for g, count in counts if count >= second)
    return f"**{len(gqa)} of {len(rows)} models here use GQA on their attention layers**, most often {parts}."


def by_kv_heads(rows: Sequence[ModelKind], kind: str, examples: int = 3, lines: int = 6) -> list[dict[str, str]]:
    """The models of one kind counted by G, the most common first, with a few of their names: what a room can read.

    Where there would be more lines, the last one holds the rest, each named with its G.
    """
    named: dict[str, list[str]] = {}
    for row in rows:
        if row.shown_kind == kind:
            named.setdefault(row.kv_heads or "none", []).append(row.name)
    ordered = sorted(named.items(), key=lambda item: -len(item[1]))
    alone, rest = (ordered, []) if len(ordered) <= lines else (ordered[: lines - 1], ordered[lines - 1 :])
    table = [{"G": g, "models": str(len(names)), "for example": ", ".join(names[:examples])} for g, names in alone]
    if rest:
        each = [f"{name} ({g})" for g, names in rest for name in names]
        table.append({"G": "other", "models": str(len(each)), "for example": ", ".join(each[:examples])})
    return table


def _kind(model: RegisteredModel) -> ModelKind:
    try:
        spec = read_config(dict(model.config))
    except UnsupportedConfig as refused:
        return ModelKind(name=model.name, kind="unreadable", kv_heads="", query_heads="", source=str(refused))
    attention = [found for layer in spec.layers if (found := _headed(layer)) is not None]
    return ModelKind(
        name=model.name,
        kind=spec.kind,
        kv_heads=_listed([layer.num_kv_heads for layer in attention]),
        query_heads=_listed([layer.num_query_heads for layer in attention]),
        source=model.repository,
    )


def _headed(layer: Layer) -> GroupedAttention | CompressedAttention | None:
    """The layer's attention where it has a number of KV heads."""
    attention = layer.attention if isinstance(layer, ParallelLayer) else layer
    return attention if isinstance(attention, GroupedAttention | CompressedAttention) else None


def _listed(values: Sequence[int]) -> str:
    return " and ".join(str(value) for value in dict.fromkeys(values))
