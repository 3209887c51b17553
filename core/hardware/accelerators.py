"""The accelerators that a job can be sized on, and the one in this host.

A product says "80 GB"; the device says something else. 80 x 10^9 bytes are 74.5 GiB, while an H100 80 GB reports
81,559 MiB = 79.65 GiB = 85.5 GB. A fit is judged on what the device reports where a public reading was found, else on
the product's GB x 10^9, and `memory_basis` says which. A server has less than that: torch sees 79.11 GiB of the H100,
and a system with unified memory keeps a part for itself; `server_bytes` is what is left for an engine. Each figure
carries its source; what was not established is None.

An entry of core/data/accelerators.json is one device as software sees it, null where no public reading was found:

    memory_nominal_gb     the GB of the product name; read as 10^9 bytes
    memory_reported_mib   what the device itself reports (nvidia-smi)
    memory_visible_gib    what torch, and so a server, has of it; as logs print it
    memory_free_gib       of that, what a system with unified memory leaves free; null for memory of the device's own
    bandwidth_bytes_per_s, bf16_dense_flops   device memory traffic and dense BF16 rate, no sparsity
    sources               where each figure was read; null: the figure is not established, and is shown as unknown
    reported_names        names under which nvidia-smi lists the device
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from core.errors import SizingError
from core.units import GB, GIB, MIB

CATALOGUE_PATH = Path(__file__).parents[1] / "data" / "accelerators.json"
_LARGEST = 10**18  # bytes, bytes/s or FLOP/s that one device may claim; a slip of the keyboard is above it


@dataclass(frozen=True, kw_only=True)
class AcceleratorSources:
    """Where each figure was read; None where the figure is not established."""

    memory: str | None = None
    memory_reported: str | None = None
    memory_visible: str | None = None
    memory_free: str | None = None
    bandwidth: str | None = None
    bf16: str | None = None


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One device as software sees it. Raises SizingError for a figure that is not a positive finite number.

    memory_nominal_bytes is the product's GB x 10^9, memory_reported_bytes what the device itself reports,
    memory_visible_bytes what torch has of it, memory_free_bytes what a system with unified memory leaves of that,
    bandwidth_bytes_per_s its device memory's, bf16_dense_flops its dense BF16 FLOP/s without sparsity. None is unknown.
    """

    id: str
    name: str
    vendor: str = "custom"
    memory_nominal_bytes: int | None = None
    memory_reported_bytes: int | None = None
    memory_visible_bytes: int | None = None
    memory_free_bytes: int | None = None
    bandwidth_bytes_per_s: float | None = None
    bf16_dense_flops: float | None = None
    sources: AcceleratorSources = AcceleratorSources()
    reported_names: tuple[str, ...] = ()
    note: str | None = None

    def __post_init__(self) -> None:
        for figure in _POSITIVE:
            _require_positive(f"{self.id}: {figure}", getattr(self, figure))

    @property
    def memory_bytes(self) -> int | None:
        """What a fit is judged on: reported bytes where known, else what torch sees, else nominal; None without any."""
        known = (self.memory_reported_bytes, self.memory_visible_bytes, self.memory_nominal_bytes)
        return next((count for count in known if count is not None), None)

    @property
    def server_bytes(self) -> int | None:
        """What a server counts its share of: what torch sees, else what the fit is judged on."""
        return self.memory_bytes if self.memory_visible_bytes is None else self.memory_visible_bytes

    @property
    def server_basis(self) -> str:
        """One sentence: which reading an engine's budget is a share of, and what the system keeps."""
        if self.memory_visible_bytes is None:
            basis = f"No public log says how much of it torch sees. {self.memory_basis}"
        else:
            gib = f"{self.memory_visible_bytes / GIB:.2f} GiB"
            basis = f"A server counts the {gib} that torch sees ({self.sources.memory_visible or 'typed in'})."
        if self.memory_free_bytes is None:
            return basis
        left = f"{self.memory_free_bytes / GIB:.2f} GiB"
        return f"{basis} The memory is shared with the system, which leaves {left} ({self.sources.memory_free})."

    @property
    def memory_basis(self) -> str:
        """One sentence: which reading of the memory a fit is judged on."""
        if self.memory_reported_bytes is not None:
            mib = f"{self.memory_reported_bytes / MIB:,.0f} MiB"
            return f"Judged on the {mib} that the device reports ({self.sources.memory_reported or 'typed in'})."
        if self.memory_visible_bytes is not None:
            gib = f"{self.memory_visible_bytes / GIB:.2f} GiB"
            return f"Judged on the {gib} that torch sees ({self.sources.memory_visible or 'typed in'})."
        if self.memory_nominal_bytes is not None:
            gb = f"{self.memory_nominal_bytes / GB:g}"
            return f"No public reading of its reported memory was found: judged on {gb} x 10^9 bytes, which may be low."
        return "Its memory size is not established: a fit cannot be judged."

    @property
    def ridge_flops_per_byte(self) -> float | None:
        """FLOPs per byte above which compute binds; None where a figure is unknown."""
        if self.bf16_dense_flops is None or self.bandwidth_bytes_per_s is None:
            return None
        return self.bf16_dense_flops / self.bandwidth_bytes_per_s


