"""The three layouts: bytes of a token for every G of the shape, each product with its numbers."""

from core.models.head_sharing import Layout, Preset, divisors
from core.reports.closing import Rests, Sourced

ASSUMED = (
    "Every layer is alike and keeps keys and values of the same width.",
    "Payload of a 16-bit cache for one sequence: an engine may reserve more.",
)


def layouts_rests(layout: Layout, preset: Preset | None) -> Rests:
    """The chosen G first, then every other divisor of H; a named model says which key declared its own G."""
    others = [g for g in divisors(layout.num_query_heads) if g != layout.num_kv_heads]
    shapes = [layout, *(layout.with_kv_heads(g) for g in others)]
    return Rests(
        said="" if preset is None else _own(preset),
        formulas=tuple(
            (f"G = {shape.num_kv_heads}, {shape.kind}", product(shape), f"{shape.kv_bytes_per_token:,} B a token")
            for shape in shapes
        ),
        evidence=() if preset is None else (
            Sourced(says=_own(preset), source=f"config.json of {preset.name} on the Hugging Face Hub"),
        ),
        assumed=ASSUMED,
    )  # fmt: skip


def product(layout: Layout) -> str:
    """'2 × 80 layers × 8 KV heads × 128 × 2 B'."""
    heads = "1 KV head" if layout.num_kv_heads == 1 else f"{layout.num_kv_heads} KV heads"
    return f"2 × {layout.num_layers} layers × {heads} × {layout.head_dim} × {layout.bytes_per_element} B"


def _own(preset: Preset) -> str:
    own = preset.layout
    return f"{preset.name} chose G = {own.num_kv_heads} ({own.kind}); its config.json says {preset.declared}."
