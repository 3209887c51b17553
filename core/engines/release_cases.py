"""Small configs of a model type, for one look at how a class of transformers takes what a file says.

`small` is a config that builds in a fraction of a second on the meta device. `variations` changes one thing at a time:
what a shipped file leaves out or nulls, the other spelling of a field, a list of layer kinds under every name that the
class takes it by, a window of the file's own, and each number and switch that the class declares. Two faults have come
from there: a list under an alias that was not seen, and a window that a class derives where the file gives its own.
"""

from collections.abc import Iterator
from typing import Any

from core.engines.release_needs import NEEDS, OUTER
from core.models.rules.class_defaults import ModelClass, model_classes
from core.models.rules.text_part import TEXT_KEYS

USUAL = {
    "hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 2,
    "intermediate_size": 64, "vocab_size": 128, "max_position_embeddings": 256, "sliding_window": 16,
}  # fmt: skip
NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads")
WHERE_DECLARED = {
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1,
    "topk_group": 1, "moe_intermediate_size": 64, "kv_lora_rank": 40, "q_lora_rank": 32, "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8, "v_head_dim": 24, "index_head_dim": 16, "index_topk": 8, "index_n_heads": 2,
}  # fmt: skip
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
ABSENT = object()
Config = dict[str, Any]


def small(model_type: str) -> Config:
    """A small config of this type, in its class's own spelling; a composite one nests its language model."""
    known = model_classes()[model_type]
    key = _nested_key(known)
    if key is not None:
        return {"model_type": model_type, key: small(known.parts[key].model_type)} | OUTER.get(model_type, {})
    config: Config = {"model_type": model_type}
    for name, value in USUAL.items():
        own = known.aliases.get(name, name)
        if own in known.defaults or own != name or name in NEEDED:
            config[own] = value
    config |= {name: value for name, value in WHERE_DECLARED.items() if name in known.defaults}
    if known.head_dim == "declared":
        config["head_dim"] = 24
    if "kv_lora_rank" in config and "num_key_value_heads" in config:
        config["num_key_value_heads"] = 8  # a latent is expanded to every query head
    return config | TOKENS | NEEDS.get(model_type, {})


def _nested_key(known: ModelClass) -> str | None:
    return next((key for key in TEXT_KEYS if key in known.parts), None)


def variations(model_type: str) -> Iterator[tuple[str, Config]]:
    """(what was changed, config); each differs from the small config in one thing."""
    known, config = model_classes()[model_type], small(model_type)
    key = _nested_key(known)
    if key is not None:
        yield from _nestings(model_type, key, config[key])
        return
    for changed in (*_fields(known, config), *_spellings(known, config), *_kinds(known, config)):
        made = config | {key: value for key, value in changed.items() if value is not ABSENT}
        for key in (key for key, value in changed.items() if value is ABSENT):
            made.pop(key, None)
        yield ", ".join(f"{key} {_word(value)}" for key, value in changed.items()), made


def _nestings(model_type: str, key: str, inner: Config) -> Iterator[tuple[str, Config]]:
    """A language model inside a composite file, in other places than its own; every variation of it where transformers
    has no language model for the nested type alone."""
    outer: Config = {"model_type": model_type} | OUTER.get(model_type, {})
    nested = inner["model_type"]
    yield f"{key} without model_type", outer | {key: {name: inner[name] for name in inner if name != "model_type"}}
    yield f"{key} null", outer | {key: None}
    yield f"{key} at the top", inner | outer
    yield f"{key} and other numbers at the top", {**inner, "num_hidden_layers": 4} | outer | {key: inner}
    for other in ("llm_config", "language_config"):
        yield f"{key} as {other}", outer | {other: inner}
    if not model_classes()[nested].is_language_model:
        yield from ((f"{key}: {case}", outer | {key: config}) for case, config in variations(nested))


def _word(value: Any) -> str:
    if value is ABSENT:
        return "left out"
    return (
        f"a list of {len(value)}, first {value[0]}"
        if isinstance(value, list)
        else {None: "null"}.get(value, str(value))
    )


def _fields(known: ModelClass, config: Config) -> Iterator[Config]:
    """Every field of the small config left out, null or another number; every switch and number beside it."""
    for key in config:
        if key in known.defaults and key not in TOKENS:
            yield {key: ABSENT}
            yield {key: None}
    for name, numbers in {"num_key_value_heads": (1, 4, 8), "sliding_window": (7,), "head_dim": (16,)}.items():
        own = known.aliases.get(name, name)
        yield from ({own: number} for number in numbers)
    layers = known.aliases.get("num_hidden_layers", "num_hidden_layers")
    yield from ({layers: number} for number in (1, 2, 3, 5, 7, 9))
    for name, default in known.defaults.items():
        if name in config or known.aliases.get(name, name) in config:
            continue
        if isinstance(default, bool):
            yield {name: not default}
        elif isinstance(default, int):
            yield from ({name: number} for number in (1, 3, None))
        elif default is None:
            yield from ({name: value} for value in (2, True, [1, 3]))


def _spellings(known: ModelClass, config: Config) -> Iterator[Config]:
    """Each field under its other name, and under both with different numbers."""
    for alias, own in known.aliases.items():
        if own in config and alias not in config:
            yield {own: ABSENT, alias: config[own]}
            if isinstance(config[own], int) and config[own] > 1:
                yield {alias: config[own] // 2}


def _kinds(known: ModelClass, config: Config) -> Iterator[Config]:
    """A list of layer kinds under every name that the class takes it by."""
    layers = config[known.aliases.get("num_hidden_layers", "num_hidden_layers")]
    own = known.aliases.get("layer_types", "layer_types")
    names = {own, "layer_types", *(alias for alias, target in known.aliases.items() if target == own)}
    for name in sorted(names):
        for kind, every in (("sliding_attention", 1), ("full_attention", 1), ("sliding_attention", 3)):
            other = "full_attention" if every > 1 else kind
            yield {name: [other if index % every == every - 1 else kind for index in range(layers)]}
        yield {name: ["full_attention" if index % 3 == 2 else "linear_attention" for index in range(layers)]}
        chunks = ["chunked_attention" if index % 2 else "full_attention" for index in range(layers)]
        yield {name: chunks, "attention_chunk_size": 16}
        yield {name: None}
