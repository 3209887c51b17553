"""What Models carries away: the comparison, the table in parts that a slide holds, each formula with its numbers."""

from collections import Counter
from collections.abc import Sequence

from core.figures.comparison import ComparedModel, attention_of, plain, table_row
from core.models.attention import GroupedAttention, LatentAttention
from core.models.spec import ModelSpec
from core.reports.closing import Rests, Sourced
from core.reports.exports import Section, Table

BYTES = 2  # of a 16-bit cache's element, as on the page
PARTS = {
    "The models side by side: heads and layers": ("Kind", "H", "G", "head_dim", "L"),
    "The models side by side: what a token costs": ("Window", "KiB/token", "Bytes per token"),
    "The models side by side: what says so": ("Declared by", "Status"),
}
HELD = (
    "Payload of a 16-bit cache: what the attention pattern needs, per sequence, index keys included, while no window "
    "is full. An engine may reserve more."
)


def models_sections(models: Sequence[ComparedModel]) -> tuple[Section, ...]:
    """The table's parts, then the bytes of a token reckoned out; models that could not be read are left out."""
    read = [(model.name, model.spec, table_row(model)) for model in models if model.spec is not None]
    said = [f"{name}: {plain(remark)}" for name, spec, _ in read for remark in spec.remarks]
    parts = []
    for title, columns in PARTS.items():
        rows = tuple((str(row["Model"]), *(_written(row[column]) for column in columns)) for _, _, row in read)
        parts.append(Section(title=title, table=(("Model", *columns), rows)))
    formulas: Table = (
        ("Model", "Layers × KV heads × (key + value width) × bytes", "Bytes per token"),
        tuple((name, token_formula(spec), f"{spec.cache_bytes_per_token():,}") for name, spec, _ in read),
    )
    return (*parts, Section(title="Bytes of a token, reckoned out", text="\n\n".join(said), table=formulas))


def models_rests(models: Sequence[ComparedModel]) -> Rests:
    """What says each model's heads, and what a token's bytes rest on; its formulas are among the sections."""
    return Rests(
        said=f"{len(models)} models side by side: which G each chose, and what a token then costs.",
        evidence=tuple(
            Sourced(says=f"{model.name}: {model.spec.declared_kv_heads}", source=model.facts)
            for model in models
            if model.spec is not None
        ),
        assumed=(HELD,),
    )


def token_formula(spec: ModelSpec) -> str:
    """'80 × 8 × (128 + 128) × 2': a term for each shape of layers, what is beside keys and values last."""
    shapes: Counter[tuple[str, int]] = Counter()
    for layer in map(attention_of, spec.layers):
        if isinstance(layer, GroupedAttention):
            each = layer.num_kv_heads * (layer.head_dim + layer.value_dim)
            shapes[f"{layer.num_kv_heads} × ({layer.head_dim} + {layer.value_dim})", each] += 1
        elif isinstance(layer, LatentAttention):
            shapes[f"{layer.cached_elements(1)} of a latent", layer.cached_elements(1)] += 1
    terms = [f"{count} × {words} × {BYTES}" for (words, _), count in shapes.items()]
    beside = spec.cache_bytes_per_token() - BYTES * sum(each * count for (_, each), count in shapes.items())
    if beside:
        terms.append(f"{beside:,} beside them" if beside > 0 else f"{-beside:,} less, which other layers share")
    return " + ".join(terms) or "nothing is kept for a token"


def _written(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if isinstance(value, float) else str(value)
