"""A repository of the Hub as something to size: its config.json, and how many parameters it really has.

The count is the Hub's own safetensors metadata; where there is none, or it counts packed integers, the pulled
config.json is counted by rule or on the meta device. Apart from core.models.formats.document import spec_of
from core.models.hub.client, which only reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import SizingError
from core.models.formats.document import spec_of
from core.models.hub.client import TIMEOUT_SECONDS, pull_config, safetensors_parameter_count
from core.models.hub.client import ParameterCount as FileParameters
from core.models.hub.pulls import HubError, PulledConfig
from core.models.hub.safetensors import header_bytes, plain_bytes
from core.models.rules.facts import UnsupportedConfig
from core.parameters import ParameterCount, count_parameters
from core.serving.weights import beside_config, count_from_safetensors


@dataclass(frozen=True, kw_only=True)
class HubModel:
    """What the Hub gave for one repository."""

    repository: str  # the one that answered: the mirror where the original is gated
    commit: str
    config: Mapping[str, Any]
    count: ParameterCount
    file_bytes: int | None = None  # of its safetensors files, None where they could not be had


def fetch_hub_model(
    repository: str, mirror: str | None = None, *, timeout: float = TIMEOUT_SECONDS, endpoint: str | None = None
) -> HubModel:
    """config.json and exact parameter count. Raises HubError, UnsupportedConfig or SizingError, each saying what to do.

    timeout is in seconds for each answer of the Hub; the meta device may take some seconds more.
    """
    pulled = pull_config(repository, mirror=mirror, timeout=timeout, endpoint=endpoint)
    try:
        files = safetensors_parameter_count(pulled.repository, timeout=timeout, endpoint=endpoint)
    except HubError:
        files = None
    return HubModel(
        repository=pulled.repository,
        commit=pulled.commit,
        config=pulled.config,
        count=_exact_count(pulled, files),
        file_bytes=_file_bytes(pulled, files, timeout, endpoint),
    )


def _exact_count(pulled: PulledConfig, files: FileParameters | None) -> ParameterCount:
    """The files' figure with the config's parts under it, else the count of the config that the file means."""
    try:
        count = None if files is None else count_from_safetensors(files.by_dtype, pulled.repository)
    except SizingError:
        count = None
    if count is None:
        return count_parameters(_meant(pulled.config))
    try:
        return beside_config(count, count_parameters(_meant(pulled.config)))
    except (UnsupportedConfig, SizingError):
        return count


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


def _meant(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config.json that a file means, such as a params.json; itself where nothing reads it."""
    try:
        return spec_of(config).config or config
    except UnsupportedConfig:
        return config
