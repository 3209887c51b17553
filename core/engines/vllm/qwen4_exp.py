"""Qwen3.8-Flash-Next (qwen4_exp): pooled index keys beside keys and values, a ring of what waits to be pooled, states
of the delta rule, and those of a convolution over n-gram embeddings, in one block.

States vllm/models/qwen4_exp/{nvidia/qsa,nvidia/ple_layer,common/qsa_cache}.py, CircularBufferSpec and
Qwen4ExpForConditionalGenerationConfig of vLLM 0.33.0. indexer_compress_ratio tokens share one index key of 16 bits;
their raw keys stand in a ring of that many tokens, one page a request. The block is reckoned as Qwen3-Next's, and every
state takes a page of the size of the keys and values of a block.
"""

from dataclasses import replace

from core.engines.plan import EngineError
from core.engines.vllm.blocks import KERNEL_BLOCK, aligned_with_states
from core.engines.vllm.caches import Kind, LayerCache
from core.engines.vllm.layers import Frame, kv_heads_of_rank
from core.engines.vllm.model import Model
from core.engines.vllm.rows import ELEMENT_BYTES, head_bytes
from core.engines.vllm.settings import Settings
from core.engines.vllm.states import State, gated_delta
from core.models.attention import GroupedAttention, RecurrentState
from core.models.rules.fields import ConfigPart

STATES_HELD, STATES_HELD_CACHED = 1, 3  # with prefix caching: running, last at a block's end, and one exported
HEAD_DIM = 256
POSITION_BYTES = 3 * 8  # of a raw key in a multimodal model: its three rotary positions


def block_size(model: Model, settings: Settings) -> int:
    """Tokens of a block: the delta rule's state decides it, whether or not a layer has one. Raises EngineError."""
    part, asked = _part(model), settings.block_size or KERNEL_BLOCK
    pool = int(part.integer("indexer_compress_ratio").value)
    if not any(isinstance(layer, GroupedAttention) for layer in model.spec.layers):
        raise EngineError("layer_types names no full_attention layer: what vLLM 0.33 plans for it is not stated here.")
    if asked % pool:
        raise EngineError(
            f"block_size is {asked}: vLLM 0.33 takes multiples of indexer_compress_ratio ({pool}) for "
            f"{model.text_class}. Give one."
        )
    width = part.integer("head_dim").value
    if width != HEAD_DIM:
        raise EngineError(f"head_dim is {width}: vLLM 0.33 serves {model.text_class} with heads of {HEAD_DIM} alone.")
    state = gated_delta(part, settings.tensor_parallel)
    largest = max([state.state_bytes, *(other.state_bytes for other in _convolution(part))])
    exported = bool(_delta(model, settings)) and settings.prefix_caching is not False
    state = replace(state, state_bytes=largest)
    return aligned_with_states(model, settings, settings.cache_type, asked, state, caches_prefixes=exported)[0]


def caches(frame: Frame) -> tuple[LayerCache, ...]:
    """What each layer keeps, in order: a state, or index keys, their ring, keys and values; where the file places an
    n-gram embedding, the taps of its convolution beside it, whole on every rank."""
    part, model = _part(frame.model), frame.model
    attention = next(layer for layer in model.spec.layers if isinstance(layer, GroupedAttention))
    heads, width = kv_heads_of_rank(attention.num_kv_heads, frame.settings.tensor_parallel), attention.head_dim
    row = heads * head_bytes(frame.cache_type, width, width)
    page = frame.block_size * row
    of_attention = (*_index(frame, part), _keys_and_values(frame, (heads, width), row))
    recurrent = [_state(frame, page, state) for state in _delta(model, frame.settings)]
    taps = [_state(frame, page, state, role="whole on every rank") for state in _convolution(part)]
    embedded = set(part.integers("ple_layer_ids") or ())
    kept: list[LayerCache] = []
    for number, layer in enumerate(model.spec.layers, start=1):
        kept += recurrent if isinstance(layer, RecurrentState) else of_attention
        if number in embedded and not isinstance(layer, RecurrentState):
            raise EngineError(
                f"ple_layer_ids names layer {number}, which attends: vLLM 0.33 takes linear layers alone."
            )
        kept += taps if number in embedded else []
    return tuple(kept)


def _delta(model: Model, settings: Settings) -> list[State]:
    recurs = any(isinstance(layer, RecurrentState) for layer in model.spec.layers)
    return [gated_delta(_part(model), settings.tensor_parallel)] if recurs else []


def _convolution(part: ConfigPart) -> list[State]:
    """hc_count residual streams are convolved, ple_conv_kernel_size taps ngram_size tokens apart; no rank shares it."""
    if not part.integers("ple_layer_ids"):
        return []
    names = ("hc_count", "hidden_size", "ple_conv_kernel_size", "ngram_size")
    streams, hidden, kernel, apart = (int(part.integer(name).value) for name in names)
    return [State(state_bytes=streams * hidden * (kernel - 1) * apart * ELEMENT_BYTES)]


def _state(frame: Frame, page: int, state: State, role: str = "") -> LayerCache:
    return LayerCache(
        kind=Kind.STATE,
        block_size=frame.block_size if frame.caches_prefixes else 0,
        page_bytes=page,
        state_pages=STATES_HELD_CACHED if frame.caches_prefixes else STATES_HELD,
        filled_bytes=state.state_bytes,
        padded=page > state.state_bytes,
        role=role,
    )


def _index(frame: Frame, part: ConfigPart) -> tuple[LayerCache, LayerCache]:
    """The ring of raw keys, and the pooled ones."""
    pool = int(part.integer("indexer_compress_ratio").value)
    key = int(part.integer("indexer_head_dim").value) * ELEMENT_BYTES
    pooled = LayerCache(
        kind=Kind.LATENT, block_size=frame.block_size, page_bytes=frame.block_size // pool * key, row_bytes=key,
        tokens_per_row=pool, shape=(1, key, 0), role="indexer",
    )  # fmt: skip
    several = frame.model.served.architecture == "Qwen4ExpForConditionalGeneration"
    ring = pool * (key + (POSITION_BYTES if several else 0))
    return LayerCache(kind=Kind.RING, block_size=pool, page_bytes=ring, state_pages=1, filled_bytes=ring), pooled


def _keys_and_values(frame: Frame, shape: tuple[int, int], row: int) -> LayerCache:
    heads, width = shape
    return LayerCache(
        kind=Kind.FULL, block_size=frame.block_size, page_bytes=frame.block_size * row, row_bytes=row,
        shape=(heads, width, width), role="leader",
    )  # fmt: skip


def _part(model: Model) -> ConfigPart:
    assert model.part is not None
    return model.part
