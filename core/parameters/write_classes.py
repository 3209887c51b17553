"""Write core/data/parameter_classes.json.gz from the configuration classes of the installed transformers.

    python -m core.parameters.write_classes [--check]

Run it when the transformers pin moves or a rule for another type is added. Kept are the types that rules.py names and
everything nested in them. `undeclared` lists what the code beside a class reads without the class declaring it: a file
that holds such a key is counted by a rule only where the rule looks at that key.
"""

import ast
import dataclasses
import gzip
import inspect
import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from core.parameters.classes import TABLE
from core.parameters.composite import COMPOSITES
from core.parameters.rules import model_types
from core.parameters.towers import TOWERS

PLAIN = (int, str, bool, type(None), list, tuple, float)
LEFT_OUT = re.compile(r"token_id|dropout|pdrop|initializer|_act$|^rope_|layerdrop|_eps|epsilon|^use_cache|_coef|label")
# Read by every class, and no part of its shape
COMMON = re.compile(
    r"^(_.*|architectures|auto_map|dtype|torch_dtype|transformers_version|rope_theta|rope_scaling|rope_parameters"
    r"|rope_type|partial_rotary_factor|rotary_pct|rotary_emb_base|.*token_id|.*token_index|use_cache|quantization_config"
    r"|output_.*|return_dict|is_decoder|.*dropout.*|.*_eps|hidden_act|problem_type|num_labels|id2label|label2id|attn_imp.*"
    r"|.*max_position_embeddings|initializer_range|chunk_size_feed_forward|pruned_heads|model_type|name_or_path)$"
)


def main() -> None:
    """Write the table and print its size; with --check compare it with the one on disk, and exit 1 if stale."""
    fresh = json.dumps(table(), sort_keys=True, separators=(",", ":")).encode()
    if sys.argv[1:] == ["--check"]:
        same = gzip.decompress(TABLE.read_bytes()) == fresh
        print("up to date" if same else "stale: run python -m core.parameters.write_classes")
        sys.exit(0 if same else 1)
    TABLE.write_bytes(gzip.compress(fresh, 9, mtime=0))
    print(json.dumps({"model_types": len(json.loads(fresh)), "bytes": TABLE.stat().st_size}))


def table() -> dict[str, dict[str, Any]]:
    """Every type with a rule, and what is nested in it."""
    warnings.simplefilter("ignore")
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: PLC0415, TID251

    entries: dict[str, dict[str, Any]] = {}
    waiting = {name: CONFIG_MAPPING[name] for name in (*model_types(), *TOWERS, *COMPOSITES) if name in CONFIG_MAPPING}
    while waiting:
        name, cls = waiting.popitem()
        entries[name], nested = _entry(cls)
        waiting |= {
            model_type: CONFIG_MAPPING[model_type] if found is None else found
            for model_type, found in nested.items()
            if model_type not in entries and (found is not None or model_type in CONFIG_MAPPING)
        }
    return entries


def _entry(cls: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    from transformers import PreTrainedConfig  # noqa: PLC0415, TID251

    parts: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for key, spec in _specs(cls).items():
        kind = spec.config_class if hasattr(spec, "config_class") else spec
        fixed = inspect.isclass(kind) and issubclass(kind, PreTrainedConfig)
        model_type = getattr(spec, "model_type", None) or kind.model_type or kind.__name__
        given = {k: v for k, v in getattr(spec, "init_kwargs", {}).items() if isinstance(v, PLAIN)}
        parts[key] = {"type": model_type, "auto": not fixed, "defaults": given}
        nested[model_type] = kind if fixed else None
    declared = {item.name for item in dataclasses.fields(cls)} | set(cls.attribute_map) | set(parts)
    undeclared = sorted(name for name in _read(cls) if name not in declared and not COMMON.match(name))
    entry: dict[str, Any] = {"defaults": _defaults(cls), "aliases": dict(cls.attribute_map), "parts": parts}
    names = {*cls.attribute_map, *cls.attribute_map.values()}
    entry["declared"] = sorted(names & {item.name for item in dataclasses.fields(cls)})
    entry["undeclared"] = [*undeclared, "per_layer_config"]
    return {name: value for name, value in entry.items() if value}, nested


def _specs(cls: Any) -> dict[str, Any]:
    return {**cls.sub_configs, **getattr(cls, "sub_configs_defaults", {})}


def _defaults(cls: Any) -> dict[str, Any]:
    defaults = {}
    for item in dataclasses.fields(cls):
        if item.default is not dataclasses.MISSING:
            value = item.default
        elif item.default_factory is not dataclasses.MISSING:
            value = item.default_factory()
        else:
            continue
        if isinstance(value, PLAIN) and not LEFT_OUT.search(item.name) and not item.name.startswith("_"):
            defaults[item.name] = value
    return defaults


def _read(cls: Any) -> set[str]:
    """Names read from a configuration in the class's own file and in the modeling file beside it."""
    own = Path(inspect.getfile(cls))
    names: set[str] = set()
    for file in (own, Path(str(own).replace("configuration_", "modeling_"))):
        if file.exists():
            names |= {name for node in ast.walk(ast.parse(file.read_text())) for name in _name_read(node)}
    return names


def _name_read(node: ast.AST) -> list[str]:
    """config.x, getattr(config, "x") and kwargs.pop("x") and its kin."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and "config" in node.value.id:
        return [node.attr]
    if not isinstance(node, ast.Call):
        return []
    words = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    called = node.func
    if isinstance(called, ast.Name) and called.id in ("getattr", "hasattr"):
        return [word for word in words[:1] if isinstance(word, str)]
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "kwargs":
        return [word for word in words[:1] if isinstance(word, str)]
    return []


if __name__ == "__main__":
    main()