@dataclass(frozen=True, kw_only=True)
class HostAccelerator:
    """The GPU that this host reports: `accelerator` carries the host's own memory reading.

    matched says whether bandwidth and FLOP/s come from the catalogue; without a match they are unknown (None).
    """

    accelerator: Accelerator
    count: int
    matched: bool
    sentence: str


def explain_memory(accelerator: Accelerator) -> str:
    """What the product's GB means on this device: nominal GB and GiB, the device's own reading, which one counts."""
    parts = []
    if accelerator.memory_nominal_bytes is not None:
        nominal = accelerator.memory_nominal_bytes
        parts.append(f"{nominal / GB:g} GB in the name: {nominal:,} bytes = {nominal / GIB:.2f} GiB")
    if accelerator.memory_reported_bytes is not None:
        own = accelerator.memory_reported_bytes
        parts.append(f"the device reports {own / MIB:,.0f} MiB = {own / GIB:.2f} GiB = {own / GB:.2f} GB")
    if accelerator.memory_visible_bytes is not None:
        parts.append(f"torch, and so a server, sees {accelerator.memory_visible_bytes / GIB:.2f} GiB of it")
    readings = "; ".join(parts)
    return f"{readings[:1].upper()}{readings[1:]}. {accelerator.memory_basis}" if parts else accelerator.memory_basis


@cache
def catalogue() -> dict[str, Accelerator]:
    """Every accelerator of core/data/accelerators.json by id. Raises ValueError naming entry and field."""
    return load_catalogue(CATALOGUE_PATH.read_text(encoding="utf-8"))


def load_catalogue(text: str) -> dict[str, Accelerator]:
    """JSON text -> accelerators by id. Raises SizingError that names the entry and the field that is wrong."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise SizingError(f"accelerators.json is no JSON: {error}") from error
    if not isinstance(entries, list):
        raise SizingError(f"accelerators.json: expected a list of entries, found {type(entries).__name__}")
    found: dict[str, Accelerator] = {}
    for number, entry in enumerate(entries, start=1):
        accelerator = _read_entry(entry, f"accelerators.json entry {number}")
        if accelerator.id in found:
            raise SizingError(f"accelerators.json: id {accelerator.id!r} appears twice; ids must differ")
        found[accelerator.id] = accelerator
    return found


def find_accelerator(id: str) -> Accelerator:
    """The catalogue's accelerator of that id. Raises SizingError that lists the ids."""
    if id not in catalogue():
        known = ", ".join(catalogue())
        raise SizingError(f"accelerator is {id!r}, which the catalogue does not hold: choose one of {known}")
    return catalogue()[id]


