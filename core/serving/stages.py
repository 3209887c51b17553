"""One copy of a model over several accelerators beyond tensor parallel: stages of layers, ranks of requests, experts.

    accelerators of one copy = tensor parallel x pipeline parallel x data parallel
    experts of a rank        = ceil(experts / (tensor parallel x data parallel)) with expert parallel

A pipeline's stages hold layers one after the other; the embedding lies on the first, the head on the last, which holds
a tied embedding again. Where layers do not divide, core/engines/stage_layers.py says who holds more; the payload goes
by vLLM's rule. Ranks of data-parallel attention (vLLM's --data-parallel-size, SGLang's --enable-dp-attention with --tp
as large as both together) each hold all of the attention and serve requests of their own, and share the experts: cut as
tensors over all of these ranks, or given out whole (--enable-expert-parallel; expert_map_manager.py,
determine_expert_map: the first ranks take the one that is left over).
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from core.engines.stage_layers import stage_layers
from core.errors import SizingError
from core.models.attention import Layer, SharedCache
from core.models.spec import ModelSpec

SPLIT_ENGINES = ("vllm", "sglang")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Layers first to last - 1 of the model, on stage `index` of `stages`."""

    index: int
    stages: int
    first: int
    last: int

    @property
    def leads(self) -> bool:
        """Whether it holds the embedding."""
        return self.index == 0

    @property
    def ends(self) -> bool:
        """Whether it holds the head."""
        return self.index == self.stages - 1

    @property
    def words(self) -> str:
        """'layers 1 to 31 of stage 1'."""
        return f"layers {self.first + 1} to {self.last} on stage {self.index + 1} of {self.stages}"


def stages_of(num_layers: int, pipeline_parallel: int, engine: str) -> tuple[Stage, ...]:
    """The stages of a model, first to last. Raises SizingError where a stage would hold no layer."""
    if pipeline_parallel > num_layers:
        raise SizingError(
            f"pipeline_parallel is {pipeline_parallel}, and the model has {num_layers} layers: a stage holds one at "
            "least. Give fewer stages"
        )
    bounds = stage_layers(num_layers, pipeline_parallel, last_takes_more=engine == "sglang")
    return tuple(
        Stage(index=index, stages=pipeline_parallel, first=first, last=last)
        for index, (first, last) in enumerate(bounds)
    )


def check_stages(layers: tuple[Layer, ...], stages: tuple[Stage, ...]) -> None:
    """Raises SizingError where a layer reads the cache of a layer on another stage."""
    for stage in stages:
        for number in range(stage.first, stage.last):
            layer = layers[number]
            if isinstance(layer, SharedCache) and not stage.first <= layer.source_layer < stage.last:
                raise SizingError(
                    f"pipeline_parallel is {stage.stages}: layer {number + 1} reads the cache of layer "
                    f"{layer.source_layer + 1}, which would lie on another stage. Leave it at 1"
                )


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the accelerators of a job are shared out."""

    num_accelerators: int
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    expert_parallel: bool

    @property
    def replicas(self) -> int:
        """Copies of the attention."""
        return self.num_accelerators // (self.tensor_parallel * self.pipeline_parallel)

    @property
    def expert_ranks(self) -> int:
        """Accelerators that hold one layer's experts together."""
        return self.tensor_parallel * self.data_parallel

    @property
    def goes_further(self) -> bool:
        """Whether a copy is split by more than tensor parallel."""
        return max(self.pipeline_parallel, self.data_parallel) > 1 or self.expert_parallel


DRAFTS_IN_A_PIPELINE = ("payload", "vllm")  # whole on the last stage, as vLLM 0.33 builds its speculator


def check_split_of(model: ModelSpec, split: Split, engine: str, *, experts: int, drafts: bool) -> None:
    """Raises SizingError, with what to do, where the accelerators of a job cannot be shared out as it asks; experts are
    those of a layer, asked for where whole ones are to be given out."""
    ranks, stages, shared = split.tensor_parallel, split.pipeline_parallel, split.data_parallel
    if split.num_accelerators % (ranks * stages):
        beside = f" x pipeline_parallel {stages}" if stages > 1 else ""
        raise SizingError(
            f"num_accelerators is {split.num_accelerators}, not a multiple of tensor_parallel {ranks}{beside}: each "
            f"copy of the model takes {ranks * stages} accelerators"
        )
    if split.replicas % shared:
        raise SizingError(
            f"data_parallel is {shared}, and {split.num_accelerators} accelerators make {split.replicas} copies of the "
            f"attention: give a number that divides them, or a multiple of {ranks * stages * shared} accelerators"
        )
    if stages > 1 and drafts and engine not in DRAFTS_IN_A_PIPELINE:
        raise SizingError(
            f"pipeline_parallel with a draft: on which stage {engine} lays its layers is not stated here. Leave one out"
        )
    if split.expert_parallel:
        _check_experts(model.model_type, experts, split)
    if stages > 1:
        check_stages(model.layers, stages_of(len(model.layers), stages, engine))


def _check_experts(model_type: str, experts: int, split: Split) -> None:
    ranks = split.expert_ranks
    if not experts:
        raise SizingError(f"expert_parallel is on, and this {model_type} model has no experts: leave it off")
    if ranks == 1:
        raise SizingError(
            "expert_parallel is on, and there is one rank to hold the experts: raise tensor_parallel or data_parallel"
        )
    if ranks > experts:
        raise SizingError(
            f"expert_parallel is on over tensor_parallel {split.tensor_parallel} x data_parallel "
            f"{split.data_parallel} = {ranks} ranks, and a layer has {experts} experts: a rank would hold none. Give "
            "fewer ranks"
        )


@lru_cache(maxsize=1024)
def stage_model(model: ModelSpec, stage: Stage) -> ModelSpec:
    """The shapes of a stage's layers alone; a shared cache points at its source there."""
    layers = model.layers[stage.first : stage.last]
    moved = tuple(
        replace(layer, source_layer=layer.source_layer - stage.first) if isinstance(layer, SharedCache) else layer
        for layer in layers
    )
    return replace(model, layers=moved)


def local_experts(num_experts: int, ranks: int, rank: int = 0) -> int:
    """Experts of a layer that one of so many ranks holds whole; the first rank holds the most."""
    return num_experts // ranks + (rank < num_experts % ranks)
