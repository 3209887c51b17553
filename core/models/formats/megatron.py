"""Megatron-core and NeMo YAML: num_query_groups sets G, and null means MHA.

After TransformerConfig and MLATransformerConfig of megatron-core 0.16 (core/transformer/transformer_config.py). The
figures stand under language_model (Megatron-LM), model (NeMo, Megatron Bridge), config (NeMo 2), MODEL_ARGS with the
names of the command line, or at the top (a .nemo archive's model_config.yaml). On the command line --num-query-groups
counts only with --group-query-attention. window_size [left, right] looks back `left` tokens beside the token itself.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.models.formats.meaning import Shape, Translation, latent, translated
from core.models.formats.section import Figure, Section

TOOL = "Megatron-core"
NEEDED = {"num_layers", "hidden_size", "num_attention_heads"}
PLACES = (("language_model",), ("model",), ("config",), ("model", "config"), ("MODEL_ARGS",), ("args",), ())
ADVICE = "Give the config.json of the model after its export to Hugging Face."
LETTERS = {"M", "E", "*", "-"}


def recognises(raw: Mapping[str, Any]) -> bool:
    """Megatron's three names in one of the places where its YAML has them."""
    return _place(raw) is not None


def _place(raw: Mapping[str, Any]) -> Section | None:
    if "model_type" in raw:
        return None
    for place in PLACES:
        part: Any = raw
        for step in place:
            part = part.get(step) if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping):
            continue
        names = {_python_name(key): key for key in part if isinstance(key, str)}
        if names.keys() >= NEEDED:
            spelled = {name: key for name, key in names.items() if name != key}
            path = "".join(f"{step}." for step in place)
            return Section(raw={n: part[k] for n, k in names.items()}, tool=TOOL, path=path, names=spelled)
    return None


def _python_name(key: str) -> str:
    return key[2:].replace("-", "_") if key.startswith("--") else key


def translate(raw: Mapping[str, Any]) -> Translation:
    """The model's section as a config.json. Raises UnsupportedConfig."""
    part = _place(raw)
    assert part is not None
    _refuse(raw, part)
    layers, query, hidden = part.layers("num_layers"), part.integer("num_attention_heads"), part.integer("hidden_size")
    window, kinds = _windows(part, layers)
    shape = Shape(
        name=TOOL,
        layers=layers,
        query_heads=query,
        kv_heads=_kv_heads(part, query),
        head_dim=part.head_dim("kv_channels", hidden, query),
        hidden=hidden,
        window=window,
        kinds=kinds,
        vocabulary=part.optional("vocab_size") if type(part.raw.get("vocab_size")) is int else None,
        feed_forward=part.optional("ffn_hidden_size"),
        context=_context(part),
    )
    if "hybrid_override_pattern" in part.raw or part.raw.get("is_hybrid_model") is True:
        return _mamba(part, shape)
    if part.has("linear_attention_freq"):
        return _linear(part, shape)
    if part.boolean("multi_latent_attention"):
        return _latent(part, shape)
    return translated(shape)


def _refuse(raw: Mapping[str, Any], part: Section) -> None:
    for name in ("heterogeneous_layers_config_path", "heterogeneous_layers_config_encoded_json", "hyena"):
        if part.raw.get(name):
            part.refuse(name, "its layers differ in a way that is not read here", ADVICE)
    if part.boolean("heterogeneous_block_specs"):
        part.refuse("heterogeneous_block_specs", "its layers differ in a way that is not read here", ADVICE)
    name = str(raw.get("name", ""))
    if any(word in name for word in ("griffin", "jamba", "hyena", "t5", "bart", "bert", "retro")):
        Section(raw=raw, tool=TOOL).refuse("name", "its layers are not those of a plain decoder", ADVICE)
    if part.raw.get("attention_type", "multihead") not in (None, "multihead"):
        part.refuse("attention_type", "another attention than 'multihead' is not read here", ADVICE)
    if part.raw.get("experimental_attention_variant") not in (None, "gated_delta_net", "dsa"):
        part.refuse("experimental_attention_variant", "'gated_delta_net' or 'dsa' is expected", ADVICE)


def _kv_heads(part: Section, query: Figure) -> Figure:
    """num_query_groups; on the command line only where --group-query-attention is on."""
    switched = part.raw.get("group_query_attention")
    by_flag = bool(part.names) or "group_query_attention" in part.raw
    if part.has("num_query_groups") and by_flag and switched is not True:
        said = "false" if "group_query_attention" in part.raw else "absent"
        reason = f"{part.key('group_query_attention')} is {said}, so {part.key('num_query_groups')} does not count"
        return part.own_kv_heads("num_query_groups", query, reason)
    return part.kv_heads("num_query_groups", query)


