"""Write core/data/sglang_classes.json.gz from the configuration classes that SGLang 0.5.23 reads models with.

Runs where SGLang and its pinned transformers are installed (pip install --no-deps sglang==0.5.23). A GPU and the
packages that have no say in a size are stood in for by the sglang_plan.py that is given as an argument:

    python -m core.engines.sglang.write_classes PATH/sglang_plan.py

A class's own default is kept; a value that the class computes from others is left out (trials with other widths tell
them apart), since SGLang falls back by itself or a rule of this package states the computation.
"""

import ast
import gzip
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from core.engines.sglang.classes import TABLE

NAMES = """
    hidden_size num_hidden_layers num_attention_heads num_key_value_heads head_dim v_head_dim swa_head_dim
    swa_v_head_dim swa_num_key_value_heads n_head_kv num_kv_heads multi_query_group_num num_attention_groups
    multi_query new_decoder_architecture attention_other_setting kv_lora_rank qk_nope_head_dim qk_rope_head_dim
    swa_kv_lora_rank swa_qk_rope_head_dim index_head_dim index_topk index_kpool indexer_types cli_factor
    index_topk_pattern index_topk_freq index_skip_topk_offset layer_types sliding_window_size sliding_window
    window_size is_hybrid_swa hybrid_layer_pattern sliding_window_pattern local_layer_ids max_sequence_length
    seq_length max_seq_len model_max_length max_position_embeddings loop_num num_loops encoder_layers decoder_layers
    use_mla use_mla_nope learnable_sink H_cycles L_cycles sparse_attention_config attn_config mamba_d_ssm
    mamba_n_heads mamba_d_head mamba_n_groups mamba_d_state mamba_d_conv mamba_expand mamba_num_heads mamba_head_dim
    n_groups ssm_state_size conv_kernel mamba_ssm_dtype state_size intermediate_size expand num_heads
    hybrid_override_pattern conv_L_cache full_attention_interval linear_num_value_heads linear_num_key_heads
    linear_key_head_dim linear_value_head_dim linear_conv_kernel_dim linear_attn_config linear_head_dim
    linear_num_heads short_conv_kernel_size layer_group_size mixer_types lightning_nkv lightning_head_dim
    sparse_config cca_time0 cca_time1 zaya_layers sconv_kernel_size mamba_chunk_size chunk_size prefix_lm
    compress_ratios kv_source_layer_ids use_bidirectional_attention indexer_compress_ratio index_compress_ratio
    global_head_dim num_global_key_value_heads
""".split()  # noqa: SIM905 - attributes of a configuration that a size can depend on
# each is doubled, or turned over, to tell a class's own default from what it computes of others
TRIALS = ("hidden_size", "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "head_dim", "multi_query")
LENGTH = {"max_position_embeddings": 1000}
PLAIN = (int, str, bool, float, list, tuple, dict)
TEXT_KEYS = ("thinker_config", "llm_config", "language_config", "text_config")  # the order in which SGLang looks


def main() -> None:
    """Write the table and print how much it holds."""
    spec = importlib.util.spec_from_file_location("sglang_plan", sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    fresh = json.dumps({"served": served(), "classes": classes()}, sort_keys=True, separators=(",", ":")).encode()
    TABLE.write_bytes(gzip.compress(fresh, 9, mtime=0))
    print(json.dumps({"classes": len(json.loads(fresh)["classes"]), "bytes": TABLE.stat().st_size}))


def served() -> list[str]:
    """Names of the model classes in sglang/srt/models, read from the source of its EntryClass lists."""
    import sglang  # noqa: PLC0415

    names: set[str] = set()
    for file in (Path(sglang.__file__).parent / "srt/models").glob("*.py"):
        if file.stem == "transformers":
            continue  # the fall-back itself
        for node in ast.walk(ast.parse(file.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(target, ast.Name) and target.id == "EntryClass" for target in targets):
                value = node.value  # type: ignore[attr-defined]
                listed = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
                names |= {ast.unparse(item) for item in listed}
    return sorted(names)


def classes() -> dict[str, dict[str, Any]]:
    """model_type -> defaults, aliases, the nested text part, and how the class treats a scaled rotary embedding."""
    from sglang.srt.utils.hf_transformers.common import _CONFIG_REGISTRY  # noqa: PLC0415
    from transformers import CONFIG_MAPPING  # noqa: PLC0415, TID251

    found = {}
    for model_type in sorted({*CONFIG_MAPPING, *_CONFIG_REGISTRY}):
        entry = _entry(_CONFIG_REGISTRY.get(model_type) or CONFIG_MAPPING[model_type])
        if entry:
            found[model_type] = entry
    return found


def _made(cls: Any, **values: Any) -> Any:
    try:
        return cls(**values)
    except Exception:  # noqa: BLE001 - a class that refuses the trial says nothing
        return None


def _entry(cls: Any) -> dict[str, Any]:
    plain = _made(cls)
    if plain is None:
        return {}
    aliases = dict(getattr(cls, "attribute_map", {}) or {})
    others = {name: made for name in TRIALS if (made := _doubled(cls, plain, name)) is not None}
    defaults: dict[str, Any] = {}
    for name in NAMES:
        value = _read(plain, name)
        same = {name, aliases.get(name, name)}
        stable = all(
            _read(made, name) == value for trial, made in others.items() if not same & {trial, aliases.get(trial)}
        )
        if isinstance(value, PLAIN) and stable and json.loads(json.dumps(value)) is not None:
            defaults[name] = value
        elif value is None and name == "swa_num_key_value_heads" and hasattr(plain, name):
            defaults[name] = None
    text = next((key for key in TEXT_KEYS if hasattr(plain, key)), None)
    part = getattr(plain, text) if text else None
    entry: dict[str, Any] = {"defaults": defaults, "aliases": aliases}
    if text:
        other = _made(cls, **{text: {"model_type": "olmo"}})
        named = getattr(getattr(other, text, None), "model_type", "olmo") if other is not None else "olmo"
        by_name = other is None or (named == "olmo" and type(getattr(other, text)).__name__ == "OlmoConfig")
        flat = _made(cls, num_hidden_layers=7)
        entry["text"] = {
            "key": text,
            "model_type": getattr(part, "model_type", None),
            "by_name": by_name,
            "flat": _read(getattr(flat, text, None), "num_hidden_layers") == 7,  # fields at the top are the part's
            "absent": _own(part, part),
            "given": _own(part, getattr(_made(cls, **{text: {}}), text, None)),
        }
    entry["rope"] = _rope(cls)
    return {key: value for key, value in entry.items() if value not in ({}, None)}


def _own(part: Any, made: Any) -> dict[str, Any]:
    """What a composite class says of its part otherwise than the part's class does by itself."""
    own: dict[str, Any] = {}
    for _ in range(2):  # the second time with what the first found, for widths that the part's class computes of it
        plain = _made(type(part), **own)
        if made is None or plain is None:
            return {}
        own |= {
            name: value
            for name in NAMES
            if isinstance(value := _read(made, name), PLAIN) and value != _read(plain, name) and name != "layer_types"
        }
    return own


def _doubled(cls: Any, plain: Any, name: str) -> Any:
    value = _read(plain, name)
    if isinstance(value, bool):
        return _made(cls, **{name: not value})
    return _made(cls, **{name: 2 * value}) if isinstance(value, int) else None


def _read(config: Any, name: str) -> Any:
    try:
        value = getattr(config, name, None)
    except Exception:  # noqa: BLE001 - a property that needs what is not there
        return None
    return list(value) if isinstance(value, tuple | range) else value


def _rope(cls: Any) -> str | None:
    """'raw' where even YaRN's factor multiplies the context, 'none' where no factor does; else the usual treatment."""
    from sglang.srt.utils.hf_transformers.common import get_context_length  # noqa: PLC0415

    def longer(**rope: Any) -> bool | None:
        made, plain = _made(cls, rope_scaling=rope, **LENGTH), _made(cls, **LENGTH)
        return None if made is None else bool(get_context_length(made) > get_context_length(plain))

    linear, yarn = longer(rope_type="linear", factor=4.0), longer(rope_type="yarn", factor=4.0)
    return "raw" if linear and yarn else "none" if linear is False else None


if __name__ == "__main__":
    main()
