"""What the configuration classes of transformers 5.24 say: defaults, aliases and nested parts, as data.

The table is core/data/model_classes.json.gz, written from the installed classes by the module write_model_classes
beside this one and compared with them by a test. Reading a config then needs neither transformers nor torch
(importing one configuration class imports torch), takes microseconds, and runs nobody's code.
"""

import gzip
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parents[2] / "data" / "model_classes.json.gz"


@dataclass(frozen=True, kw_only=True)
class NestedPart:
    """A sub-config of a composite class."""

    model_type: str
    by_model_type: bool  # the nested model_type chooses the class; else the class is fixed
    defaults: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelClass:
    """One configuration class."""

    name: str
    is_language_model: bool = False  # transformers maps it to a causal or image-text-to-text model
    defaults: dict[str, Any] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)  # standard name -> the class's own field
    legacy: dict[str, tuple[str, ...]] = field(default_factory=dict)  # own field -> older keys that win over it
    parts: dict[str, NestedPart] = field(default_factory=dict)
    head_dim: str = "absent"  # 'declared', 'attribute' (undeclared, but read), 'computed' (overwritten) or 'absent'
    kv_null_is_heads: bool = False  # null or absent num_key_value_heads means as many as query heads
    takes_null: frozenset[str] = frozenset()  # of the defaults that are not null, those whose field takes null too
    own_keys: bool = False  # no class: a layout made of the file's own keys
    _spellings: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, compare=False, repr=False)

    def spellings(self, name: str) -> tuple[str, ...]:
        """The keys of a file that say this field, the first that stands there wins: older ones, aliases, its own."""
        known = self._spellings.get(name)
        if known is None:
            own = self.aliases.get(name, name)
            others = (alias for alias, target in self.aliases.items() if target == own and alias != own)
            known = self._spellings[name] = (*self.legacy.get(own, ()), *others, own)
        return known

    def refuses_null(self, name: str) -> bool:
        """Whether the class takes no null for this field of its own: its annotation names a number or a word alone."""
        names = (name, self.aliases.get(name, name))
        return any(self.defaults.get(own) is not None and own not in self.takes_null for own in names)


_IN_PLACE: list[dict[str, Any]] = []  # a table in the place of the file's, while a release is looked at


def as_table() -> dict[str, Any]:
    """The table as the file holds it, by model_type."""
    with gzip.open(TABLE, "rt", encoding="utf-8") as file:
        table: dict[str, Any] = json.load(file)
    return table


def use_table(table: dict[str, Any]) -> None:
    """Read configs by this table from now on, in this process; the file stays what it is."""
    _IN_PLACE[:] = [table]
    model_classes.cache_clear()


@lru_cache(maxsize=1)
def model_classes() -> dict[str, ModelClass]:
    """Every model_type that transformers 5.24 knows, with its class."""
    table = _IN_PLACE[0] if _IN_PLACE else as_table()
    return {model_type: _model_class(entry) for model_type, entry in table.items()}


def _model_class(entry: dict[str, Any]) -> ModelClass:
    parts = {
        key: NestedPart(model_type=part["model_type"], by_model_type=part["auto"], defaults=part.get("defaults", {}))
        for key, part in entry.get("parts", {}).items()
    }
    return ModelClass(
        name=entry["class"],
        is_language_model=entry.get("lm", False),
        defaults=entry.get("defaults", {}),
        aliases=entry.get("aliases", {}),
        legacy={own: tuple(keys) for own, keys in entry.get("legacy", {}).items()},
        parts=parts,
        head_dim=entry.get("head_dim", "absent"),
        kv_null_is_heads=entry.get("kv_null_is_heads", False),
        takes_null=frozenset(entry.get("takes_null", {})),
    )
