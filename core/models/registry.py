"""model_registry.yaml, validated: the models that Headroom knows without asking anyone.

An entry records attention facts under the keys of the model's own config.json, so the reader of pulled files
(core.models.spec.read_config) reads it too, and says where the facts were read. The registry is the embedded default:
the first picture never waits for a network. Whatever is misspelt, missing or of the wrong type stops the load with
an error that names entry and field.
"""

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.models.formats.yaml_text import read_own

REGISTRY_PATH = Path(__file__).resolve().parents[2] / "model_registry.yaml"
EVIDENCE = {
    "file": "read in the Hub's own config.json",
    "copy": "read in a whole copy of config.json",
    "part": "read in a copy of config.json with keys missing",
    "transcribed": "values named by other sources; the file itself was not seen",
}
_REPOSITORY = re.compile(r"[\w.\-]+/[\w.\-]+", re.ASCII)
_REVISION = re.compile(r"main|[0-9a-f]{40}")
_MONTH = re.compile(r"20[0-9]{2}-(?:0[1-9]|1[0-2])")


class RegistryError(ValueError):
    """model_registry.yaml is not as it should be: the message names entry, field and what to do."""


@dataclass(frozen=True, kw_only=True)
class StatedFacts:
    """What the sources say in words; tests hold the reader of configs to it. None where they say nothing."""

    kv_layers: int
    kv_heads: int | None = None
    head_dim: int | None = None
    kind: str | None = None  # 'MLA' or 'none', where G is not the measure


@dataclass(frozen=True, kw_only=True)
class RegisteredModel:
    """One model: where it is on the Hub, and the facts recorded from its config.json."""

    name: str
    family: str
    repository: str
    revision: str  # the commit that was recorded, or 'main' where no source names it
    gated: bool | None  # None: no source says
    evidence: str  # a key of EVIDENCE
    config: Mapping[str, Any]
    stated: StatedFacts
    source: str
    read: datetime.date
    mirror: str | None = None  # a re-host without a gate
    recorded_from: str | None = None  # the repository whose file was recorded, where it is another
    unconfirmed: tuple[str, ...] = ()  # keys of config that no source confirms
    note: str | None = None
    leaves_out: tuple[str, ...] = ()  # keys not recorded that the number of parameters depends on
    released: str | None = None  # year and month, '2023-07'
    release_source: str | None = None  # what says so

    @property
    def config_text(self) -> str:
        """The recorded facts as JSON, two spaces deep, as a config.json is written."""
        return json.dumps(self.config, indent=2)


