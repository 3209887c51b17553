"""Meta's and Mistral's params.json: dim, n_layers, n_heads, n_kv_heads.

Plain files go to read_config, which knows the names. Mistral also writes a list of windows (one per layer of a period,
null where a layer keeps everything) and the widths of latent attention, Meta the chunks of Llama 4
(attention_chunk_size, and nope_layer_interval for the layers that are not chunked).
"""

from collections.abc import Mapping
from typing import Any

from core.models.formats.meaning import Shape, Translation, latent, translated
from core.models.formats.section import Figure, Section

TOOL = "params.json"


def recognises(raw: Mapping[str, Any]) -> bool:
    """Meta's names; Mistral adds model_type 'transformer' to some."""
    return {"dim", "n_layers", "n_heads"} <= raw.keys() and raw.get("model_type") in (None, "transformer")


def translate(raw: Mapping[str, Any]) -> Translation:
    """The file as a config.json. Raises UnsupportedConfig."""
    part = Section(raw=raw, tool=TOOL)
    layers, query, hidden = part.layers("n_layers"), part.integer("n_heads"), part.integer("dim")
    shape = Shape(
        name=TOOL,
        layers=layers,
        query_heads=query,
        kv_heads=part.kv_heads("n_kv_heads", query),
        head_dim=part.head_dim("head_dim", hidden, query),
        hidden=hidden,
        vocabulary=part.optional("vocab_size") if raw.get("vocab_size") != -1 else None,  # -1: the tokenizer's
        feed_forward=part.optional("hidden_dim"),
        context=part.optional("max_position_embeddings") or part.optional("max_seq_len"),
        **_windows(part, layers),
    )
    if not part.has("kv_lora_rank"):
        return translated(shape)
    return latent(
        shape,
        rank=part.integer("kv_lora_rank"),
        rotary=part.integer("qk_rope_head_dim", minimum=0),
        key=part.optional("qk_nope_head_dim"),
        value=part.optional("v_head_dim"),
    )


def _windows(part: Section, layers: Figure) -> dict[str, Any]:
    if part.has("attention_chunk_size"):
        return _chunks(part, layers)
    listed = part.raw.get("sliding_window")
    if not isinstance(listed, list):
        return {"window": part.optional("sliding_window")}
    sizes = set(listed) - {None} if all(type(item) in (int, type(None)) for item in listed) else {0}
    if not listed or layers.value % len(listed) or len(sizes) > 1 or any(size < 1 for size in sizes):
        part.refuse(
            "sliding_window", f"windows of one size or null are expected, a period of the {layers.value} layers"
        )
    if not sizes:
        return {}
    period = ["full_attention" if size is None else "sliding_attention" for size in listed]
    sentence = "sliding_window lists the windows of one period of layers; null keeps the whole context."
    window = part.figure(sizes.pop(), "sliding_window", sentence=sentence)
    kinds = part.figure(period * (layers.value // len(listed)), "sliding_window", sentence=sentence)
    return {"window": window, "kinds": kinds}


def _chunks(part: Section, layers: Figure) -> dict[str, Any]:
    """Llama 4: layers without rotary positions keep everything, the others the tokens of their chunk."""
    size, interval = part.integer("attention_chunk_size"), part.optional("nope_layer_interval")
    every = interval.value if interval is not None else layers.value + 1
    kinds = ["full_attention" if (n + 1) % every == 0 else "chunked_attention" for n in range(layers.value)]
    sentence = "attention_chunk_size bounds every layer but each nope_layer_interval-th."
    found = part.figure(kinds, "attention_chunk_size", "nope_layer_interval", sentence=sentence)
    return {"kinds": found, "others": {"attention_chunk_size": size}}
