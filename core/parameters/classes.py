"""What the configuration classes of transformers 5.23 say of the types that rules read: defaults, aliases, parts.

The table is core/data/parameter_classes.json.gz, written from the installed classes by write_classes beside this file
and compared with them by a test, so that a count needs neither transformers nor torch.
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parents[1] / "data" / "parameter_classes.json.gz"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A nested object: its type, whether its own model_type decides, and values that the outer class gives it."""

    model_type: str
    by_model_type: bool
    defaults: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ConfigClass:
    """One configuration class as the rules need it."""

    defaults: dict[str, Any]
    aliases: dict[str, str]  # other spelling -> the class's own field
    parts: dict[str, Part]
    undeclared: frozenset[str]  # keys that the code reads though the class does not declare them
    others: dict[str, tuple[str, ...]]  # own field -> its spellings, the winning ones first

    def spellings(self, name: str) -> tuple[str, ...]:
        own = self.aliases.get(name, name)
        return self.others.get(own, (own,))


@lru_cache(maxsize=1)
def config_classes() -> dict[str, ConfigClass]:
    """The table, by model_type."""
    with gzip.open(TABLE, "rt", encoding="utf-8") as file:
        table = json.load(file)
    return {model_type: _config_class(entry) for model_type, entry in table.items()}


def _config_class(entry: dict[str, Any]) -> ConfigClass:
    aliases: dict[str, str] = entry.get("aliases", {})
    defaults = entry.get("defaults", {})
    others: dict[str, tuple[str, ...]] = {}
    for own in set(aliases.values()):
        spellings = [*(alias for alias, target in aliases.items() if target == own), own]
        # a declared field is set first and what else the file holds after it: the other spelling has the last word
        others[own] = tuple(sorted(spellings, key=lambda name: name in entry.get("declared", ())))
        for name in spellings:
            if name in defaults:
                defaults.setdefault(own, defaults[name])
    parts = {
        name: Part(model_type=part["type"], by_model_type=part["auto"], defaults=part.get("defaults", {}))
        for name, part in entry.get("parts", {}).items()
    }
    undeclared = frozenset(entry.get("undeclared", ()))
    return ConfigClass(defaults=defaults, aliases=aliases, parts=parts, undeclared=undeclared, others=others)


def _own(parts: Mapping[str, Part] | None = None, **defaults: object) -> ConfigClass:
    return ConfigClass(defaults=defaults, aliases={}, parts=dict(parts or {}), undeclared=frozenset(), others={})


# Types whose repositories bring the code: what the rules read there without a value of the file
OWN_CODE: Mapping[str, ConfigClass] = {
    "chatglm": _own(
        multi_query_attention=False,
        add_bias_linear=False,
        add_qkv_bias=True,
        rmsnorm=True,
        post_layer_norm=True,
        tie_word_embeddings=False,
    ),
    "baichuan": _own(tie_word_embeddings=False),
    "nemotron-nas": _own(tie_word_embeddings=False),
    "kimi_k3": _own(
        {
            "text_config": Part(model_type="kimi_linear", by_model_type=True),
            "vision_config": Part(model_type="kimi_k3_vision", by_model_type=False),
        },
        tie_word_embeddings=False,
    ),
    "kimi_k3_vision": _own(),
}
