"""Write core/data/model_classes.json.gz from the configuration classes of the installed transformers.

    python -m core.models.rules.write_model_classes

Run it when the transformers pin moves; tests/core/models/test_model_classes.py fails until the table is written again.
"""

import dataclasses
import gzip
import inspect
import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from core.models.rules.class_defaults import TABLE

LANGUAGE_MODEL_MAPS = (
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
)
# Fields that a KV cache or a parameter count can depend on; the rest of a class is left out of the table.
KEPT = re.compile(
    r"^(hidden_size|d_model|n_embd|n_embed|vocab_size|.*(layer|head|sliding|window|kv_|_kv|q_lora|qk_|multi_query"
    r"|new_decoder|mamba|ssm|conv|state_size|linear_|expand|attn|block_types|pattern|interval|local_attention"
    r"|attention_chunk|swa|rank|is_decoder|is_encoder_decoder|cross_attention|layer_types|n_groups|lru|dim_factor"
    r"|embedding_dim|num_blocks|use_dsa|indexer|compress|full_att|attention_types|mixer|intermediate|max_position"
    r"|ngram_size|hc_count|ple_|index_"
    r"|n_positions|n_ctx|max_seq|seq_length|tie_word|tie_emb|bias|experts|d_head|d_state|d_ssm|d_conv|num_kv|share|loop"
    r"|n_input_layers|n_output_layers|n_recurrent|recurrent_kv"
    r"|sharing|.*_cycles|cca_time|latent|conv_L|dim|groups).*)$"
)
LEFT_OUT = re.compile(
    r"token_id|dropout|pdrop|initializer|vision|audio|image|router|loss|quantizer|_init|classifier|mlp_layer_types"
    r"|summary|layer_norm|layerdrop|norm_eps|mtp|video|^rope_|codebook|_mask|mask_"
)
PLAIN = (int, str, bool, type(None), list, tuple, float)
LEGACY = {"falcon": {"hidden_size": ["n_embed"]}, "bloom": {"hidden_size": ["n_embed"]}}


def main(arguments: list[str]) -> None:
    """Write the table and print its size; with --check compare it with the one on disk instead, and exit 1 if stale.

    An older release than the table's may know fewer classes and fields, and must agree on those that it knows.
    """
    fresh = json.dumps(table(), sort_keys=True, separators=(",", ":")).encode()
    if arguments == ["--check"]:
        same = contained(json.loads(fresh), json.loads(gzip.decompress(TABLE.read_bytes())))
        print("up to date" if same else "stale: run python -m core.models.rules.write_model_classes")
        sys.exit(0 if same else 1)
    TABLE.write_bytes(gzip.compress(fresh, 9, mtime=0))
    print(json.dumps({"model_types": len(json.loads(fresh)), "bytes": TABLE.stat().st_size}))


def contained(older: Any, newer: Any) -> bool:
    """Whether everything that older says stands in newer too, object by object."""
    if isinstance(older, dict) and isinstance(newer, dict):
        return all(name in newer and contained(value, newer[name]) for name, value in older.items())
    return bool(older == newer)


def table() -> dict[str, dict[str, Any]]:
    """Every model_type of the installed transformers; the fields only where a language model needs them."""
    warnings.simplefilter("ignore")
    from transformers import logging  # noqa: PLC0415, TID251
    from transformers.models.auto import modeling_auto  # noqa: PLC0415, TID251 - this script alone reads the classes
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: PLC0415, TID251

    logging.set_verbosity_error()  # trial values make many classes complain
    language = {name for mapping in LANGUAGE_MODEL_MAPS for name in getattr(modeling_auto, mapping)}
    classes = {model_type: CONFIG_MAPPING[model_type] for model_type in CONFIG_MAPPING}
    wanted = _with_parts(language, classes)
    return {
        model_type: _entry(model_type, cls, model_type in language) if model_type in wanted else {"class": cls.__name__}
        for model_type, cls in classes.items()
    }


