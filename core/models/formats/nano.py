"""What nanoGPT and nanochat write beside a checkpoint.

nanoGPT (train.py): model_args with n_layer, n_head, n_embd, block_size; every head has its own keys and values.
nanochat (checkpoint_manager.py and gpt.py): meta_NNNNNN.json with model_config, where n_kv_head sets G and
window_pattern is repeated over the layers, S for half of sequence_len and L for all of it; the last layer is always L,
and files from before windows have no pattern. Its kernel looks back that many tokens beside the token itself.
"""

from collections.abc import Mapping
from typing import Any

from core.models.formats.meaning import Shape, Translation, translated
from core.models.formats.section import Figure, Section

NAMES = {"n_layer", "n_head", "n_embd"}


def recognises_nanochat(raw: Mapping[str, Any]) -> bool:
    """model_config (or a file of its fields) with n_kv_head or sequence_len."""
    return "model_type" not in raw and _named(raw.get("model_config", raw), {"n_kv_head", "sequence_len"})


def recognises_nanogpt(raw: Mapping[str, Any]) -> bool:
    """model_args, or its fields at the top, with block_size."""
    return "model_type" not in raw and _named(raw.get("model_args", raw), {"block_size"})


def _named(part: object, any_of: set[str]) -> bool:
    return isinstance(part, Mapping) and part.keys() >= NAMES and bool(any_of & part.keys())


def translate_nanochat(raw: Mapping[str, Any]) -> Translation:
    """nanochat's model_config as a config.json. Raises UnsupportedConfig."""
    part = Section(raw=raw, tool="nanochat")
    if "model_config" in raw:
        part = part.section("model_config")
    layers, query, hidden = part.layers("n_layer"), part.integer("n_head"), part.integer("n_embd")
    kv = part.optional("n_kv_head") or part.default("n_kv_head", 6)
    if query.value % kv.value:
        part.refuse("n_kv_head", f"{kv.value} KV heads do not divide the {query.value} query heads")
    window, kinds = _windows(part, layers)
    return translated(
        Shape(
            name="nanochat",
            layers=layers,
            query_heads=query,
            kv_heads=kv,
            head_dim=part.divided(hidden, query),
            hidden=hidden,
            window=window,
            kinds=kinds,
            vocabulary=part.optional("vocab_size"),
            context=part.optional("sequence_len"),
        )
    )


def _windows(part: Section, layers: Figure) -> tuple[Figure | None, Figure | None]:
    pattern = part.raw.get("window_pattern")
    if pattern is None:
        return None, None
    if not isinstance(pattern, str) or not pattern or set(pattern.upper()) - set("SL"):
        part.refuse("window_pattern", "letters S and L are expected")
    letters = [pattern.upper()[index % len(pattern)] for index in range(layers.value)]
    letters[-1] = "L"
    if "S" not in letters:
        return None, None
    length = part.integer("sequence_len", minimum=2)
    sentence = f"S looks back half of {part.path}sequence_len, {length.value // 2:,} tokens, beside the token itself."
    window = part.figure(length.value // 2 + 1, "sequence_len", sentence=sentence)
    kinds = ["sliding_attention" if letter == "S" else "full_attention" for letter in letters]
    sentence = f"{part.path}window_pattern is repeated over the layers: S slides, L and the last layer do not."
    return window, part.figure(kinds, "window_pattern", sentence=sentence)


def translate_nanogpt(raw: Mapping[str, Any]) -> Translation:
    """nanoGPT's model_args as a config.json. Raises UnsupportedConfig."""
    part = Section(raw=raw, tool="nanoGPT")
    if "model_args" in raw:
        part = part.section("model_args")
    query, hidden = part.integer("n_head"), part.integer("n_embd")
    return translated(
        Shape(
            name="nanoGPT",
            layers=part.layers("n_layer"),
            query_heads=query,
            kv_heads=part.own_kv_heads("n_kv_head", query, "nanoGPT knows no key for KV heads"),
            head_dim=part.divided(hidden, query),
            hidden=hidden,
            vocabulary=part.optional("vocab_size"),
            context=part.optional("block_size"),
        )
    )