def host_accelerator(timeout_seconds: float = 5) -> HostAccelerator | None:
    """The host's GPUs as nvidia-smi lists them, without torch; None where there is no such tool, or it fails."""
    from subprocess import SubprocessError, run  # noqa: PLC0415  a job asked from a shell looks at no host

    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = run(
            query, capture_output=True, encoding="utf-8", errors="replace", timeout=timeout_seconds, check=True
        )
    except (OSError, SubprocessError):
        return None
    return read_nvidia_smi(answer.stdout)


def read_nvidia_smi(output: str) -> HostAccelerator | None:
    """'name, MiB' lines -> the first GPU, matched by name and memory; None where no line can be read.

    A GPU that shares the host's memory says '[N/A]' in place of it: such a one is matched by its name alone.
    """
    listed = [[part.strip() for part in line.rsplit(",", 1)] for line in output.splitlines() if "," in line]
    rows = [row for row in listed if row[0] and row[1].isdigit() and int(row[1]) > 0]
    if not rows:
        return _without_memory([name for name, mib in listed if mib == "[N/A]"])
    name, mib = rows[0][0], int(rows[0][1])
    known = _match(name, mib * MIB)
    sources = replace(known.sources if known else AcceleratorSources(), memory_reported="nvidia-smi on this host")
    base = known or Accelerator(id="host", name=name, vendor="NVIDIA")
    visible = _visible_of(known, mib * MIB)
    found = replace(base, memory_reported_bytes=mib * MIB, memory_visible_bytes=visible, sources=sources)
    known_as = (
        f"; the catalogue has it as {known.name}" if known else "; not in the catalogue, so its rates are unknown"
    )
    count = sum(row == rows[0] for row in rows)
    others = Counter(row[0] for row in rows if row != rows[0])
    listing = ", ".join(f"{number} x {other}" for other, number in others.items())
    beside = f" Beside it, not looked at: {listing}." if others else ""
    sentence = f"This host has {count} x {name} with {mib:,} MiB each{known_as}.{beside}"
    return HostAccelerator(accelerator=found, count=count, matched=known is not None, sentence=sentence)


def _without_memory(names: list[str]) -> HostAccelerator | None:
    """The catalogue's entry of a GPU whose driver names no memory of its own; None where it is not known."""
    for known in catalogue().values():
        listed = {name.casefold() for name in known.reported_names}
        if known.memory_free_bytes and known.memory_bytes and names and names[0].casefold() in listed:
            sentence = (
                f"This host has {names.count(names[0])} x {names[0]}, whose driver names no memory of its own: the "
                f"catalogue has it as {known.name} with {known.memory_bytes // MIB:,} MiB."
            )
            return HostAccelerator(accelerator=known, count=names.count(names[0]), matched=True, sentence=sentence)
    return None


def _visible_of(known: Accelerator | None, reported_bytes: int) -> int | None:
    """The catalogue's gap between the two readings, taken off this host's own; None where it is not known."""
    if known is None or known.memory_visible_bytes is None or known.memory_reported_bytes is None:
        return None
    return reported_bytes - (known.memory_reported_bytes - known.memory_visible_bytes)


def _match(name: str, memory_bytes: int) -> Accelerator | None:
    """The entry listed under that name whose memory is within a tenth of the reading (a MIG slice is not the card)."""
    for accelerator in catalogue().values():
        names = {listed.casefold() for listed in accelerator.reported_names}
        memory = accelerator.memory_bytes
        if name.casefold() in names and memory is not None and abs(memory_bytes - memory) <= memory / 10:
            return accelerator
    return None


_POSITIVE = (
    "memory_nominal_bytes", "memory_reported_bytes", "memory_visible_bytes", "memory_free_bytes",
    "bandwidth_bytes_per_s", "bf16_dense_flops",
)  # fmt: skip


