"""The records of core/data/evidence.yaml, validated on load.

A comparison is one study that trained or converted the same model with more than one G. A finding is a single
statement under one or more topics. An unknown, missing or mistyped field is an EvidenceError naming entry and field,
and an entry whose confidence is not one of CONFIDENCES (an unverified one, say) is refused, so it can never be shown.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from core.models.formats.yaml_text import read_own

PATH = Path(__file__).parents[1] / "data" / "evidence.yaml"
CONFIDENCES = {
    "verified": "read in the paper, or in two independent transcriptions",
    "verified_secondary": "read in notes that quote the paper",
    "chart_read": "approximate: read off a figure by eye",
    "derived": "arithmetic on published figures",
}
TOPICS = (
    "fewer_kv_heads", "kv_quantisation", "window", "weight_quantisation", "tensor_parallel",
    "paging", "speed", "stability", "conversion", "choice", "latent",
)  # fmt: skip
UNITS = ("points", "perplexity", "ln_perplexity")


class EvidenceError(ValueError):
    """An entry of evidence.yaml is not what it should be: the message names the entry and the field."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One variant of a study. num_kv_heads is None where the paper says GQA without its G."""

    num_kv_heads: int | None
    value: float


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a figure was published and how it was read."""

    id: str
    paper: str
    arxiv: str | None
    where: str
    confidence: str
    caveat: str
    url: str | None = None

    @property
    def link(self) -> str | None:
        """The paper on arXiv, else its own address."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url

    @property
    def approximate(self) -> bool:
        return self.confidence == "chart_read"

    @property
    def citation(self) -> str:
        """Paper, place and arXiv id: 'Mistral 7B (Jiang et al., 2023), Section 2, arXiv 2310.06825'."""
        identifier = f", arXiv {self.arxiv}" if self.arxiv else ""
        return f"{self.paper}, {self.where}{identifier}"


@dataclass(frozen=True, kw_only=True)
class Comparison(Source):
    """One study of the same model with several G; mha and each result are in unit."""

    label: str
    billion_parameters: float | None
    training: str
    parameters_held_equal: bool
    how_held: str
    num_query_heads: int | None
    measure: str
    unit: str
    mha: float
    results: tuple[Result, ...]

    def change(self, result: Result) -> float:
        """Change against MHA: points for benchmark scores, percent of perplexity otherwise."""
        if self.unit == "points":
            return result.value - self.mha
        if self.unit == "ln_perplexity":
            return 100 * math.expm1(result.value - self.mha)
        return 100 * (result.value / self.mha - 1)


