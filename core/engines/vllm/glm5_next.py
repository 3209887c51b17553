"""GLM-5.3-Flash: latents with a pooled index beside them, a ring of what waits to be pooled, and states, in one block.

States vllm/models/glm5next/common/{attention,kda,model}.py, v1/attention/backends/mla/indexer.py and
CircularBufferSpec of vLLM 0.33.0. index_kpool tokens share one index key; their raw keys and gates stand in a ring of
that many tokens, one page a request. The block is the least multiple of the index kernel's 32 keys whose latents are as
large as one layer's state, which then takes a page of that size.
"""

from math import lcm

from core.engines.arrays import ceiling
from core.engines.plan import EngineError
from core.engines.vllm.caches import Kind, LayerCache
from core.engines.vllm.layers import Frame
from core.engines.vllm.model import Model
from core.engines.vllm.rows import ELEMENT_BYTES
from core.engines.vllm.settings import Settings
from core.engines.vllm.states import State, shared_out
from core.models.attention import RecurrentState
from core.models.rules.fields import ConfigPart

KERNEL_KEYS = 32  # get_paged_mqa_page_sizes on an H100: pages of 32 or 64 keys
STATES_HELD, STATES_HELD_CACHED = 1, 3  # with prefix caching: running, last at a block's end, and one exported
FLOAT32_BYTES = 4
INDEX_SCALE_WIDTH = 128


def state_of(part: ConfigPart, ranks: int) -> State:
    """Kimi delta attention: queries, keys and values convolved in 16 bits, heads x width x width in float32."""
    heads, width = part.integer("linear_num_heads").value, part.integer("linear_head_dim").value
    taps = part.integer("linear_conv_kernel_dim").value - 1
    channels = shared_out("the convolved channels", 3 * heads * width, ranks)
    recurrent = shared_out("linear_num_heads", heads, ranks) * width * width
    return State(state_bytes=channels * taps * ELEMENT_BYTES + recurrent * FLOAT32_BYTES)


def block_size(model: Model, settings: Settings) -> int:
    """Tokens of a block. Raises EngineError for one that the server names."""
    if settings.block_size is not None:
        raise EngineError(
            f"block_size is {settings.block_size}: a state decides {model.text_class}'s here. Leave it out."
        )
    part = _part(model)
    unit = KERNEL_KEYS * int(part.integer("index_kpool").value)
    if not any(isinstance(layer, RecurrentState) for layer in model.spec.layers):
        return unit
    return unit * int(ceiling(state_of(part, settings.tensor_parallel).state_bytes, unit * _latent_row(part)))


def stride(model: Model) -> int:
    """Bytes that a block is a multiple of: the index kernel's page of keys, and a latent's row."""
    part = _part(model)
    return lcm(KERNEL_KEYS * _index_row(part), _latent_row(part))


def caches(frame: Frame) -> tuple[LayerCache, ...]:
    """What each layer keeps, in order: a state, or index keys, their ring and latents."""
    part = _part(frame.model)
    pool, block, row = part.integer("index_kpool").value, frame.block_size, _latent_row(part)
    state = state_of(part, frame.settings.tensor_parallel)
    recurrent = LayerCache(
        kind=Kind.STATE,
        block_size=block if frame.caches_prefixes else 0,
        page_bytes=block * row,
        state_pages=STATES_HELD_CACHED if frame.caches_prefixes else STATES_HELD,
        filled_bytes=state.state_bytes,
        padded=block * row > state.state_bytes,
    )
    key = _index_row(part)
    index = LayerCache(
        kind=Kind.LATENT, block_size=block, page_bytes=block // pool * key, row_bytes=key, tokens_per_row=pool,
        shape=(1, key, 0), role="indexer",
    )  # fmt: skip
    ring_bytes = pool * 2 * part.integer("index_head_dim").value * ELEMENT_BYTES
    ring = LayerCache(kind=Kind.RING, block_size=pool, page_bytes=ring_bytes, state_pages=1, filled_bytes=ring_bytes)
    latent = LayerCache(
        kind=Kind.LATENT, block_size=block, page_bytes=block * row, row_bytes=row, shape=(1, row, 0), role="leader"
    )
    kept: list[LayerCache] = []
    for layer in frame.model.spec.layers:
        kept += [recurrent] if isinstance(layer, RecurrentState) else [index, ring, latent]
    return tuple(kept)


def _part(model: Model) -> ConfigPart:
    assert model.part is not None
    return model.part


def _latent_row(part: ConfigPart) -> int:
    rope = int(part.integer("qk_rope_head_dim", minimum=0).value)
    return (int(part.integer("kv_lora_rank").value) + rope) * ELEMENT_BYTES


def _index_row(part: ConfigPart) -> int:
    """8-bit keys with a float32 scale for every 128 elements."""
    width = int(part.integer("index_head_dim").value)
    return width + width // INDEX_SCALE_WIDTH * FLOAT32_BYTES
