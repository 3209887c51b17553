"""Classes that build caches of their own kinds: what one rank keeps for each of their layers.

Read in the model code of vLLM 0.33.0 (vllm/models/ and vllm/model_executor/models/), file by file as named below. Each
function answers with the caches of all layers in order; what it needs of the file is read under the class's own keys.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.engines.plan import EngineError
from core.engines.vllm import glm5_next, qwen4_exp, rows
from core.engines.vllm.caches import Kind, LayerCache
from core.engines.vllm.compressed import PACKED_TYPES, deepseek_v4_caches
from core.engines.vllm.layers import Frame, kv_heads_of_rank
from core.engines.vllm.model import Model
from core.engines.vllm.settings import Settings
from core.models.rules.fields import ConfigPart

SIXTEEN_BITS = ("auto", "float16", "bfloat16")
EIGHT_BITS = ("fp8", "fp8_e4m3")
SPARSE_NAMES = ("deepseek_sparse_attention", "indexed_attention", "sparse_attention", "sparse")
DENSE_FIRST = 3  # layers of MiniMax-M3 without an index, where the file has no sparse_attention_config
SCALED_ELEMENTS = 128  # elements of an index key that share one float32 scale


@dataclass(frozen=True, kw_only=True)
class Own:
    """How such a class is planned."""

    caches: Callable[[Frame], tuple[LayerCache, ...]]
    block_size: Callable[[Model], int]  # tokens, where the server names none
    blocks: tuple[int, ...] = ()  # the only block sizes that it takes; empty: multiples of `multiple`
    multiple: int = 16
    cache_types: tuple[str, ...] = (*SIXTEEN_BITS, *EIGHT_BITS)
    packed: bool = False  # pages side by side in one block (packing.py)
    shares_context: bool = False  # whether decode context parallelism may share out its tokens
    block_by_state: Callable[[Model, Settings], int] | None = None  # where a state decides it
    stride: Callable[[Model], int] | None = None  # bytes that a block is a multiple of

    def block_of(self, model: Model, settings: Settings) -> int:
        """Tokens of a block. Raises EngineError for one that the class does not take."""
        asked = settings.block_size
        if self.block_by_state is not None:
            return self.block_by_state(model, settings)
        if asked is None:
            return self.block_size(model)
        if (self.blocks and asked not in self.blocks) or asked % self.multiple:
            takes = " or ".join(map(str, self.blocks)) or f"multiples of {self.multiple}"
            raise EngineError(
                f"block_size is {asked}: {model.text_class} takes {takes} in vLLM 0.33. Give one, or leave it out."
            )
        return asked

    def check(self, frame: Frame) -> None:
        """Raises EngineError for settings that the class does not bear."""
        name, settings = frame.model.text_class, frame.settings
        if frame.cache_type not in self.cache_types:
            raise EngineError(
                f"cache_type is {frame.cache_type!r}: vLLM 0.33 has {', '.join(self.cache_types)} for {name}. "
                "Name one of these."
            )
        if settings.decode_context_parallel > 1 and not self.shares_context:
            raise EngineError(
                f"decode_context_parallel is {settings.decode_context_parallel}: vLLM 0.33 does not share out the "
                f"windows of {name}. Leave it at 1."
            )
        heads = frame.model.number("num_attention_heads")
        if heads is not None and heads % settings.tensor_parallel:
            raise EngineError(
                f"tensor_parallel is {settings.tensor_parallel}: vLLM 0.33 needs one that divides the {heads} query "
                "heads."
            )


def _part(frame: Frame) -> ConfigPart:
    assert frame.model.part is not None
    return frame.model.part


def _flags(part: ConfigPart, name: str, layers: int) -> list[int]:
    """A list of numbers, one a layer. Raises EngineError."""
    flags = part.integers(name)
    if flags is None or len(flags) < layers:
        raise EngineError(f"{part.path}{name} has to name each of the {layers} layers in vLLM 0.33. Name them all.")
    return flags[:layers]


def _full(frame: Frame, heads: int, widths: tuple[int, int], row: int) -> LayerCache:
    """Keys and values of every token."""
    return LayerCache(
        kind=Kind.FULL,
        block_size=frame.block_size,
        page_bytes=frame.block_size * row,
        row_bytes=row,
        shape=(heads, *widths),
        role=frame.cache_type,
        context_ranks=frame.settings.decode_context_parallel,
    )


def _sliding(frame: Frame, heads: int, widths: tuple[int, int], row: int, window: int) -> LayerCache:
    """Keys and values of the last `window` tokens."""
    return LayerCache(
        kind=Kind.WINDOW,
        block_size=frame.block_size,
        page_bytes=frame.block_size * row,
        row_bytes=row,
        shape=(heads, *widths),
        role=frame.cache_type,
        window=window,
        in_flight_tokens=frame.in_flight_tokens,
    )


def mimo_v2(frame: Frame) -> tuple[LayerCache, ...]:
    """MiMo-V2 (mimo_v2.py): heads and widths of sliding layers under swa_ keys, values narrower than keys, and a window
    of sliding_window_size, where transformers keeps one token more."""
    part = _part(frame)
    flags = _flags(part, "hybrid_layer_pattern", len(frame.model.spec.layers))
    full = _mimo_heads(frame, part, "")
    slides = _mimo_heads(frame, part, "swa_") if any(flags) else full
    window = part.integer("sliding_window_size").value if any(flags) else 0
    of_kind = (_full(frame, *full), _sliding(frame, *slides, window) if window else _full(frame, *full))
    return tuple(of_kind[flag == 1] for flag in flags)


def _mimo_heads(frame: Frame, part: ConfigPart, prefix: str) -> tuple[int, tuple[int, int], int]:
    """KV heads of a rank, widths of key and value, bytes of a token."""
    heads = kv_heads_of_rank(part.integer(f"{prefix}num_key_value_heads").value, frame.settings.tensor_parallel)
    width = part.integer(f"{prefix}head_dim").value
    stated = part.optional_integer(f"{prefix}v_head_dim")
    values = width if stated is None else stated.value
    return heads, (width, values), heads * rows.head_bytes(frame.cache_type, width, values)


def minimax_m3(frame: Frame) -> tuple[LayerCache, ...]:
    """MiniMax-M3 (minimax_m3/nvidia/model.py, common/indexer.py): sparse layers keep index keys in 16 bits beside keys
    and values, and store those plainly in 8 bits where the cache has scales or packs them."""
    part = _part(frame)
    layers = len(frame.model.spec.layers)
    flags, index_width = _minimax_sparse(part, layers)
    heads = kv_heads_of_rank(part.integer("num_key_value_heads").value, frame.settings.tensor_parallel)
    width = part.integer("head_dim").value
    plain = "auto" if frame.cache_type in SIXTEEN_BITS else "fp8"
    sparse = _full(frame, heads, (width, width), heads * rows.head_bytes(plain, width, width))
    index = LayerCache(
        kind=Kind.LATENT,
        block_size=frame.block_size,
        page_bytes=frame.block_size * index_width * rows.ELEMENT_BYTES,
        row_bytes=index_width * rows.ELEMENT_BYTES,
        shape=(1, index_width, 0),
        role="indexer",
        context_ranks=frame.settings.decode_context_parallel,
    )
    caches: list[LayerCache] = []
    for layer, flag in enumerate(flags):
        if flag:
            caches += [index, sparse]
            continue
        cache_type = "auto" if layer in frame.skipped else frame.cache_type
        caches.append(_full(frame, heads, (width, width), heads * rows.head_bytes(cache_type, width, width)))
    return tuple(caches)


def _minimax_sparse(part: ConfigPart, layers: int) -> tuple[list[int], int]:
    """Which layers have an index, and the width of its keys. Absent, MiniMaxM3TextConfig's own stand in for it."""
    nested = part.nested("sparse_attention_config", {"sparse_index_dim": 128})
    if "sparse_attention_config" not in part.raw:
        return [int(layer >= DENSE_FIRST) for layer in range(layers)], nested.integer("sparse_index_dim").value
    if nested.raw.get("sparse_attention_freq") is None:
        return [0] * layers, nested.integer("sparse_index_dim").value
    return _flags(nested, "sparse_attention_freq", layers), nested.integer("sparse_index_dim").value


