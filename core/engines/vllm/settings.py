"""The settings of a vLLM server that decide its cache plan, checked once."""

from dataclasses import dataclass
from typing import Any

from core.engines.class_names import Keyed
from core.engines.plan import EngineError
from core.models.spec import ModelSpec

TYPES = (  # --kv-cache-dtype of 0.33.0 that a CUDA card serves; the ROCm ones (octave, ultraquant) are left out
    "auto",
    "float16",
    "bfloat16",
    "fp8",
    "fp8_e4m3",
    "fp8_e5m2",
    "fp8_ds_mla",
    "fp8_per_token_head",
    "int8_per_token_head",
    "int4_per_token_head",
    "nvfp4",
    "turboquant_k8v4",
    "turboquant_4bit_nc",
    "turboquant_k3v4_nc",
    "turboquant_3bit_nc",
)
METHODS = ("draft_model", "eagle", "eagle3", "mtp")  # --speculative-config's methods that keep a cache of layers
MOST_SPECULATED = 64
DEFAULT_BLOCK = 16  # CacheConfig.DEFAULT_BLOCK_SIZE
MOST_TOKENS = 10**9  # of a context or a batch: no model comes near, and the arithmetic stays in 64 bits
MOST_BYTES = 10**15


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a server is started with. block_size None: what the attention backend asks for; prefix_caching None: vLLM's
    own default, which is on but for models without attention. pipeline_stage is counted from 0; None is the stage whose
    blocks are the largest, which leaves the fewest where all have as much memory. draft is a ModelSpec, kept under its
    identity; draft_method one of METHODS, and speculative_tokens how many tokens a step speculates."""

    tensor_parallel: int = 1
    cache_type: str = "auto"
    max_batched_tokens: int = 2048
    prefix_caching: bool | None = None
    block_size: int | None = None
    decode_context_parallel: int = 1
    pipeline_parallel: int = 1
    pipeline_stage: int | None = None
    draft: Keyed | None = None
    draft_method: str | None = None
    speculative_tokens: int = 0

    def __post_init__(self) -> None:
        """Raises EngineError for a value that vLLM does not take."""
        whole("tensor_parallel", self.tensor_parallel, 4096)
        whole("max_batched_tokens", self.max_batched_tokens, MOST_TOKENS)
        whole("decode_context_parallel", self.decode_context_parallel, 4096)
        if self.block_size is not None:
            whole("block_size", self.block_size, 2**20)
        if self.prefix_caching is not None and not isinstance(self.prefix_caching, bool):
            raise EngineError(f"prefix_caching is {self.prefix_caching!r}: true or false is expected.")
        if self.cache_type not in TYPES:
            raise EngineError(
                f"cache_type is {self.cache_type!r}: on an NVIDIA card vLLM 0.33 has "
                f"{', '.join(TYPES)}. Name one of these."
            )
        if self.tensor_parallel % self.decode_context_parallel:
            raise EngineError(
                f"decode_context_parallel is {self.decode_context_parallel}: it has to divide tensor_parallel "
                f"({self.tensor_parallel}), since it shares out the same ranks."
            )
        self._check_pipeline()
        self._check_draft()

    def _check_pipeline(self) -> None:
        whole("pipeline_parallel", self.pipeline_parallel, 4096)
        if self.pipeline_stage is not None:
            whole("pipeline_stage", self.pipeline_stage, self.pipeline_parallel - 1, least=0)

    def _check_draft(self) -> None:
        if isinstance(self.draft, ModelSpec):
            object.__setattr__(self, "draft", Keyed(self.draft))
        whole("speculative_tokens", self.speculative_tokens, MOST_SPECULATED, least=0)
        if self.draft_method is None:
            if self.draft is not None or self.speculative_tokens:
                raise EngineError(f"A draft needs its draft_method in vLLM 0.33: one of {', '.join(METHODS)}.")
            return
        if self.draft_method not in METHODS:
            raise EngineError(f"draft_method is {self.draft_method!r}: one of {', '.join(METHODS)} is expected.")
        if not self.speculative_tokens:
            raise EngineError("speculative_tokens is 0: a draft speculates at least one token a step.")
        if (self.draft is None) != (self.draft_method == "mtp"):
            raise EngineError(
                "mtp drafts with layers of the model itself, so it takes no draft."
                if self.draft_method == "mtp"
                else f"{self.draft_method} drafts with a model of its own: give its ModelSpec as draft."
            )


def whole(name: str, value: Any, most: int, least: int = 1) -> int:
    """A whole number within bounds. Raises EngineError that names it."""
    if type(value) is not int:
        raise EngineError(f"{name} is {value!r}: a whole number is expected.")
    if not least <= value <= most:
        raise EngineError(f"{name} is {value:,}: it has to lie between {least:,} and {most:,}.")
    return value
