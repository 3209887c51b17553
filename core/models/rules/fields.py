"""One object of a config.json, read the way transformers' class of that model_type reads it, with the origin kept.

`ConfigPart.found("num_key_value_heads")` looks at the raw file first, under the class's own spelling and its aliases,
then at the class default. null is not absent: an explicit null stays None and never becomes the default. Every number
is checked here, once: a boolean, a fraction, a string, a negative or an absurd number is refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from core.models.rules.class_defaults import ModelClass
from core.models.rules.facts import Provenance, UnsupportedConfig, shown

MAX_LAYERS = 10_000
MAX_NUMBER = 10**12  # no width, head count or window of a model comes near


@dataclass(frozen=True, kw_only=True)
class Found:
    """A value and why we believe it."""

    value: Any
    source: str  # 'config', 'class default' or 'rule'
    keys: tuple[str, ...] = ()
    sentence: str = ""


@dataclass(kw_only=True)
class ConfigPart:
    """The object that describes the language model: raw keys, the class that reads them, what was noted so far."""

    raw: Mapping[str, Any]
    path: str  # 'text_config.' where the object is nested, else ''
    model_type: str
    model_class: ModelClass
    notes: list[Provenance] = field(default_factory=list)
    overrides: dict[str, Found] = field(default_factory=dict)  # of one layer, by field name

    def key(self, name: str) -> str | None:
        """The raw key that decides this field: an alias that the class maps to it wins, as it does in transformers."""
        raw = self.raw
        for key in self.model_class.spellings(name):
            if key in raw:
                return key
        return None

    def found(self, name: str) -> Found | None:
        """The override of this layer, else the raw value, else the class default, else None."""
        if name in self.overrides:
            return self.overrides[name]
        key = self.key(name)
        if key is not None:
            value = self.raw[key]
            return Found(value=value, source="config", keys=(self.path + key,), sentence="")
        own = self.model_class.aliases.get(name, name)
        if own in self.model_class.defaults:
            sentence = f"The file leaves {own} out; {self.model_class.name} in transformers 5.24 then takes "
            value = self.model_class.defaults[own]
            return Found(value=value, source="class default", sentence=sentence + f"{shown(value)}.")
        return None

    def value(self, name: str) -> Any:
        found = self.found(name)
        return None if found is None else found.value

    def optional_integer(self, name: str, *, minimum: int = 1) -> Found | None:
        """A checked integer; None where the file says null, or says nothing and the class has no number for it."""
        found = self.found(name)
        if found is None or found.value is None:
            return None
        self._check_integer(found, name, minimum)
        return found

    def integer(self, name: str, *, minimum: int = 1) -> Found:
        """A checked integer that must be there. Raises UnsupportedConfig."""
        found = self.optional_integer(name, minimum=minimum)
        if found is None:
            self.refuse(name, "a whole number is needed here")
        return found

    def boolean(self, name: str, default: bool = False) -> Found:
        """A JSON boolean. Raises UnsupportedConfig for anything else."""
        found = self.found(name)
        if found is None:
            return Found(value=default, source="rule", sentence=f"The file says nothing about {name}.")
        if not isinstance(found.value, bool):
            self.refuse(name, "true or false is expected")
        return found

    def integers(self, name: str, *, minimum: int = 0) -> list[int] | None:
        """A list of checked integers; None for null or nothing."""
        found = self.found(name)
        if found is None or found.value is None:
            return None
        if not isinstance(found.value, list | tuple) or len(found.value) > MAX_LAYERS:
            self.refuse(name, f"a list of at most {MAX_LAYERS:,} whole numbers is expected")
        if any(type(item) is not int or not minimum <= item < MAX_NUMBER for item in found.value):
            self.refuse(name, f"its entries have to be whole numbers from {minimum}")
        return list(found.value)

    def with_overrides(self, overrides: dict[str, Found]) -> "ConfigPart":
        """This part as one layer sees it; what is noted there stays with the layer."""
        return replace(self, overrides={**self.overrides, **overrides}, notes=[])

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        """A nested object; None for null or nothing."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.refuse(name, "an object is expected")
        return value

    def nested(self, name: str, defaults: Mapping[str, Any]) -> "ConfigPart":
        """The object under name as its own part (absent reads as empty), with its class defaults."""
        model_class = ModelClass(name=self.model_class.name, defaults=dict(defaults))
        raw = self.mapping(name) or {}
        return ConfigPart(raw=raw, path=f"{self.path}{name}.", model_type=self.model_type, model_class=model_class)

    def dotted(self, name: str) -> str:
        return self.path + (self.key(name) or name)

    def note(self, figure: str, found: Found, value: str | None = None) -> None:
        """Remember where a figure came from, with a sentence for people."""
        text = f"{found.value:,}" if value is None and isinstance(found.value, int) else (value or shown(found.value))
        sentence = found.sentence
        if not sentence and found.keys:
            sentence = f"{found.keys[0]} in the file says {shown(found.value)}."
        self.notes.append(
            Provenance(figure=figure, value=text, source=found.source, keys=found.keys, sentence=sentence)
        )

    def refuse(self, name: str, problem: str, advice: str = "Correct the file, or pick another model.") -> NoReturn:
        """Raise UnsupportedConfig that names the field, its value and what to do."""
        key = None if name in self.overrides else self.key(name)
        said = f"is {shown(self.raw[key])}" if key is not None else f"is {shown(self.value(name))} (absent in the file)"
        raise UnsupportedConfig(f"{self.path}{key or name} {said}: {problem}. {advice}")

    def refuse_nulls(self) -> None:
        """Raise UnsupportedConfig for null in a field whose class takes none: transformers refuses the whole file."""
        for key, value in self.raw.items():
            if value is None and self.model_class.refuses_null(key):
                name = self.model_class.name
                raise UnsupportedConfig(
                    f"{self.path}{key} is null: {name} takes no null here. Give a value, or leave it out."
                )

    def _check_integer(self, found: Found, name: str, minimum: int) -> None:
        if type(found.value) is not int:  # bool is an int in Python: true must not read as 1
            self.refuse(name, "a whole number is expected")
        if not minimum <= found.value < MAX_NUMBER:
            self.refuse(name, f"the number has to lie between {minimum} and {MAX_NUMBER:,}")


def rule(value: Any, sentence: str, *origins: Found | None) -> Found:
    """A value that a rule made of others: carries all their keys."""
    keys = tuple(dict.fromkeys(key for origin in origins if origin is not None for key in origin.keys))
    return Found(value=value, source="rule", keys=keys, sentence=sentence)