def iquest_loop(frame: Frame) -> tuple[LayerCache, ...]:
    """IQuest-LoopCoder (iquest_loopcoder.py): loop_num passes through the layers; the first keeps every token, each
    further one a window of loop_window_size."""
    part = _part(frame)
    heads = kv_heads_of_rank(part.integer("num_key_value_heads").value, frame.settings.tensor_parallel)
    width = part.integer("head_dim").value
    row = heads * rows.head_bytes(frame.cache_type, width, width)
    loops, window = (_or(part, name, usual) for name, usual in (("loop_num", 2), ("loop_window_size", 64)))
    once = [_full(frame, heads, (width, width), row)]
    again = [_sliding(frame, heads, (width, width), row, window)] * (loops - 1)
    return tuple((once + again) * len(frame.model.spec.layers))


def _or(part: ConfigPart, name: str, usual: int) -> int:
    found = part.optional_integer(name)
    return usual if found is None else int(found.value)


def hy_v4(frame: Frame) -> tuple[LayerCache, ...]:
    """HY-V4 (hy_v4/nvidia/attention.py): a latent a layer, and index keys on the layers that layer_types calls sparse
    and indexer_types full."""
    part = _part(frame)
    layers = len(frame.model.spec.layers)
    latent = part.integer("kv_lora_rank").value + part.integer("qk_rope_head_dim").value
    width = _or(part, "index_head_dim", 128)
    sparse, own = _sparse_layers(frame.model), _own_indexers(part, layers)
    index = _latent(frame, width + width // SCALED_ELEMENTS * 4, "indexer")
    dense_row = rows.latent_bytes("fp8" if frame.cache_type == "fp8_ds_mla" else frame.cache_type, latent)
    packed = frame.cache_type not in SIXTEEN_BITS
    sparse_row = rows.indexed_latent_bytes(frame.cache_type, latent) if packed else dense_row
    caches: list[LayerCache] = []
    for layer in range(layers):
        indexed = sparse[layer] and own[layer]
        caches += [index] if indexed else []
        caches.append(_latent(frame, sparse_row if sparse[layer] else dense_row, "leader" if indexed else ""))
    return tuple(caches)


def _latent(frame: Frame, row: int, role: str) -> LayerCache:
    return LayerCache(
        kind=Kind.LATENT,
        block_size=frame.block_size,
        page_bytes=frame.block_size * row,
        row_bytes=row,
        shape=(1, row, 0),
        role=role,
        context_ranks=frame.settings.decode_context_parallel,
    )


def _sparse_layers(model: Model) -> list[bool]:
    """Layers that layer_types names sparse; none where the file does not list kinds."""
    listed: Any = None if model.part is None else model.part.raw.get("layer_types")
    layers = len(model.spec.layers)
    if not isinstance(listed, list | tuple):
        return [False] * layers
    return [layer < len(listed) and listed[layer] in SPARSE_NAMES for layer in range(layers)]


def _own_indexers(part: ConfigPart, layers: int) -> list[bool]:
    """indexer_types, else full on layer 0 and on 1, 5, 9, … (HYV4Config)."""
    listed = part.raw.get("indexer_types")
    if listed is None:
        return [layer == 0 or layer % 4 == 1 for layer in range(layers)]
    if not isinstance(listed, list | tuple) or len(listed) != layers:
        raise EngineError(f"{part.path}indexer_types has to name each of the {layers} layers in vLLM 0.33.")
    return [kind == "full" for kind in listed]


def inkling(frame: Frame) -> tuple[LayerCache, ...]:
    """Inkling (inkling/nvidia/attention.py, sconv_swa_attn.py): the taps of four short convolutions stand in a sliding
    window as long as the kernel, packed by KV head into a width of a power of two; local layers slide."""
    part = _part(frame)
    local = set(part.integers("local_layer_ids") or ())
    made = {slides: _inkling_layer(frame, part, "swa_" if slides else "") for slides in (False, True)}
    layers = range(len(frame.model.spec.layers))
    return tuple(cache for layer in layers for cache in made[layer in local])


def _inkling_layer(frame: Frame, part: ConfigPart, prefix: str) -> tuple[LayerCache, LayerCache]:
    all_heads = part.integer(f"{prefix}num_key_value_heads").value
    width, ranks = part.integer(f"{prefix}head_dim").value, frame.settings.tensor_parallel
    if ranks > all_heads:
        raise EngineError(f"tensor_parallel is {ranks}: vLLM 0.33 serves Inkling over at most {all_heads} ranks.")
    heads = kv_heads_of_rank(all_heads, ranks)
    packed = 1 << (2 * width + 2 * (part.integer("hidden_size").value // all_heads) - 1).bit_length()
    taps = _or(part, "sconv_kernel_size", 4)
    row = heads * packed * rows.ELEMENT_BYTES
    convolutions = LayerCache(
        kind=Kind.WINDOW,
        block_size=taps,
        page_bytes=taps * row,
        row_bytes=row,
        shape=(heads, packed, 0),
        window=taps,
        in_flight_tokens=frame.in_flight_tokens,
    )
    token = heads * rows.head_bytes(frame.cache_type, width, width)
    if not prefix:
        return convolutions, _full(frame, heads, (width, width), token)
    window = part.integer("sliding_window_size").value
    return convolutions, _sliding(frame, heads, (width, width), token, window)


ATTENTION_TYPES = ("fp8_e5m2", *rows.SCALED)  # types that Triton's attention has beside
MIMO = Own(caches=mimo_v2, block_size=lambda model: 16)
QWEN4 = Own(
    caches=qwen4_exp.caches,
    block_size=lambda model: 16,
    cache_types=(*SIXTEEN_BITS, *EIGHT_BITS),
    packed=True,
    block_by_state=qwen4_exp.block_size,
)
OWN: dict[str, Own] = {
    "DeepseekV4ForCausalLM": Own(
        caches=deepseek_v4_caches,
        block_size=lambda model: 256,
        blocks=(128, 256),
        cache_types=PACKED_TYPES,
        packed=True,
    ),
    "Glm5NextForCausalLM": Own(
        caches=glm5_next.caches,
        block_size=lambda model: 512,
        cache_types=SIXTEEN_BITS,
        packed=True,
        block_by_state=glm5_next.block_size,
        stride=glm5_next.stride,
    ),
    "HYV4ForCausalLM": Own(
        caches=hy_v4,
        block_size=lambda model: 64 if any(_sparse_layers(model)) else 16,
        cache_types=(*SIXTEEN_BITS, *EIGHT_BITS, "fp8_ds_mla"),
        shares_context=True,
    ),
    "IQuestLoopCoderForCausalLM": Own(
        caches=iquest_loop,
        block_size=lambda model: 16,
        cache_types=(*SIXTEEN_BITS, *EIGHT_BITS, *ATTENTION_TYPES),
    ),
    "InklingForConditionalGeneration": Own(caches=inkling, block_size=lambda model: 16),
    "MiMoV2FlashForCausalLM": MIMO,
    "MiMoV2ForCausalLM": MIMO,
    "MiMoV2OmniForCausalLM": MIMO,
    "Qwen4ExpForCausalLM": QWEN4,
    "MiniMaxM3SparseForCausalLM": Own(
        caches=minimax_m3,
        block_size=lambda model: 128,
        cache_types=(*SIXTEEN_BITS, *EIGHT_BITS, *ATTENTION_TYPES, *rows.TURBOQUANT),
        shares_context=True,
    ),
}
