"""Headroom's public face: what scripts, notebooks and the command line import. Kept from version 0.2 on."""

from core.engines.face import engines, plan_cache
from core.engines.plan import EngineError, EnginePlan
from core.model_spec import ModelSpec, UnsupportedConfig, load_config, read_config
from core.sizing import ServingJob, SizingError, largest_batch, largest_kv_heads, longest_context, plan

__all__ = [
    "EngineError",
    "EnginePlan",
    "ModelSpec",
    "ServingJob",
    "SizingError",
    "UnsupportedConfig",
    "engines",
    "largest_batch",
    "largest_kv_heads",
    "load_config",
    "longest_context",
    "plan",
    "plan_cache",
    "read_config",
]
