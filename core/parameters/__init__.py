"""What a model weighs, from its config alone.

    count_parameters(config).total          all parameters, a tied matrix once
    count_parameters(config).parts          attention, what a change of G changes, FFN, experts, norms, towers, ...

By rule where the type has one (microseconds, no torch), else by building the class on the meta device in a worker.
"""

from collections.abc import Mapping
from typing import Any

from core.models.rules.facts import UnsupportedConfig, shown
from core.parameters.by_rule import count_by_rule
from core.parameters.count import ExpertGroup, ParameterCount, typed_count
from core.parameters.values import NotByRule

__all__ = [
    "ExpertGroup",
    "NotByRule",
    "ParameterCount",
    "count_by_rule",
    "count_if_kept",
    "count_on_meta_device",
    "count_parameters",
    "stop_worker",
    "typed_count",
]

TIMEOUT_SECONDS = 120.0  # for a class that is built on the meta device


def count_parameters(config: Mapping[str, Any], timeout_seconds: float = TIMEOUT_SECONDS) -> ParameterCount:
    """How many parameters the model of this config.json has, as transformers 5.23 builds it.

    Raises UnsupportedConfig for a file that names no model type or holds numbers that no model has, SizingError where
    no rule covers it and transformers cannot build it either (within timeout_seconds): type a count then.
    """
    if not isinstance(config, Mapping):
        raise UnsupportedConfig(f"config is {shown(config)}: give the parsed config.json, an object.")
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise UnsupportedConfig(f"model_type is {shown(model_type)}: a name in quotes is expected. Give a config.json.")
    try:
        return count_by_rule(config)
    except NotByRule:
        return count_on_meta_device(config, timeout_seconds)


def count_on_meta_device(config: Mapping[str, Any], timeout_seconds: float = TIMEOUT_SECONDS) -> ParameterCount:
    """The count of the class that transformers builds of a config.json: see core.parameters.meta."""
    from core.parameters import meta  # noqa: PLC0415  what is counted by rule starts no process

    return meta.count_on_meta_device(config, timeout_seconds)


def count_if_kept(config: Mapping[str, Any]) -> ParameterCount | None:
    """What the meta device gave for this config before; None where it was not asked. Nothing is built."""
    from core.parameters import meta  # noqa: PLC0415

    return meta.count_if_kept(config)


def stop_worker() -> None:
    """Ends the worker process now rather than after its idle time."""
    from core.parameters import meta  # noqa: PLC0415

    meta.stop_worker()
