"""The class that an engine chooses its code by, where a file leaves architectures out, as recorded facts do."""

from dataclasses import replace
from functools import lru_cache

from core.models.spec import ModelSpec


class Keyed:
    """A model as a key of a cache by identity: configs are no keys, and equal layers may be of different classes."""

    def __init__(self, model: ModelSpec) -> None:
        self.model = model

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyed) and other.model is self.model


def named_class(model: ModelSpec) -> ModelSpec:
    """The model with its class named by its model_type; the same object where the file names it or none is known."""
    return _named(Keyed(model))


@lru_cache(maxsize=512)
def _named(keyed: Keyed) -> ModelSpec:
    model = keyed.model
    if not model.config or model.config.get("architectures"):
        return model
    from core.engines.vllm.classes import registry  # noqa: PLC0415  a file that names its class needs no table

    name = registry().architectures.get(str(model.config.get("model_type")))
    return model if name is None else replace(model, config={**model.config, "architectures": [name]})