def _with_parts(language: set[str], classes: dict[str, Any]) -> set[str]:
    """The language models and everything nested in them that can be one, or that a file may nest in one."""
    wanted = set(language)
    while True:
        nested = {
            spec.model_type
            for model_type in wanted
            for key, spec in classes[model_type].sub_configs_defaults.items()
            if not re.search("vision|audio|image|tokenizer|vq|qformer|token2wav|code2wav|codec", key)
        }
        nested &= set(classes)
        if nested <= wanted:
            text = {name for name in classes if re.search(r"_text$|_thinker$", name)}
            return wanted | text
        wanted |= nested


def _entry(model_type: str, cls: Any, language: bool) -> dict[str, Any]:
    from transformers import PreTrainedConfig  # noqa: PLC0415, TID251

    parts = {
        key: {
            "model_type": spec.model_type,
            "auto": not (inspect.isclass(spec.config_class) and issubclass(spec.config_class, PreTrainedConfig)),
            "defaults": {name: value for name, value in spec.init_kwargs.items() if isinstance(value, PLAIN)},
        }
        for key, spec in cls.sub_configs_defaults.items()
    }
    entry = {"class": cls.__name__, "lm": language, "defaults": _defaults(cls), "aliases": dict(cls.attribute_map)}
    entry |= {"parts": parts, "head_dim": _head_dim(cls), "kv_null_is_heads": _kv_null_is_heads(cls)}
    entry |= {"legacy": LEGACY.get(model_type, {}), "takes_null": _takes_null(cls, entry["defaults"])}
    return {name: value for name, value in entry.items() if value not in ({}, False)}


def _defaults(cls: Any) -> dict[str, Any]:
    defaults = {}
    for item in dataclasses.fields(cls):
        if item.default is not dataclasses.MISSING:
            value = item.default
        elif item.default_factory is not dataclasses.MISSING:
            value = item.default_factory()
        else:
            continue
        if KEPT.match(item.name) and not LEFT_OUT.search(item.name) and isinstance(value, PLAIN):
            defaults[item.name] = value
    return defaults


def _takes_null(cls: Any, defaults: dict[str, Any]) -> dict[str, bool]:
    """Of the fields with a default that is not null those that take null all the same, as the validators say that the
    class made of its annotations: a file with null in any other is refused by the class itself."""
    taken = {}
    for name in (name for name, default in defaults.items() if default is not None):
        try:
            for validator in cls.__validators__[name]:
                validator(None)
        except (TypeError, ValueError):
            continue
        taken[name] = True
    return taken


def _head_dim(cls: Any) -> str:
    """How the class and its modeling code treat a head_dim key, found by trying it and by reading the source."""
    declared = "head_dim" in {item.name for item in dataclasses.fields(cls)}
    try:
        config = cls(head_dim=1234)
        if getattr(config, "head_dim", 1234) != 1234:
            return "computed"
    except Exception:  # noqa: BLE001 - a class that rejects the trial value says nothing about the key
        pass
    if declared:
        return "declared"
    return "attribute" if _attention_reads_head_dim(cls) else "absent"


def _attention_reads_head_dim(cls: Any) -> bool:
    """Whether an attention class beside this configuration takes its width from a head_dim that the class lacks."""
    source = Path(inspect.getfile(cls).replace("configuration_", "modeling_"))
    if not source.exists() or isinstance(getattr(cls, "head_dim", None), property):
        return False
    for block in source.read_text(encoding="utf-8").split("\nclass ")[1:]:
        name = re.match(r"\w+", block)
        text = name and "Attention" in name[0] and not re.search("Vision|Audio|Encoder|Former", name[0])
        if text and re.search(r'self\.head_dim = (getattr\(config, "head_dim"|config\.head_dim\b)', block):
            return True
    return False


def _kv_null_is_heads(cls: Any) -> bool:
    """Whether null num_key_value_heads ends as many as query heads, found by trying it."""
    try:
        config = cls(num_key_value_heads=None)
        return bool(config.num_key_value_heads == config.num_attention_heads)
    except Exception:  # noqa: BLE001 - the class refuses null: so do we
        return False


if __name__ == "__main__":
    main(sys.argv[1:])
