"""One object of another tool's file, with every figure checked and its key kept.

The names are the tool's own. A figure is a value, the dotted keys that decided it and a sentence; null and absent are
the tool's to interpret, so each reader says in words what its tool then does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from core.models.rules.facts import UnsupportedConfig, shown
from core.models.rules.fields import MAX_LAYERS, MAX_NUMBER

ADVICE = "Correct the file, or give the model's config.json."


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A value of the file, or one that a rule of its tool made."""

    value: Any
    keys: tuple[str, ...] = ()
    sentence: str = ""  # empty: the key in the file says so
    source: str = "config"  # 'config', 'class default' (of the tool) or 'rule'


@dataclass(frozen=True, kw_only=True)
class Section:
    """The object under `path` ('' at the top, else with its last dot) of a file that `tool` wrote."""

    raw: Mapping[str, Any]
    tool: str
    path: str = ""
    names: Mapping[str, str] = field(default_factory=dict)  # a key's spelling in the file, where it is another

    def key(self, name: str) -> str:
        """The dotted key as the file spells it."""
        return self.path + self.names.get(name, name)

    def has(self, name: str) -> bool:
        """Whether the key is there and not null."""
        return self.raw.get(name) is not None

    def section(self, name: str) -> "Section":
        """The nested object. Raises UnsupportedConfig where it is none."""
        value = self.raw.get(name)
        if not isinstance(value, Mapping):
            self.refuse(name, "an object is expected")
        return Section(raw=value, tool=self.tool, path=f"{self.path}{name}.")

    def optional(self, name: str, *, minimum: int = 1) -> Figure | None:
        """A checked whole number; None for null or nothing."""
        value = self.raw.get(name)
        if value is None:
            return None
        if type(value) is not int:  # bool is an int in Python: true must not read as 1
            self.refuse(name, "a whole number is expected")
        if not minimum <= value < MAX_NUMBER:
            self.refuse(name, f"the number has to lie between {minimum} and {MAX_NUMBER:,}")
        return Figure(value=value, keys=(self.key(name),))

    def integer(self, name: str, *, minimum: int = 1) -> Figure:
        """A checked whole number that has to be there."""
        found = self.optional(name, minimum=minimum)
        if found is None:
            self.refuse(name, f"{self.tool} needs a whole number here")
        return found

    def layers(self, name: str) -> Figure:
        """A number of layers, bounded: a file may claim a billion."""
        found = self.integer(name)
        if found.value > MAX_LAYERS:
            self.refuse(name, f"more than {MAX_LAYERS:,} layers")
        return found

    def default(self, name: str, value: Any) -> Figure:
        """What the tool's own class takes where the file says nothing."""
        said = f"{self.key(name)} is null" if name in self.raw else f"The file has no {self.key(name)}"
        return Figure(value=value, keys=self._keys(name), sentence=f"{said}: {self.tool} then takes {shown(value)}.",
                      source="class default")  # fmt: skip

    def or_default(self, name: str, value: int, *, minimum: int = 1) -> Figure:
        """The number, or the tool's default."""
        return self.optional(name, minimum=minimum) or self.default(name, value)

    def kv_heads(self, name: str, query: Figure) -> Figure:
        """G; null or absent means that each query head has its own. Checked to divide H."""
        found = self.optional(name)
        if found is None:
            return self.own_kv_heads(name, query)
        if query.value % found.value:
            self.refuse(name, f"it does not divide the {query.value} query heads")
        return found

    def own_kv_heads(self, name: str, query: Figure, reason: str = "") -> Figure:
        """As many KV heads as query heads, with the reason."""
        said = reason or (f"{self.key(name)} is null" if name in self.raw else f"The file has no {self.key(name)}")
        sentence = f"{said}: {self.tool} then gives every query head its own keys and values (MHA)."
        return Figure(value=query.value, keys=self._keys(name) or query.keys, sentence=sentence, source="rule")

    def head_dim(self, name: str, hidden: Figure, query: Figure) -> Figure:
        """The width of a head; null or absent means hidden width / query heads, which has to be whole."""
        return self.optional(name) or self.divided(hidden, query, name)

    def divided(self, hidden: Figure, query: Figure, name: str = "") -> Figure:
        """Hidden width / query heads."""
        if hidden.value % query.value:
            key = (hidden.keys or (self.key(name),))[0]
            problem = f"it does not divide by the {query.value} query heads, and no width of a head is given"
            raise UnsupportedConfig(f"{key} is {hidden.value}: {problem}. {ADVICE}")
        value = hidden.value // query.value
        sentence = f"Hidden width / query heads = {hidden.value:,} / {query.value:,} = {value:,}."
        return Figure(value=value, keys=(*hidden.keys, *query.keys), sentence=sentence, source="rule")

    def boolean(self, name: str, default: bool = False) -> bool:
        """A boolean of the file; null and nothing read as `default`."""
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(name, "true or false is expected")
        return value

    def text(self, name: str) -> str | None:
        """A text of the file; None for null, nothing or another kind of value."""
        value = self.raw.get(name)
        return value if isinstance(value, str) else None

    def flags(self, name: str, layers: int, *, longer: bool = False) -> list[int] | None:
        """A list of 0 and 1, one entry per layer (`longer`: at least one per layer); None for null or nothing."""
        value = self.raw.get(name)
        if value is None:
            return None
        fits = isinstance(value, list) and (len(value) == layers or (longer and len(value) > layers))
        if not fits or any(type(item) is not int or item not in (0, 1) for item in value[:layers]):
            self.refuse(name, f"a list of {layers} entries of 0 or 1 is expected, one per layer")
        return list(value[:layers])

    def indices(self, name: str, layers: int) -> list[int] | None:
        """A list of layers by their index; None for null or nothing."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or any(type(item) is not int or not 0 <= item < layers for item in value):
            self.refuse(name, f"a list of layers from 0 to {layers - 1} is expected")
        return list(value)

    def figure(self, value: Any, *names: str, sentence: str, source: str = "rule") -> Figure:
        """A value that a rule of the tool made of these keys (those that the file has)."""
        keys = tuple(self.key(name) for name in names if name in self.raw)
        return Figure(value=value, keys=keys, sentence=sentence, source=source)

    def refuse(self, name: str, problem: str, advice: str = ADVICE) -> NoReturn:
        """Raise UnsupportedConfig that names the key, its value and what to do."""
        said = f"is {shown(self.raw[name])}" if name in self.raw else "is absent"
        raise UnsupportedConfig(f"{self.key(name)} {said}: {problem}. {advice}")

    def _keys(self, name: str) -> tuple[str, ...]:
        return (self.key(name),) if name in self.raw else ()
