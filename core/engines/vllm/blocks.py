"""How many tokens a block holds: what the attention backend takes, and what a recurrent state needs.

States Platform.update_block_size_for_backend, _align_hybrid_block_size and _align_heterogeneous_kv_block_size of vLLM
0.33.0 (vllm/platforms/interface.py), with the backends that it picks on an H100. An 8-bit latent without indexer is
read by Triton's kernel in blocks of 16 here, as in the held cases, whose machine could not load FlashMLA's extension; a
server that can asks for 64, which block_size=64 gives.
"""

from math import lcm

from core.engines.arrays import ceiling
from core.engines.plan import EngineError
from core.engines.vllm import rows
from core.engines.vllm.classes import LATENT_MULTIPLIED_OUT
from core.engines.vllm.layers import attention_of, kv_heads_of_rank
from core.engines.vllm.model import Model
from core.engines.vllm.settings import DEFAULT_BLOCK, Settings
from core.engines.vllm.states import State
from core.models.attention import GroupedAttention, LatentAttention

KERNEL_BLOCK = 16  # FlashAttention, Triton and FlexAttention take multiples of 16 tokens
INDEXED_BLOCK = 64  # sparse latent attention and its indexer take multiples of 64
FLASH_MLA_BLOCK = 64  # of an 8-bit latent where FlashMLA's extension is loaded
LATENT_HYBRID_BLOCK = 128  # latent attention beside recurrent layers
WIDE_HEAD = 512  # FlashAttention 4 reads an fp8 cache of such heads in tiles of 64 tokens
WIDE_HEAD_BLOCK = 64


def block_size_of(model: Model, settings: Settings, cache_type: str) -> int:
    """Tokens of a block before recurrent states are looked at. Raises EngineError for one that no backend takes."""
    kernel = _kernel_block(model, cache_type)
    if settings.block_size is not None and settings.block_size % kernel and _attends(model):
        raise EngineError(
            f"block_size is {settings.block_size}: the attention backend of {model.text_class or 'this model'} takes "
            f"multiples of {kernel}. Give one, or leave it out."
        )
    return settings.block_size or max(kernel, DEFAULT_BLOCK)


def _kernel_block(model: Model, cache_type: str) -> int:
    """The least block that the backends of all layers take (get_supported_kernel_block_sizes)."""
    if model.index_width is not None:
        return INDEXED_BLOCK
    widths = [
        inner.head_dim for layer in model.spec.layers if isinstance(inner := attention_of(layer), GroupedAttention)
    ]
    return WIDE_HEAD_BLOCK if WIDE_HEAD in widths and cache_type in ("fp8", "fp8_e4m3") else KERNEL_BLOCK


def _attends(model: Model) -> bool:
    return any(attention_of(layer) is not None for layer in model.spec.layers)


def with_skipped_layers(block_size: int) -> int:
    """TurboQuant beside layers of 16 bits: blocks grow until a page reckoned at 8 bits covers one of 16 tokens at 16
    bits.

    The block is reckoned with the first layer's backend, which does not pack, so it is 32 whatever the preset.
    """
    alignment = max(KERNEL_BLOCK, block_size)
    return max(block_size, alignment * int(ceiling(2 * KERNEL_BLOCK, alignment)))


def aligned_with_states(
    model: Model, settings: Settings, cache_type: str, block_size: int, state: State, *, caches_prefixes: bool
) -> tuple[int, int]:
    """Block size and page of one layer, in bytes, once a page holds a state.

    The block is the least multiple of the backend's (and, with prefix caching, of the tokens between exported states)
    whose page holds the state; the state's page is then raised to it. An 8-bit cache so makes the block longer, not the
    page smaller.
    """
    row = _model_row_bytes(model, settings, cache_type)
    unit = max(KERNEL_BLOCK, block_size)
    if _latent(model):
        unit = max(unit, LATENT_HYBRID_BLOCK)
    if caches_prefixes:
        unit = lcm(unit, state.alignment)
    needed = unit * ceiling(state.state_bytes, unit * row)
    block = max(block_size, needed)
    return block, block * row


def _latent(model: Model) -> bool:
    return any(isinstance(attention_of(layer), LatentAttention) for layer in model.spec.layers)


def _model_row_bytes(model: Model, settings: Settings, cache_type: str) -> int:
    """Bytes of one token of one layer as the model's configuration states it; its layers may store more."""
    attention = next(inner for layer in model.spec.layers if (inner := attention_of(layer)) is not None)
    if isinstance(attention, LatentAttention):
        if model.text_class in LATENT_MULTIPLIED_OUT:
            raise EngineError(f"{model.text_class} with recurrent layers is not known here.")
        return rows.latent_bytes(cache_type, attention.latent_dim + attention.rope_dim)
    assert isinstance(attention, GroupedAttention)
    heads = model.number("num_key_value_heads") or attention.num_kv_heads
    width = (model.number("attention_head_dim") if model.spec.model_type == "zamba2" else None) or attention.head_dim
    return kv_heads_of_rank(heads, settings.tensor_parallel) * rows.head_bytes(cache_type, width, width)