def _windows(part: Section, layers: Figure) -> tuple[Figure | None, Figure | None]:
    size = part.raw.get("window_size")
    if size is None or size is False:
        return None, None
    if not isinstance(size, list) or len(size) != 2 or any(type(item) is not int or item < -1 for item in size):
        part.refuse("window_size", "two whole numbers are expected: tokens to the left and to the right")
    if size[0] == -1:
        return None, None
    sentence = f"{part.key('window_size')} looks back {size[0]:,} tokens beside the token itself."
    window = part.figure(size[0] + 1, "window_size", sentence=sentence)
    every = part.raw.get("window_attn_skip_freq")
    if every is None:
        return window, None
    slides = _pattern(part, "window_attn_skip_freq", layers.value)
    kinds = ["sliding_attention" if flag else "full_attention" for flag in slides]
    sentence = f"{part.key('window_attn_skip_freq')} says which layers keep the whole context."
    return window, part.figure(kinds, "window_attn_skip_freq", sentence=sentence)


def _pattern(part: Section, name: str, layers: int) -> list[int]:
    """An integer N makes every N-th layer the other kind (0), a list marks each layer with 1 or 0."""
    if isinstance(part.raw[name], list):
        return part.flags(name, layers) or []
    every = part.integer(name).value
    return [int((index + 1) % every != 0) for index in range(layers)]


def _latent(part: Section, shape: Shape) -> Translation:
    """multi_latent_attention, and the indexer of DeepSeek's sparse attention where there is one."""
    others = {}
    if part.raw.get("experimental_attention_variant") == "dsa":
        names = {"index_n_heads": "dsa_indexer_n_heads", "index_head_dim": "dsa_indexer_head_dim",
                 "index_topk": "dsa_indexer_topk"}  # fmt: skip
        others = {own: part.integer(name) for own, name in names.items()}
    carrier = "deepseek_v32" if others else shape.carrier
    rotary = part.or_default("qk_pos_emb_head_dim", 64)
    return latent(
        replace(shape, carrier=carrier, others=others, head_dim=rotary),
        rank=part.or_default("kv_lora_rank", 512),
        rotary=rotary,
        key=part.or_default("qk_head_dim", 128),
        value=part.or_default("v_head_dim", 128),
    )


def _linear(part: Section, shape: Shape) -> Translation:
    """Gated delta net on most layers (Qwen3-Next), with the widths of its state."""
    linear = _pattern(part, "linear_attention_freq", shape.layers.value)
    kinds = ["linear_attention" if flag else "full_attention" for flag in linear]
    sentence = f"{part.key('linear_attention_freq')} says which layers are linear attention."
    widths = {"linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
              "linear_num_key_heads": 16, "linear_num_value_heads": 32}  # fmt: skip
    others = {name: part.or_default(name, value) for name, value in widths.items()}
    found = part.figure(kinds, "linear_attention_freq", sentence=sentence)
    return translated(replace(shape, carrier="qwen3_next", kinds=found, others=others, window=None))


def _mamba(part: Section, shape: Shape) -> Translation:
    """Mamba-2 hybrids: hybrid_override_pattern has one letter a layer, M Mamba, * attention, - and E feed-forward."""
    pattern, layers = part.raw.get("hybrid_override_pattern"), shape.layers.value
    if pattern is None:
        for name in ("hybrid_attention_ratio", "hybrid_mlp_ratio"):
            if part.raw.get(name):
                part.refuse(name, "the layers are spread by a ratio, which is not read here", "Give the pattern.")
        pattern = "M" * layers
    if not isinstance(pattern, str) or set(pattern) - LETTERS or len(pattern) != layers:
        part.refuse("hybrid_override_pattern", f"{layers} letters of {' '.join(sorted(LETTERS))} are expected")
    sentence = f"{part.key('hybrid_override_pattern')}: M is Mamba-2, * attention, - and E are feed-forward."
    head_dim = part.or_default("mamba_head_dim", 64)
    heads = part.optional("mamba_num_heads") or part.figure(
        shape.hidden.value * 2 // head_dim.value,
        "hidden_size",
        sentence="Mamba heads = 2 x hidden width / their width.",
    )
    others = {
        "hybrid_override_pattern": part.figure(pattern, "hybrid_override_pattern", sentence=sentence),
        "mamba_num_heads": heads,
        "mamba_head_dim": head_dim,
        "ssm_state_size": part.or_default("mamba_state_dim", 128),
        "n_groups": part.optional("ngroups_mamba") or part.or_default("mamba_num_groups", 8),
        "conv_kernel": part.figure(4, sentence="Megatron-core convolves four tokens.", source="class default"),
    }
    return translated(replace(shape, carrier="nemotron_h", others=others, window=None, kinds=None))


def _context(part: Section) -> Figure | None:
    for name in ("max_position_embeddings", "encoder_seq_length", "seq_length"):
        if type(part.raw.get(name)) is int:  # NeMo refers to other keys here: ${.encoder_seq_length}
            return part.optional(name)
    return None
