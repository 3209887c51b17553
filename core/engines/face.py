"""plan_cache: a ModelSpec and an engine's name in, what that engine takes out."""

from importlib import import_module
from numbers import Real
from types import ModuleType
from typing import Any

from core.engines.plan import EngineError, EnginePlan
from core.models.spec import ModelSpec

# id -> module. Each has VERSION (what its rules were held against), plan(spec, **job) -> EnginePlan, and
# translated(common) -> job: a common job in the engine's own keys.
MODULES = {
    "payload": "core.engines.payload",
    "vllm": "core.engines.vllm",
    "sglang": "core.engines.sglang",
    "llama.cpp": "core.engines.llama_cpp",
    "mlx": "core.engines.mlx",
    "transformers": "core.engines.transformers",
}
BY_CONFIG = ("vllm", "sglang", "mlx")
COMMON_KEYS = ("context_length", "batch_size", "available_bytes", "tensor_parallel", "cache_bits")


def plan_cache(spec: ModelSpec, *, engine: str, **job: Any) -> EnginePlan:
    """What an engine takes for the cache of a model on one rank.

    The job is in the engine's own keys, in the common ones (COMMON_KEYS), or both. Raises EngineError for an engine, a
    key or a job that cannot be; where one request does not fit the memory a plan is still returned, with fits False.
    """
    module = module_of(engine)
    if not spec.config and engine in BY_CONFIG:
        raise EngineError(
            f"{engine} chooses its code by a config.json, and this is a shape or a GGUF header without one. "
            "Give the model's config.json."
        )
    common = {key: job.pop(key) for key in COMMON_KEYS if key in job}
    for key, value in common.items():
        if not isinstance(value, Real | None):
            raise EngineError(f"{key} is {value!r}: give a number")
    plan: EnginePlan = module.plan(spec, **{**module.translated(common), **job})
    return plan


def module_of(engine: str) -> ModuleType:
    """The engine's module, imported when it is first asked for. Raises EngineError for a name that is none."""
    if engine not in MODULES:
        raise EngineError(f"engine is {engine!r}: it is none of {', '.join(MODULES)}. Name one of these.")
    return import_module(MODULES[engine])


def engines() -> dict[str, str]:
    """Engine ids with the version that each was held against."""
    return {engine: module_of(engine).VERSION for engine in MODULES}
