"""What vLLM 0.33 refuses before it plans: settings that a model's class or the attention backends do not bear."""

from core.engines.plan import EngineError
from core.engines.vllm.classes import (
    ALIBI,
    LATENT_MULTIPLIED_OUT,
    NO_REPEATED_HEADS,
    NO_STAGES,
    NO_STAGES_TIED,
    QWEN2_MODELS,
    SINKS,
)
from core.engines.vllm.layers import attention_of, has_state, windows_of
from core.engines.vllm.model import Model
from core.engines.vllm.rows import SCALED, TURBOQUANT
from core.engines.vllm.settings import Settings
from core.models.attention import GroupedAttention, LatentAttention, RecurrentState

TRITON_LEAST_WIDTH = 32  # Triton's attention, which alone takes fp8_e5m2 and scales per token and head
# ModelArchConfigConvertorBase.is_mm_prefix_lm: the tokens of an image attend to each other both ways. Of the others of
# which that holds (Gemma 3 and 4, DeepSeek V4) TurboQuant takes none already, for their windows.
BOTH_WAYS = ("bagel", "molmo2", "moondream3", "paligemma")
UNREADABLE_STATE = ("zamba2", "falcon_h1")  # hybrids in whose file TurboQuant finds no attention layers


def check(model: Model, settings: Settings, cache_type: str) -> None:
    """Raises EngineError for a model or settings that vLLM 0.33 does not serve together."""
    layers = model.spec.layers
    attention = [inner for layer in layers if (inner := attention_of(layer)) is not None]
    recurrent = [layer for layer in layers if has_state(layer)]
    if not attention and not recurrent:
        raise EngineError("No layer of this model keeps a cache in vLLM 0.33: there is nothing to plan.")
    if recurrent and model.part is None:
        raise EngineError("The model has recurrent layers but no config.json behind it, which vLLM 0.33's states need.")
    if any(isinstance(layer, RecurrentState) for layer in layers) and not model.native:
        raise EngineError(
            f"{model.served.architecture} has recurrent layers, which vLLM 0.33's transformers backend cannot cache. "
            "Choose another engine or model."
        )
    mixed = len({inner.window for inner in attention}) > 1
    if mixed and model.text_class in QWEN2_MODELS and model.number("max_window_layers") != len(layers):
        raise EngineError(
            f"max_window_layers is {model.number('max_window_layers')}: vLLM 0.33 refuses a {model.text_class} of "
            "which some layers slide and others do not. Set use_sliding_window to false."
        )
    _check_ranks(model, settings, attention)
    if settings.pipeline_parallel > 1:
        _check_stages(model, settings, cache_type)
    _check_cache_type(model, cache_type, attention, bool(recurrent))
    if settings.decode_context_parallel > 1:
        _check_type_shared_out(cache_type)


def _check_ranks(model: Model, settings: Settings, attention: list[GroupedAttention | LatentAttention]) -> None:
    ranks, shared = settings.tensor_parallel, settings.decode_context_parallel
    for inner in attention:
        if inner.num_query_heads % ranks:
            raise EngineError(
                f"tensor_parallel is {ranks}: vLLM 0.33 needs one that divides the {inner.num_query_heads} query heads."
            )
        latent = isinstance(inner, LatentAttention) and model.text_class not in LATENT_MULTIPLIED_OUT
        if shared > 1 and not latent:
            query = inner.num_query_heads
            kv_heads = inner.num_kv_heads if isinstance(inner, GroupedAttention) else query
            if ranks <= kv_heads or shared > ranks // kv_heads or (query // kv_heads) % shared:
                raise EngineError(
                    f"decode_context_parallel is {shared}: with {kv_heads} KV heads over {ranks} ranks vLLM allows "
                    f"at most {max(1, ranks // kv_heads)}, and it has to divide {query // kv_heads} query heads."
                )
        if model.text_class in NO_REPEATED_HEADS and isinstance(inner, GroupedAttention) and inner.num_kv_heads % ranks:
            raise EngineError(
                f"tensor_parallel is {ranks}: vLLM 0.33 repeats no KV head of {model.text_class}, which has "
                f"{inner.num_kv_heads}. Choose one that divides them."
            )
    if shared > 1 and not attention:
        raise EngineError(f"decode_context_parallel is {shared}: a model without attention has nothing to share out.")


