"""DeepSeek-V4: a window of packed vectors, compressed entries beside it, and the states that entries are made from.

States DeepseekV4Attention, DeepseekV4IndexerCache and CompressorStateCache (vllm/models/deepseek_v4/) and
DeepseekV4SWACache (v1/attention/backends/mla/sparse_swa.py) of vLLM 0.33.0. Every vector of 512 elements is stored in
584 bytes whatever the cache type says: 448 in 8 bits, 64 rotary ones in 16, 8 bytes of scales. Pages are rounded up to
576 bytes, the stride of the decode kernel.
"""

from core.engines.arrays import ceiling
from core.engines.plan import EngineError
from core.engines.vllm.caches import Kind, LayerCache
from core.engines.vllm.layers import Frame
from core.models.attention import CompressedAttention, GroupedAttention

PACKED_TYPES = ("auto", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_ds_mla", "fp8_per_token_head")  # all mean the packed rows
ROW_BYTES = 584
STRIDE_BYTES = 576
HEAD_DIM = 512  # the only width that is packed so
WINDOW_BLOCK = 64
STATE_BLOCKS = {4: 4, 128: 8}  # tokens of a page of compressor states, by tokens of an entry
OVERLAPS = {4: 2, 128: 1}  # stretches that an entry is made of
SCALED_ELEMENTS, SCALE_BYTES, FLOAT32_BYTES = 128, 4, 4


def deepseek_v4_caches(frame: Frame) -> tuple[LayerCache, ...]:
    """The caches of all layers. Raises EngineError for what vLLM 0.33 cannot lay out."""
    layers = frame.model.spec.layers
    if not any(isinstance(layer, CompressedAttention) and layer.index_key_dim for layer in layers):
        raise EngineError(
            "layer_types names no compressed_sparse_attention layer: vLLM 0.33 cannot give the pages of such a "
            "DeepSeek-V4 one size. Name one, or choose another engine."
        )
    made: dict[int, list[LayerCache]] = {}
    for layer in layers:
        if id(layer) not in made:
            made[id(layer)] = _of_layer(frame, layer)
    return tuple(cache for layer in layers for cache in made[id(layer)])


def _of_layer(frame: Frame, layer: object) -> list[LayerCache]:
    if not isinstance(layer, CompressedAttention | GroupedAttention) or layer.head_dim != HEAD_DIM:
        raise EngineError(f"head_dim has to be {HEAD_DIM}: vLLM 0.33 packs no other DeepSeek-V4 vector.")
    window = _window(frame, layer.window or 0, WINDOW_BLOCK, ROW_BYTES)
    if isinstance(layer, GroupedAttention):
        return [window]
    rate = layer.compress_rate
    if rate not in STATE_BLOCKS:
        raise EngineError(f"A compressed entry is made of {rate} tokens: vLLM 0.33 takes 4 or 128. Correct the file.")
    entries = _entries(frame, ROW_BYTES, rate)
    states = _states(frame, HEAD_DIM, rate)
    if layer.index_key_dim is None:
        return [window, entries, states]
    key_bytes = layer.index_key_dim + layer.index_key_dim // SCALED_ELEMENTS * SCALE_BYTES
    return [_entries(frame, key_bytes, rate), _states(frame, layer.index_key_dim, rate), window, entries, states]


def _strided(bytes_: int) -> int:
    return int(ceiling(bytes_, STRIDE_BYTES)) * STRIDE_BYTES


def _window(frame: Frame, window: int, block: int, row: int) -> LayerCache:
    return LayerCache(
        kind=Kind.LATENT_WINDOW,
        block_size=block,
        page_bytes=_strided(block * row),
        row_bytes=row,
        shape=(1, row, 0),
        window=window,
        in_flight_tokens=frame.in_flight_tokens,
    )


def _entries(frame: Frame, row: int, rate: int) -> LayerCache:
    """One row for every `rate` tokens of the whole context."""
    return LayerCache(
        kind=Kind.LATENT,
        block_size=frame.block_size,
        page_bytes=_strided(frame.block_size // rate * row),
        row_bytes=row,
        tokens_per_row=rate,
        shape=(1, row, 0),
    )


def _states(frame: Frame, width: int, rate: int) -> LayerCache:
    """A vector and its gate in float32 for each token that waits to become part of an entry."""
    row = 2 * OVERLAPS[rate] * width * FLOAT32_BYTES
    return _window(frame, OVERLAPS[rate] * rate, STATE_BLOCKS[rate], row)