@dataclass(frozen=True, kw_only=True)
class Finding(Source):
    """One published statement. bits or num_kv_heads say what it is about, where it is about one of them."""

    topics: tuple[str, ...]
    statement: str
    bits: int | None = None
    num_kv_heads: int | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything in evidence.yaml."""

    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...]


def load(path: Path = PATH) -> Evidence:
    """Reads and validates an evidence file. EvidenceError names the entry and the field that is wrong."""
    try:
        document = read_own(path)
    except yaml.YAMLError as error:
        raise EvidenceError(f"{path.name} is not valid YAML: {error}") from error
    return parse(document)


def parse(document: object) -> Evidence:
    """Evidence from a parsed YAML document; raises EvidenceError."""
    if not isinstance(document, Mapping) or set(document) != {"comparisons", "findings"}:
        raise EvidenceError("evidence: the top level must hold exactly the lists 'comparisons' and 'findings'")
    comparisons = tuple(_comparison(entry) for entry in _list(document, "comparisons"))
    findings = tuple(_finding(entry) for entry in _list(document, "findings"))
    names = [record.id for record in (*comparisons, *findings)]
    for name in names:
        if names.count(name) > 1:
            raise EvidenceError(f"evidence: id '{name}' is used more than once")
    return Evidence(comparisons=comparisons, findings=findings)


_OPTIONAL: dict[type, set[str]] = {Comparison: {"url"}, Finding: {"url", "bits", "num_kv_heads"}, Result: set()}
_TYPES: dict[str, tuple[type, ...]] = {
    "billion_parameters": (float, int, type(None)), "parameters_held_equal": (bool,), "mha": (float, int),
    "value": (float, int), "num_query_heads": (int, type(None)), "num_kv_heads": (int, type(None)),
    "bits": (int,), "results": (list,), "topics": (list,), "arxiv": (str, type(None)),
}  # fmt: skip


def _list(document: Mapping[str, Any], name: str) -> list[object]:
    entries = document[name]
    if not isinstance(entries, list):
        raise EvidenceError(f"evidence: '{name}' is {entries!r}, it must be a list")
    return entries


def _comparison(entry: object) -> Comparison:
    values = _checked(entry, Comparison, "comparison")
    name = values["id"]
    _one_of(name, "unit", values["unit"], UNITS)
    results = [_checked(row, Result, f"comparison '{name}', results", named=False) for row in values["results"]]
    if not results:
        raise EvidenceError(f"comparison '{name}': field 'results' is empty")
    if values["mha"] <= 0:
        raise EvidenceError(f"comparison '{name}': field 'mha' is {values['mha']}, it must be above 0")
    return Comparison(**{**values, "results": tuple(Result(**row) for row in results)})


def _finding(entry: object) -> Finding:
    values = _checked(entry, Finding, "finding")
    if not values["topics"]:
        raise EvidenceError(f"finding '{values['id']}': field 'topics' is empty")
    for topic in values["topics"]:
        _one_of(values["id"], "topics", topic, TOPICS)
    return Finding(**{**values, "topics": tuple(values["topics"])})


def _checked(entry: object, kind: type, what: str, *, named: bool = True) -> dict[str, Any]:
    """The entry's fields after checking names and types; the shared source fields too where it is named."""
    if not isinstance(entry, Mapping):
        raise EvidenceError(f"{what}: an entry is {entry!r}, it must be a mapping")
    title = f"{what} '{entry.get('id', '(no id)')}'" if named else what
    known = {field.name for field in fields(kind)}
    for name in entry:
        if name not in known:
            raise EvidenceError(f"{title}: unknown field '{name}'")
    for name in known - _OPTIONAL[kind]:
        if name not in entry:
            raise EvidenceError(f"{title}: field '{name}' is missing")
    for name, value in entry.items():
        _check_value(title, name, value)
    if named:
        _check_source(title, entry)
    return dict(entry)


def _check_value(title: str, name: str, value: object) -> None:
    allowed = _TYPES.get(name, (str,))
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        wanted = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in allowed)
        raise EvidenceError(f"{title}: field '{name}' is {value!r}, it must be {wanted}")
    if isinstance(value, str) and not value.strip():
        raise EvidenceError(f"{title}: field '{name}' is empty")
    if name in ("num_kv_heads", "num_query_heads", "bits") and isinstance(value, int) and value < 1:
        raise EvidenceError(f"{title}: field '{name}' is {value}, it must be at least 1")


def _check_source(title: str, entry: Mapping[str, Any]) -> None:
    if entry["confidence"] not in CONFIDENCES:
        raise EvidenceError(
            f"{title}: field 'confidence' is '{entry['confidence']}', only {', '.join(CONFIDENCES)} are shown"
        )
    if entry["arxiv"] is not None and not re.fullmatch(r"\d{4}\.\d{4,5}", entry["arxiv"]):
        raise EvidenceError(f"{title}: field 'arxiv' is '{entry['arxiv']}', it must look like 2305.13245")
    if entry["arxiv"] is None and not str(entry.get("url", "")).startswith("https://"):
        raise EvidenceError(f"{title}: field 'url' must be an https address where 'arxiv' is empty")


def _one_of(entry: str, field: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise EvidenceError(f"'{entry}': field '{field}' is '{value}', it must be one of {', '.join(allowed)}")