def _require_positive(what: str, value: float | None) -> None:
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or not 0 < value <= _LARGEST:
        raise SizingError(f"{what} is {value!r}: give a number above 0 and up to {_LARGEST:.0e}, or leave it unknown")


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "id": lambda value: isinstance(value, str) and value != "",
    "name": lambda value: isinstance(value, str) and value != "",
    "vendor": lambda value: isinstance(value, str) and value != "",
    "memory_nominal_gb": lambda value: value is None or _is_whole(value),
    "memory_reported_mib": lambda value: value is None or _is_whole(value),
    "memory_visible_gib": lambda value: value is None or _is_above_zero(value),
    "memory_free_gib": lambda value: value is None or _is_above_zero(value),
    "bandwidth_bytes_per_s": lambda value: value is None or _is_whole(value),
    "bf16_dense_flops": lambda value: value is None or _is_whole(value),
    "sources": lambda value: isinstance(value, dict),
    "reported_names": lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
    "note": lambda value: value is None or isinstance(value, str),
}
_SOURCE_OF = {
    "memory_nominal_gb": "memory",
    "memory_reported_mib": "memory_reported",
    "memory_visible_gib": "memory_visible",
    "memory_free_gib": "memory_free",
    "bandwidth_bytes_per_s": "bandwidth",
    "bf16_dense_flops": "bf16",
}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_above_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _read_entry(entry: Any, where: str) -> Accelerator:
    if not isinstance(entry, dict):
        raise SizingError(f"{where}: expected keys and values, found {type(entry).__name__}")
    where = f"{where} ({entry.get('id', 'no id')})"
    _check_keys(entry, set(_FIELDS), where)
    for field, accepts in _FIELDS.items():
        if not accepts(entry[field]):
            raise SizingError(f"{where}: {field} is {entry[field]!r}, which is not of the expected type")
    _check_sources(entry, where)
    nominal, reported = entry["memory_nominal_gb"], entry["memory_reported_mib"]
    return Accelerator(
        id=entry["id"],
        name=entry["name"],
        vendor=entry["vendor"],
        memory_nominal_bytes=None if nominal is None else nominal * GB,
        memory_reported_bytes=None if reported is None else reported * MIB,
        memory_visible_bytes=_gib(entry["memory_visible_gib"]),
        memory_free_bytes=_gib(entry["memory_free_gib"]),
        bandwidth_bytes_per_s=entry["bandwidth_bytes_per_s"],
        bf16_dense_flops=entry["bf16_dense_flops"],
        sources=AcceleratorSources(**entry["sources"]),
        reported_names=tuple(entry["reported_names"]),
        note=entry["note"],
    )


def _gib(figure: float | None) -> int | None:
    """Bytes of a figure with two decimals, as logs print it."""
    return None if figure is None else round(figure * GIB)


def _check_keys(entry: dict[str, Any], expected: set[str], where: str) -> None:
    missing, unknown = sorted(expected - set(entry)), sorted(set(map(str, entry)) - expected)
    if missing:
        raise SizingError(f"{where}: {missing[0]} is missing; write null where it is not established")
    if unknown:
        raise SizingError(f"{where}: {unknown[0]} is not a field of an accelerator; remove it or correct its name")


def _check_sources(entry: dict[str, Any], where: str) -> None:
    """A figure has a source, and a source has a figure: neither stands alone."""
    sources = entry["sources"]
    _check_keys(sources, {field.name for field in fields(AcceleratorSources)}, f"{where} sources")
    for figure, source in _SOURCE_OF.items():
        if sources[source] is not None and not isinstance(sources[source], str):
            raise SizingError(f"{where}: sources.{source} is {sources[source]!r}; write where the figure was read")
        if (entry[figure] is None) != (sources[source] is None):
            raise SizingError(f"{where}: {figure} and sources.{source} must both be given, or both be null")
