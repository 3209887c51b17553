"""Which class of mlx-lm 0.32.2 serves a config.json, and what is known of it (core/data/mlx_classes.yaml)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.engines.plan import EngineError
from core.models.formats.yaml_text import read_own

TABLE = Path(__file__).resolve().parents[2] / "data" / "mlx_classes.yaml"


@dataclass(frozen=True)
class MlxClass:
    """One module of mlx_lm.models."""

    module: str
    text_module: str  # the module whose layers it holds; itself for a plain decoder
    makes_own_cache: bool  # max_kv_size is ignored
    quantises: bool  # kv_bits works
    batches: bool  # several requests can be read together


@lru_cache(maxsize=1)
def table() -> dict[str, Any]:
    """core/data/mlx_classes.yaml as it stands."""
    loaded: dict[str, Any] = read_own(TABLE)
    return loaded


def class_of(config: Mapping[str, Any]) -> MlxClass:
    """The class that mlx_lm.utils._get_classes picks. Raises EngineError where there is none."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise EngineError(
            "mlx: the model's file names no model_type, by which mlx-lm picks its class. Give a config.json."
        )
    known, module = table(), table()["renamed"].get(model_type, model_type)
    architectures = config.get("architectures") or ()
    if model_type == "bailing_hybrid" and "BailingMoeV3ForCausalLM" in architectures:
        module = "bailing_moe_v3"
    if module not in known["own_cache"] and module not in known["whole"]:
        raise EngineError(f"mlx: mlx-lm 0.32.2 has no class for model_type {model_type!r}. Choose another engine.")
    return MlxClass(
        module=module,
        text_module=known["text"].get(module, module),
        makes_own_cache=module in known["own_cache"],
        quantises=module not in known["not_quantised"],
        batches=module not in known["not_batched"],
    )
