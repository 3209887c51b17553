"""One object of a config.json as transformers' class of that type reads it: the file's value, else the class default.

A rule asks for each value by name and kind. What it cannot take at its word (a missing key, text where a number
belongs, a setting that the rule does not follow) raises NotByRule, and the class itself is built instead; a number
that no model has is refused by name.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from core.models.rules.facts import UnsupportedConfig, shown
from core.parameters.classes import OWN_CODE, ConfigClass, config_classes

MAX_LAYERS = 10_000
MAX_SIZE = 10**12
LEGACY_KINDS = {"attention": "full_attention", "mamba": "linear_attention"}  # older names, as transformers renames them
_NOTHING = object()


class NotByRule(Exception):
    """The rules do not cover this file; the message names the key."""


class Values:
    """The object `raw` under `path`, read as `model_type`."""

    __slots__ = ("fields", "model_type", "path", "raw", "seen")

    def __init__(
        self, raw: Mapping[str, Any], model_type: str, path: str = "", fields: ConfigClass | None = None
    ) -> None:
        if fields is None:
            fields = OWN_CODE.get(model_type) or config_classes().get(model_type)
        if fields is None:
            raise NotByRule(f"{path}model_type is {shown(model_type)}: no rule")
        self.raw, self.model_type, self.path, self.fields = raw, model_type, path, fields
        self.seen: set[str] = set()

    def get(self, name: str, default: Any = _NOTHING) -> Any:
        """The file's value (an alias wins, as in transformers), else the class default, else `default`."""
        for key in self.fields.spellings(name):
            self.seen.add(key)
            if key in self.raw:
                return self.raw[key]
        own = self.fields.aliases.get(name, name)
        if own in self.fields.defaults:
            return self.fields.defaults[own]
        if default is _NOTHING:
            raise NotByRule(f"{self.path}{name} is absent")
        return default

    def has(self, name: str) -> bool:
        """Whether the file itself says something, null included."""
        return any(key in self.raw for key in self.fields.spellings(name))

    def size(self, name: str, minimum: int = 1) -> int:
        """A whole number from minimum. Raises NotByRule for other values, UnsupportedConfig for absurd ones."""
        return self.whole(self.get(name), name, minimum)

    def whole(self, value: Any, name: str, minimum: int = 1) -> int:
        if type(value) is not int or value < minimum:
            raise NotByRule(f"{self.path}{name} is {shown(value)}")
        if value > MAX_SIZE:
            raise UnsupportedConfig(
                f"{self.path}{name} is {value:.3g}: no model has more than {MAX_SIZE:,}. Correct the file."
                if value < 10**300
                else f"{self.path}{name} has {len(hex(value)) - 2:,} hexadecimal digits. Correct the file."
            )
        return value

    def size_or_none(self, name: str, minimum: int = 1) -> int | None:
        value = self.get(name, None)
        return None if value is None else self.whole(value, name, minimum)

    def layers(self, name: str = "num_hidden_layers", minimum: int = 1) -> int:
        """A number of layers. Raises UnsupportedConfig above MAX_LAYERS, before anything is made of it."""
        count = self.size(name, minimum)
        if count > MAX_LAYERS:
            raise UnsupportedConfig(
                f"{self.path}{name} is {count:,}: no model has more than {MAX_LAYERS:,} layers. Correct the file."
            )
        return count

    def flag(self, name: str | bool) -> bool:
        """A JSON boolean under name (null is false, as torch reads it); a boolean given stays as it is."""
        if isinstance(name, bool):
            return name
        return self._boolean(name, self.get(name))

    def flag_or(self, name: str, default: bool) -> bool:
        """A JSON boolean under name, default where it is absent."""
        return self._boolean(name, self.get(name, default))

    def _boolean(self, name: str, value: object) -> bool:
        if value is not None and not isinstance(value, bool):
            raise NotByRule(f"{self.path}{name} is {shown(value)}")
        return bool(value)

    def kinds(self, name: str, layers: int, default: Iterable[str] | None = None) -> list[str]:
        """One word a layer, from the file or by default. Raises NotByRule for a list of another length."""
        value = self.get(name, None)
        if value is None:
            if default is None:
                raise NotByRule(f"{self.path}{name} is absent")
            return list(default)
        if not isinstance(value, list | tuple) or len(value) != layers or any(type(kind) is not str for kind in value):
            raise NotByRule(f"{self.path}{name} is no list of {layers} words")
        return [LEGACY_KINDS.get(kind, str(kind)) for kind in value]

    def numbers(self, name: str, default: Iterable[int] = ()) -> list[int]:
        """A list of whole numbers; null or nothing is the default."""
        value = self.get(name, None)
        if value is None:
            return list(default)
        if (
            not isinstance(value, list | tuple)
            or len(value) > MAX_LAYERS
            or any(type(item) is not int for item in value)
        ):
            raise NotByRule(f"{self.path}{name} is {shown(value)}")
        return list(value)

    def nested(self, name: str) -> "Values":
        """The object under name, read as its own model_type or as the one that the class fixes."""
        part = self.fields.parts.get(name)
        value = self.get(name, None)
        if part is None or not isinstance(value, Mapping | None):
            raise NotByRule(f"{self.path}{name} is {shown(value)}")
        raw = {} if value is None else value
        model_type = raw.get("model_type") or part.model_type if part.by_model_type else part.model_type
        if not isinstance(model_type, str):
            raise NotByRule(f"{self.path}{name}.model_type is {shown(model_type)}")
        if value is None:
            raw = {**part.defaults, **raw}
        return Values(raw, model_type, f"{self.path}{name}.")

    def ignore(self, *names: str) -> None:
        """Keys that the class computes anew, or that change nothing in what the rule counts."""
        self.seen.update(names)

    def check(self) -> None:
        """Raises NotByRule where the file holds a key that the class does not declare, transformers' code reads all
        the same, and the rule did not look at."""
        risky = self.fields.undeclared.intersection(self.raw) - self.seen
        for key in sorted(risky):
            if self.raw[key] is not None:
                raise NotByRule(f"{self.path}{key} is {shown(self.raw[key])}: the rule does not follow it")


def counted(kinds: Iterable[str], known: Iterable[str], where: str) -> Counter[str]:
    """How many layers of each kind. Raises NotByRule for a kind that is not known."""
    counts = Counter(kinds)
    strange = set(counts) - set(known)
    if strange:
        raise NotByRule(f"{where} holds {shown(sorted(strange)[0])}")
    return counts


__all__ = ["MAX_LAYERS", "ConfigClass", "NotByRule", "Values", "counted"]
