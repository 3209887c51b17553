"""Headroom's public face: what scripts, notebooks and the command line import. Kept from version 0.2 on."""

from core.engines.face import engines, plan_cache
from core.engines.plan import EngineError, EnginePlan
from core.errors import SizingError
from core.models.formats.document import read_document
from core.models.gguf.metadata import read_metadata
from core.models.spec import ModelSpec, UnsupportedConfig, load_config, read_config
from core.parameters import ParameterCount, count_parameters
from core.serving.calibrated import calibrated
from core.serving.draft import Draft
from core.serving.inverse import largest_batch, largest_kv_heads, longest_context
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.offload import Offload
from core.serving.ranks import RankPlan, rank_plans

__all__ = [
    "LLAMA_2_13B",
    "Draft",
    "EngineError",
    "EnginePlan",
    "MemoryPlan",
    "ModelSpec",
    "Offload",
    "ParameterCount",
    "RankPlan",
    "ServingJob",
    "SizingError",
    "UnsupportedConfig",
    "calibrated",
    "count_parameters",
    "engines",
    "largest_batch",
    "largest_kv_heads",
    "load_config",
    "longest_context",
    "plan",
    "plan_cache",
    "rank_plans",
    "read_config",
    "read_document",
    "read_metadata",
]
