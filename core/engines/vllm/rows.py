"""Bytes of one token of one layer on one rank, by cache type.

States the packings of vLLM 0.33.0's CUDA backends: FlashAttention for the model's own type and fp8, Triton for fp8_e5m2
and scales per token and head, FlashInfer for nvfp4, TurboQuant; customize_spec of each in vllm/v1/attention/backends/.
"""

from core.engines.plan import EngineError

ELEMENT_BYTES = 2  # vLLM runs a float32 file in 16 bits too, so the model's own type has 2 bytes
EIGHT_BITS = ("fp8", "fp8_e4m3", "fp8_e5m2")
SCALED = {"fp8_per_token_head": 1, "int8_per_token_head": 1, "int4_per_token_head": 2}  # elements of a byte
SCALE_BYTES = 4  # one float32 scale for the key and one for the value of each head and token
TURBOQUANT = {  # bits of keys and of values; 8-bit keys are stored as fp8, without a norm
    "turboquant_k8v4": (8, 4),
    "turboquant_4bit_nc": (4, 4),
    "turboquant_k3v4_nc": (3, 4),
    "turboquant_3bit_nc": (3, 3),
}
# Head widths of FlashInfer, the only backend that stores nvfp4; 64, which it has too, is misread on an H100
# (FlashInferBackend.supports_combination).
NVFP4_HEADS = (128, 256, 512)
DS_MLA_WIDTH = 576
DS_MLA_BYTES = 656  # 512 latent elements in fp8, 4 scales, 64 rotary elements in 16 bits


def head_bytes(cache_type: str, key_width: int, value_width: int) -> int:
    """Bytes of one KV head of one token, key and value. Raises EngineError where no backend stores it."""
    if cache_type in ("auto", "float16", "bfloat16"):
        return (key_width + value_width) * ELEMENT_BYTES
    if cache_type in EIGHT_BITS:
        return key_width + value_width
    if cache_type in SCALED:
        per_byte = SCALED[cache_type]
        return key_width // per_byte + value_width // per_byte + 2 * SCALE_BYTES
    if cache_type in TURBOQUANT:
        return _turboquant(key_width, *TURBOQUANT[cache_type])
    if cache_type == "nvfp4":
        return _nvfp4(key_width, value_width)
    raise EngineError(f"cache_type is {cache_type!r}: vLLM 0.33 stores it for latent attention with an indexer only.")


def _turboquant(width: int, key_bits: int, value_bits: int) -> int:
    """TurboQuantConfig.slot_size_aligned: packed keys with a norm, packed values with scale and zero, to an even
    number.
    """
    keys = width if key_bits == 8 else -(-width * key_bits // 8) + 2
    slot = keys + -(-width * value_bits // 8) + 4
    return slot + slot % 2


def _nvfp4(key_width: int, value_width: int) -> int:
    """nvfp4_kv_cache_full_dim: half a byte an element and an 8-bit scale for every 16."""
    if key_width != value_width or key_width not in NVFP4_HEADS:
        raise EngineError(
            "cache_type is 'nvfp4': on an H100 vLLM 0.33 stores it for head widths "
            f"{', '.join(map(str, NVFP4_HEADS))}, not for {key_width}. Choose fp8."
        )
    return 2 * (key_width // 2 + key_width // 16)


def indexed_latent_bytes(cache_type: str, width: int) -> int:
    """Bytes of one latent beside an indexer: fp8 means DeepSeek's packed row, which the sparse kernels read."""
    if width != DS_MLA_WIDTH:
        raise EngineError(
            f"cache_type is {cache_type!r}: vLLM 0.33 packs latents of {DS_MLA_WIDTH} elements, not {width}."
        )
    return DS_MLA_BYTES


def latent_bytes(cache_type: str, width: int) -> int:
    """Bytes of one latent with its rotary key (MLAAttention.get_kv_cache_spec). Raises EngineError."""
    if cache_type in ("auto", "float16", "bfloat16"):
        return width * ELEMENT_BYTES
    if cache_type in ("fp8", "fp8_e4m3"):
        return width
    raise EngineError(f"cache_type is {cache_type!r}: vLLM 0.33 has no latent attention for it. Choose auto or fp8.")