def _check_stages(model: Model, settings: Settings, cache_type: str) -> None:
    stages, name = f"pipeline_parallel is {settings.pipeline_parallel}", model.served.architecture
    tied = model.part is not None and bool(model.part.value("tie_word_embeddings"))
    if name in NO_STAGES or (name in NO_STAGES_TIED and tied):
        embeddings = " with tied embeddings" if name in NO_STAGES_TIED else ""
        raise EngineError(f"{stages}: vLLM 0.33 serves no {name}{embeddings} in stages. Set it to 1.")
    if cache_type in TURBOQUANT:
        raise EngineError(
            f"{stages}: with {cache_type!r} each stage of vLLM 0.33 has blocks of a size of its own, which is not "
            "stated here. Set it to 1, or choose auto or fp8."
        )


def _check_cache_type(
    model: Model, cache_type: str, attention: list[GroupedAttention | LatentAttention], recurrent: bool
) -> None:
    if model.text_class in ALIBI and cache_type in ("fp8", "fp8_e4m3"):
        raise EngineError(
            f"cache_type is {cache_type!r}: vLLM 0.33 has none for {model.text_class}, whose alibi needs "
            "FlashAttention 2. Choose auto or fp8_e5m2."
        )
    if cache_type == "nvfp4" and model.text_class in SINKS:
        raise EngineError("cache_type is 'nvfp4': vLLM 0.33 has none for attention sinks. Choose auto or fp8.")
    if (
        cache_type == "fp8_ds_mla"
        and model.index_width is None
        and any(isinstance(inner, LatentAttention) for inner in attention)
    ):
        raise EngineError(
            "cache_type is 'fp8_ds_mla': vLLM 0.33 stores it for latent attention with an indexer only, and this model "
            "has none. Choose auto or fp8."
        )
    if cache_type in TURBOQUANT:
        _check_turboquant(model, cache_type, recurrent)
    if cache_type == "fp8_e5m2" or cache_type in SCALED:
        narrow = [
            inner for inner in attention if isinstance(inner, GroupedAttention) and inner.head_dim < TRITON_LEAST_WIDTH
        ]
        if narrow:
            raise EngineError(
                f"cache_type is {cache_type!r}: vLLM 0.33 needs heads of {TRITON_LEAST_WIDTH} elements for it, not "
                f"{narrow[0].head_dim}. Choose auto or fp8."
            )


def _check_type_shared_out(cache_type: str) -> None:
    """Of vLLM 0.33's backends FlashAttention and FlashInfer alone share a context out (supports_dcp)."""
    if cache_type in SCALED or cache_type in TURBOQUANT:
        raise EngineError(
            f"cache_type is {cache_type!r}: the attention of vLLM 0.33 that stores it cannot share a context out. Set "
            "decode_context_parallel to 1, or choose auto or fp8."
        )
    if cache_type == "nvfp4":
        raise EngineError(
            "cache_type is 'nvfp4': on an H100 vLLM 0.33 cannot read its scales where a context is shared out. Set "
            "decode_context_parallel to 1, or choose auto or fp8."
        )


def _check_turboquant(model: Model, cache_type: str, recurrent: bool) -> None:
    if recurrent and model.spec.model_type in UNREADABLE_STATE:
        raise EngineError(
            f"cache_type is {cache_type!r}: vLLM 0.33 finds no attention layers in a {model.spec.model_type} file. "
            "Choose auto or fp8."
        )
    model_type = model.spec.config.get("model_type")
    if model_type in BOTH_WAYS:
        raise EngineError(
            f"cache_type is {cache_type!r}: vLLM 0.33 has none for {model_type}, whose image tokens attend both ways, "
            "unless the server is started for text alone. Choose auto or fp8."
        )
    if any(window is not None for window in windows_of(model)):
        raise EngineError(f"cache_type is {cache_type!r}: vLLM 0.33 has none for sliding windows. Choose auto or fp8.")
