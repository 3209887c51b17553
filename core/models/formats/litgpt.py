"""LitGPT's model_config.yaml: the fields of its Config class, written out by save_config.

After litgpt 0.5.13 (litgpt/config.py): n_query_groups null or absent means MHA, head_size null or absent
n_embd / n_head; sliding_window_size slides where sliding_window_indices has a 1, everywhere where it has no list;
latent_attention holds the widths of MLA.
"""

from collections.abc import Mapping
from typing import Any

from core.models.formats.meaning import Shape, Translation, latent, translated
from core.models.formats.section import Figure, Section

TOOL = "LitGPT"
FIELDS = {
    "n_query_groups", "padded_vocab_size", "norm_class_name", "mlp_class_name", "rotary_percentage", "hf_config",
    "head_size", "padding_multiple", "rope_base", "parallel_residual",
}  # fmt: skip


def recognises(raw: Mapping[str, Any]) -> bool:
    """GPT-2's names with a field that LitGPT alone has."""
    return "model_type" not in raw and {"n_layer", "n_head", "n_embd"} <= raw.keys() and bool(FIELDS & raw.keys())


def translate(raw: Mapping[str, Any]) -> Translation:
    """The Config as a config.json. Raises UnsupportedConfig."""
    part = Section(raw=raw, tool=TOOL)
    layers, query, hidden = part.layers("n_layer"), part.integer("n_head"), part.integer("n_embd")
    window = part.optional("sliding_window_size")
    name = (part.text("name") or "a model").strip()[:60]
    shape = Shape(
        name=f"{name} of {TOOL}",
        layers=layers,
        query_heads=query,
        kv_heads=part.kv_heads("n_query_groups", query),
        head_dim=part.head_dim("head_size", hidden, query),
        hidden=hidden,
        window=window,
        kinds=_kinds(part, layers) if window is not None else None,
        vocabulary=part.optional("padded_vocab_size") or part.optional("vocab_size"),
        feed_forward=part.optional("intermediate_size"),
        context=part.optional("block_size"),
    )
    if not part.has("latent_attention"):
        return translated(shape)
    widths = part.section("latent_attention")
    return latent(
        shape,
        rank=widths.integer("kv_lora_rank"),
        rotary=widths.integer("qk_rope_head_dim", minimum=0),
        key=widths.optional("qk_nope_head_dim"),
        value=widths.optional("v_head_dim"),
    )


def _kinds(part: Section, layers: Figure) -> Figure | None:
    flags = part.flags("sliding_window_indices", layers.value, longer=True)
    if flags is None:
        return None
    kinds = ["sliding_attention" if flag else "full_attention" for flag in flags]
    return part.figure(
        kinds, "sliding_window_indices", sentence="1 in sliding_window_indices marks a layer that slides."
    )
