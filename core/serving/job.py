"""A serving job: a model, how it is served, and on what. Every field is checked when the job is made.

`model` is the model as published; `num_kv_heads` and `window_pattern` ask what if. A field that cannot be honoured
raises SizingError with what is wrong, which value, and what to do: nothing is guessed and nothing is clamped.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from core.engines.face import MODULES
from core.engines.stored_type import StoredType, stored_type
from core.errors import SizingError, require_number, require_whole
from core.hardware.accelerators import Accelerator, find_accelerator
from core.models.notebook import html_table
from core.models.spec import ModelSpec
from core.parameters.formats import FORMATS
from core.serving.draft import Draft
from core.serving.layer_experts import layer_experts
from core.serving.measured import MeasuredMemory
from core.serving.offload import Offload
from core.serving.stages import Split, check_split_of
from core.serving.weights import ParameterCount
from core.serving.what_if import (
    MAX_CONTEXT_LENGTH,
    WindowPattern,
    allowed_kv_heads,
    apply_what_if,
    check_parallel_layers,
    own_kv_heads,
    query_heads,
)

# a job's what-ifs are part of its face
__all__ = ["ServingJob", "WindowPattern", "allowed_kv_heads", "apply_what_if", "own_kv_heads", "query_heads"]

MAX_BATCH_SIZE = 2**20
MAX_ACCELERATORS = 2**16
MAX_FILE_BYTES = 10**16
PAYLOAD = "payload"  # the engine of a job that names none: what the attention pattern needs


@dataclass(frozen=True, kw_only=True)
class ServingJob:
    """What is to be served. Raises SizingError on construction where a field or a combination is not possible.

    num_kv_heads          G to use instead of the model's own in every grouped layer; None keeps the model's
    batch_size            sequences decoded together over all accelerators
    context_length        tokens held per sequence
    weight_format         None keeps every weight at weight_bits; 'published' as the model's file says; or a format's id
    weight_file_bytes     bytes that the published files were found to hold, for 'published'
    weight_bits, kv_bits  per stored element; KV scales: kv_scale_overhead_bits for each kv_elements_per_scale elements;
                          a type of the cache among engine_settings has bits of its own, which these then say
    accelerator           an id of the catalogue, or an Accelerator
    num_accelerators      a multiple of tensor_parallel x pipeline_parallel; beyond it, copies share the batch
    pipeline_parallel     stages that hold layers one after the other
    data_parallel         of the copies, how many share one set of experts (data-parallel attention)
    expert_parallel       whole experts on each of tensor_parallel x data_parallel ranks, in place of slices of all
    memory_utilization    part of the accelerator's memory that the engine may use, above 0 and up to 1
    runtime_reserve_bytes for the runtime, activations and fragmentation; prefill workspace counts where it is larger
    freed_parameters      'dropped', or 'spent' on a wider FFN, when num_kv_heads changes the K and V projections
    window_pattern        what-if pattern of global and local layers; None keeps the model's windows
    block_size            what if the payload stood in blocks of so many tokens; an engine knows its own
    prefill_chunk         tokens that one prefill step works on
    parameter_count       exact count of the published model, with its source; None has it counted from the config
    engine                whose cache is counted: 'payload', 'vllm', 'sglang', 'llama.cpp', …
    engine_settings       (name, value) pairs of that engine's own job keys, such as (("max_batched_tokens", 8192),)
    memory_reading        'server': a named engine's budget is a share of what torch sees; 'device': of the device's own
    draft                 who speculates tokens for the model to check: its weights and cache count beside the model's
    shared_prefix         tokens that all requests begin with: held once, in an engine's whole blocks
    offload               room for the cache outside the accelerator, and the link to it; what fits does not change
    measured              what a server logged as left for the cache, in place of reserve and workspace; None: computed
    """

    model: ModelSpec
    batch_size: int
    context_length: int
    num_kv_heads: int | None = None
    weight_bits: float = 16
    weight_format: str | None = None
    weight_file_bytes: int | None = None
    kv_bits: int = 16
    kv_scale_overhead_bits: int = 0
    kv_elements_per_scale: int = 64
    accelerator: str | Accelerator = "h100-sxm"
    num_accelerators: int = 1
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: bool = False
    memory_utilization: float = 0.9
    runtime_reserve_bytes: float = 2e9
    freed_parameters: str = "dropped"
    window_pattern: WindowPattern | None = None
    block_size: int = 1
    prefill_chunk: int = 8192
    parameter_count: ParameterCount | None = None
    engine: str = PAYLOAD
    engine_settings: tuple[tuple[str, Any], ...] = ()
    memory_reading: str = "server"
    measured: MeasuredMemory | None = None
    draft: Draft | None = None
    shared_prefix: int = 0
    offload: Offload | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, ModelSpec):
            raise SizingError(f"model is a {type(self.model).__name__}: give a ModelSpec, such as read_config returns")
        for name, (smallest, largest) in _WHOLE_FIELDS.items():
            require_whole(name, getattr(self, name), smallest, largest)
        require_number("weight_bits", self.weight_bits, 0.5, 64)
        require_number("memory_utilization", self.memory_utilization, 1e-6, 1)
        require_number("runtime_reserve_bytes", self.runtime_reserve_bytes, 0, 1e15)
        if self.weight_format is not None and self.weight_format not in FORMATS:
            raise SizingError(f"weight_format is {self.weight_format!r}: use one of {', '.join(FORMATS)}, or None")
        if self.weight_file_bytes is not None:
            require_whole("weight_file_bytes", self.weight_file_bytes, 1, MAX_FILE_BYTES)
        if self.freed_parameters not in ("dropped", "spent"):
            raise SizingError(f"freed_parameters is {self.freed_parameters!r}: use 'dropped' or 'spent'")
        if not isinstance(self.accelerator, str | Accelerator):
            raise SizingError(f"accelerator is {self.accelerator!r}: give an id of the catalogue or an Accelerator")
        if self.parameter_count is not None and not isinstance(self.parameter_count, ParameterCount):
            raise SizingError(
                f"parameter_count is {self.parameter_count!r}: give a ParameterCount, or None to have it counted"
            )
        if self.engine not in MODULES:
            raise SizingError(f"engine is {self.engine!r}: use one of {', '.join(MODULES)}")
        if self.measured is not None and not isinstance(self.measured, MeasuredMemory):
            raise SizingError(f"measured is {self.measured!r}: give core.serving.calibrated's, or None")
        if self.memory_reading not in ("server", "device"):
            raise SizingError(f"memory_reading is {self.memory_reading!r}: use 'server' or 'device'")
        for name, kind in (("draft", Draft), ("offload", Offload)):
            if not isinstance(getattr(self, name), kind | None):
                raise SizingError(f"{name} is {getattr(self, name)!r}: give core.serving.{name}'s, or None")
        if self.stored_type is not None:
            self._take_width(self.stored_type.bits)
        _check_memory_known(self.device)
        experts = self.num_experts if self.expert_parallel else 0
        check_split_of(self.model, self.split, self.engine, experts=experts, drafts=self.draft is not None)
        check_parallel_layers(self.served_model, self.tensor_parallel)
        _check_draft_layers(self.draft, self.tensor_parallel)

    def _take_width(self, bits: Fraction) -> None:
        scale = bits % 1
        taken = {"kv_bits": int(bits), "kv_scale_overhead_bits": scale.numerator}
        for name, value in (taken | ({"kv_elements_per_scale": scale.denominator} if scale else {})).items():
            object.__setattr__(self, name, value)

    @cached_property
    def stored_type(self) -> StoredType | None:
        """The type that engine_settings name for the cache; None where kv_bits decides."""
        return stored_type(self.engine, dict(self.engine_settings))

    @property
    def cache_type(self) -> str:
        """Its name; empty where kv_bits decides."""
        return self.stored_type.name if self.stored_type else ""

    @property
    def device(self) -> Accelerator:
        """The accelerator itself, whether given by id or as an object."""
        return find_accelerator(self.accelerator) if isinstance(self.accelerator, str) else self.accelerator

    @property
    def published_shape(self) -> ModelSpec:
        """The model's shapes without the record of where they were read, which would make every look-up slow."""
        return self.model.shape

    @cached_property
    def served_model(self) -> ModelSpec:
        """The shapes with num_kv_heads and window_pattern applied; weights.resize changes the FFN width."""
        return apply_what_if(self.published_shape, self.num_kv_heads, self.window_pattern)

    @cached_property
    def num_experts(self) -> int:
        """Experts of the layer that has most; 0 without any."""
        return layer_experts(self.model, self.parameter_count)

    @property
    def split(self) -> Split:
        """How the accelerators are shared out."""
        return Split(
            num_accelerators=self.num_accelerators,
            tensor_parallel=self.tensor_parallel,
            pipeline_parallel=self.pipeline_parallel,
            data_parallel=self.data_parallel,
            expert_parallel=self.expert_parallel,
        )

    @property
    def replicas(self) -> int:
        """Copies of the attention: num_accelerators / (tensor_parallel x pipeline_parallel). They share the batch; of
        the experts, data_parallel of them hold one copy together."""
        return self.num_accelerators // (self.tensor_parallel * self.pipeline_parallel)

    @property
    def batch_per_replica(self) -> int:
        """Sequences of the fullest copy: ceil(batch_size / replicas)."""
        return -(-self.batch_size // self.replicas)

    @property
    def kv_bits_per_element(self) -> Fraction:
        """KV bits and their share of a scale, exact: kv_bits + overhead / elements per scale."""
        return self.kv_bits + Fraction(self.kv_scale_overhead_bits, self.kv_elements_per_scale)

    def _repr_html_(self) -> str:
        rows = [
            ("model", self.model.model_type), ("requests", self.batch_size), ("tokens each", self.context_length),
            ("accelerators", f"{self.num_accelerators} × {self.device.name}"), ("engine", self.engine),
            ("cache bits", self.kv_bits), ("weight bits", self.weight_format or f"{self.weight_bits:g}"),
        ]  # fmt: skip
        return html_table("Serving job", rows)

    def where(self, **changes: Any) -> "ServingJob":
        """The same job with fields changed, checked again."""
        return replace(self, **changes)


def require_prefix_within(job: ServingJob) -> None:
    """Raises SizingError for a shared prefix that is longer than a request: where both are typed, one is wrong."""
    if job.shared_prefix > job.context_length:
        raise SizingError(
            f"the shared prefix is {job.shared_prefix:,} tokens, more than the {job.context_length:,} of a request: "
            "give a shorter prefix or a longer context"
        )


_WHOLE_FIELDS: dict[str, tuple[int, int]] = {
    "batch_size": (1, MAX_BATCH_SIZE),
    "context_length": (1, MAX_CONTEXT_LENGTH),
    "kv_bits": (1, 64),
    "kv_scale_overhead_bits": (0, 128),
    "kv_elements_per_scale": (1, 2**20),
    "num_accelerators": (1, MAX_ACCELERATORS),
    "tensor_parallel": (1, MAX_ACCELERATORS),
    "pipeline_parallel": (1, MAX_ACCELERATORS),
    "data_parallel": (1, MAX_ACCELERATORS),
    "block_size": (1, 2**20),
    "prefill_chunk": (1, MAX_CONTEXT_LENGTH),
    "shared_prefix": (0, MAX_CONTEXT_LENGTH),
}


def _check_draft_layers(draft: Draft | None, tensor_parallel: int) -> None:
    """A draft of its own is split over the model's ranks; MTP's layers are the model's."""
    if draft is None or draft.model is None:
        return
    try:
        check_parallel_layers(draft.model, tensor_parallel)
    except SizingError as refused:
        raise SizingError(f"The draft is split as the model is: {refused}, or draft with another model") from refused


def _check_memory_known(accelerator: Accelerator) -> None:
    if accelerator.memory_bytes is None:
        raise SizingError(
            f"accelerator {accelerator.id!r}: its memory size is not established, so a fit cannot be judged; "
            f"choose another, or type its memory in as a custom accelerator"
        )
