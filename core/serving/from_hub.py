"""A repository of the Hub as something to size: its config.json, and how many parameters it really has.

The count is the Hub's own safetensors metadata; where there is none, or it counts packed integers, the pulled
config.json is counted by rule or on the meta device. Reading comes before counting: a file that does not read is said
by its field, and a typed count needs none to be made. Apart from core.models.hub.client, which only reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from core.errors import SizingError
from core.models.formats.document import spec_of
from core.models.hub.client import TIMEOUT_SECONDS, pull_config, safetensors_parameter_count
from core.models.hub.client import ParameterCount as FileParameters
from core.models.hub.pulls import HubError, PulledConfig, repository_at
from core.models.hub.safetensors import header_bytes, plain_bytes
from core.models.rules.facts import UnsupportedConfig
from core.models.spec import ModelSpec
from core.parameters import ParameterCount, count_parameters
from core.serving.weights import analytic_count, beside_config, count_from_safetensors


@dataclass(frozen=True, kw_only=True)
class HubModel:
    """What the Hub gave for one repository."""

    repository: str  # the one that answered: the mirror where the original is gated
    commit: str
    config: Mapping[str, Any]
    count: ParameterCount | None  # None until exact_count: its class has to be built for it, or nothing says it
    files: ParameterCount | None = None  # the safetensors metadata alone, None where they say no count
    file_bytes: int | None = None  # of its safetensors files, None where they could not be had
    pulled_at: datetime | None = None
    stale_because: str | None = None  # the Hub could not be asked now: this is the file of pulled_at


def fetch_hub_model(
    repository: str, mirror: str | None = None, *, timeout: float = TIMEOUT_SECONDS, endpoint: str | None = None
) -> HubModel:
    """config.json and exact parameter count. Raises HubError, UnsupportedConfig or SizingError, each saying what to do.

    timeout is in seconds for each answer of the Hub; the meta device may take some seconds more.
    """
    found = read_hub_model(repository, mirror, timeout=timeout, endpoint=endpoint)
    return replace(found, count=exact_count(found))


def read_hub_model(
    repository: str, mirror: str | None = None, *, timeout: float = TIMEOUT_SECONDS, endpoint: str | None = None
) -> HubModel:
    """The same with the count that is there at once: nothing is built for it. Raises HubError alone.

    repository may be the address of its page at a revision: what the files weigh is asked of the same commit then.
    """
    pulled = pull_config(repository, mirror=mirror, timeout=timeout, endpoint=endpoint)
    at = None if repository_at(repository)[1] is None else pulled.commit
    try:
        files = safetensors_parameter_count(pulled.repository, revision=at, timeout=timeout, endpoint=endpoint)
    except HubError:
        files = None
    of_files = _of_files(pulled, files)
    return HubModel(
        repository=pulled.repository,
        commit=pulled.commit,
        config=pulled.config,
        count=_count_at_once(_read(pulled.config), of_files),
        files=of_files,
        file_bytes=_file_bytes(pulled, files, timeout, endpoint),
        pulled_at=pulled.pulled_at,
        stale_because=pulled.stale_because,
    )


def spec_of_hub(found: HubModel) -> ModelSpec:
    """The model that its file means; its remarks say so where the Hub could not be asked and an older copy stands in.

    Raises UnsupportedConfig.
    """
    spec = spec_of(found.config)
    if found.stale_because is None or found.pulled_at is None:
        return spec
    said = f"Read from the copy of {found.pulled_at:%Y-%m-%d %H:%M} UTC (commit {found.commit[:7]})"
    return replace(spec, kept_because=f"{said}: {found.stale_because}")


def exact_count(found: HubModel) -> ParameterCount:
    """The files' figure with the config's parts under it, else the count of the config that the file means.

    Raises UnsupportedConfig or SizingError where there is neither.
    """
    if found.count is not None:
        return found.count
    spec = _read(found.config)
    if spec is not None and spec.uncounted:
        raise SizingError(spec.uncounted)
    try:
        return counted_beside(found, count_parameters((spec and spec.config) or found.config))
    except (UnsupportedConfig, SizingError):
        if found.files is None:
            raise
        return found.files


def counted_beside(found: HubModel, by_config: ParameterCount) -> ParameterCount:
    """The files' total, which wins, with the parts of the config's count; that count alone where the files say none."""
    return by_config if found.files is None else beside_config(found.files, by_config)


def _read(config: Mapping[str, Any]) -> ModelSpec | None:
    """The model that a file means, whichever tool wrote it; None where nothing reads it."""
    try:
        return spec_of(config)
    except UnsupportedConfig:
        return None


def _of_files(pulled: PulledConfig, files: FileParameters | None) -> ParameterCount | None:
    try:
        return None if files is None else count_from_safetensors(files.by_dtype, pulled.repository)
    except SizingError:
        return None


def _count_at_once(spec: ModelSpec | None, files: ParameterCount | None) -> ParameterCount | None:
    """By rule, or kept from the meta device; of a file that says too little to be counted, the files' figure alone."""
    if spec is None:
        return None
    if spec.uncounted:
        return files
    try:
        by_config = analytic_count(spec)
    except (UnsupportedConfig, SizingError):
        return None
    return by_config if files is None else beside_config(files, by_config)


def _file_bytes(pulled: PulledConfig, files: FileParameters | None, timeout: float, endpoint: str | None) -> int | None:
    """Bytes of the weight files: the Hub's elements by dtype, else their headers where some are packed."""
    if files is None:
        return None
    plain = plain_bytes(files.by_dtype)
    if plain is not None:
        return plain
    try:
        return header_bytes(pulled.repository, pulled.commit, timeout=timeout, endpoint=endpoint)
    except HubError:
        return None