def load_registry(path: Path = REGISTRY_PATH) -> tuple[RegisteredModel, ...]:
    """Every entry in file order. Raises RegistryError for whatever is not as the header of the file says."""
    try:
        document = read_own(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RegistryError(f"{path.name} cannot be read: {error}. Restore the file or fix that line.") from error
    if not isinstance(document, dict) or set(document) != {"models"} or not isinstance(document["models"], list):
        raise RegistryError(f"{path.name}: the file must hold one key, models, with a list of entries.")
    entries = tuple(parse_entry(entry, position) for position, entry in enumerate(document["models"], start=1))
    _refuse_repeats(entries)
    return entries


def parse_entry(entry: object, position: int = 1) -> RegisteredModel:
    """One entry of the file as a RegisteredModel; position (from 1) names it in errors where its name cannot."""
    label = f"entry {position}"
    if not isinstance(entry, dict):
        raise RegistryError(f"model_registry.yaml, {label}: expected keys and values, found {_shown(entry)}.")
    if isinstance(entry.get("name"), str):
        label += f" ({entry['name']})"
    _check_keys(entry, label, required=_REQUIRED, optional=_OPTIONAL)
    for field, check in {**_REQUIRED, **_OPTIONAL}.items():
        if field in entry:
            _check(entry[field], check, f"{label}, field {field}")
    if entry.get("unconfirmed") and "note" not in entry:
        raise RegistryError(f"model_registry.yaml, {label}: unconfirmed needs a note that says what was assumed.")
    if ("released" in entry) != ("release_source" in entry):
        raise RegistryError(f"model_registry.yaml, {label}: released and release_source go together. Add the other.")
    stated = entry["stated"]
    _check_keys(stated, f"{label}, field stated", required=_STATED_REQUIRED, optional=_STATED_OPTIONAL)
    for field, check in {**_STATED_REQUIRED, **_STATED_OPTIONAL}.items():
        if field in stated:
            _check(stated[field], check, f"{label}, field stated.{field}")
    values = {**entry, "stated": StatedFacts(**stated), "unconfirmed": tuple(entry.get("unconfirmed", ()))}
    values["leaves_out"] = tuple(entry.get("leaves_out", ()))
    return RegisteredModel(**{**values, "gated": None if entry["gated"] == "unknown" else entry["gated"]})


@dataclass(frozen=True)
class _Check:
    """A test of one value, and the words that complete 'must be ...'."""

    words: str
    holds: Any  # Callable[[object], bool]; Any, since each narrows its own argument


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _matches(pattern: re.Pattern[str]) -> Any:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_TEXT = _Check("a non-empty text", _is_text)
_COUNT = _Check("a whole number, 0 or more", _is_count)
_ID = _Check("a Hub id such as tiiuae/falcon-7b", _matches(_REPOSITORY))
_REQUIRED = {
    "name": _TEXT,
    "family": _TEXT,
    "repository": _ID,
    "gated": _Check("true, false or unknown", lambda value: isinstance(value, bool) or value == "unknown"),
    "revision": _Check("main or a commit of 40 hexadecimal digits", _matches(_REVISION)),
    "evidence": _Check(f"one of {', '.join(EVIDENCE)}", lambda value: isinstance(value, str) and value in EVIDENCE),
    "config": _Check(
        "keys and values with a model_type, as in config.json",
        lambda value: isinstance(value, dict) and _is_text(value.get("model_type")),
    ),
    "stated": _Check("keys and values", lambda value: isinstance(value, dict)),
    "source": _TEXT,
    "read": _Check("a date such as 2026-11-22", lambda value: type(value) is datetime.date),
}
_OPTIONAL = {
    "mirror": _ID,
    "recorded_from": _ID,
    "unconfirmed": _Check(
        "a list of keys", lambda value: isinstance(value, list) and value != [] and all(map(_is_text, value))
    ),
    "leaves_out": _Check(
        "a list of keys", lambda value: isinstance(value, list) and value != [] and all(map(_is_text, value))
    ),
    "note": _TEXT,
    "released": _Check("a year and month such as 2023-07", _matches(_MONTH)),
    "release_source": _TEXT,
}
_STATED_REQUIRED = {"kv_layers": _COUNT}
_STATED_OPTIONAL = {
    "kv_heads": _COUNT,
    "head_dim": _COUNT,
    "kind": _Check("MLA or none", lambda value: value in ("MLA", "none")),
}


def _check_keys(
    entry: Mapping[Any, Any], label: str, *, required: Mapping[str, _Check], optional: Mapping[str, _Check]
) -> None:
    missing = [key for key in required if key not in entry]
    if missing:
        words = required[missing[0]].words
        raise RegistryError(f"model_registry.yaml, {label}: {missing[0]} is missing. Add it as {words}.")
    unknown = [key for key in entry if key not in required and key not in optional]
    if unknown:
        known = ", ".join([*required, *optional])
        raise RegistryError(f"model_registry.yaml, {label}: unknown key {_shown(unknown[0])}. Known keys: {known}.")


def _check(value: object, check: _Check, label: str) -> None:
    if not check.holds(value):
        raise RegistryError(f"model_registry.yaml, {label}: is {_shown(value)}, must be {check.words}.")


def _refuse_repeats(entries: tuple[RegisteredModel, ...]) -> None:
    for field in ("name", "repository"):
        seen: set[str] = set()
        for entry in entries:
            value = getattr(entry, field)
            if value in seen:
                raise RegistryError(f"model_registry.yaml: two entries have the {field} {value}. Remove one.")
            seen.add(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
