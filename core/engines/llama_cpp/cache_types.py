"""ggml's types as a cache may hold them: a row of elements in blocks of some bytes.

Block sizes as GGML_QUANT_SIZES of gguf-py has them (llama.cpp build 11434). The server's --cache-type-k and -v take the
first nine; llama_context_params takes any.
"""

from core.engines.plan import EngineError

SERVED = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
BLOCKS = {  # name: (elements of a block, bytes of a block)
    "f32": (1, 4), "f16": (1, 2), "bf16": (1, 2), "q8_0": (32, 34), "q4_0": (32, 18), "q4_1": (32, 20),
    "iq4_nl": (32, 18), "q5_0": (32, 22), "q5_1": (32, 24), "mxfp4": (32, 17), "nvfp4": (64, 36), "q1_0": (128, 18),
    "q2_0": (64, 18), "q2_k": (256, 84), "q3_k": (256, 110), "q4_k": (256, 144), "q5_k": (256, 176), "q6_k": (256, 210),
    "iq2_xxs": (256, 66), "iq2_xs": (256, 74), "iq2_s": (256, 82), "iq3_xxs": (256, 98), "iq3_s": (256, 110),
    "iq1_s": (256, 50), "iq1_m": (256, 56), "iq4_xs": (256, 136), "tq1_0": (256, 54), "tq2_0": (256, 66),
}  # fmt: skip
BITS = {32: "f32", 16: "f16", 8: "q8_0", 4: "q4_0"}  # what a common job's cache_bits is taken for


def cache_type(key: str, name: object) -> str:
    """The type's own name, from 'f16' or 'F16'. Raises EngineError for one that ggml does not have."""
    if isinstance(name, str) and name.lower() in BLOCKS:
        return name.lower()
    raise EngineError(f"llama.cpp: {key} is {str(name)[:40]!r}, no type of ggml's. Choose one of {', '.join(SERVED)}.")


def is_quantised(name: str) -> bool:
    """ggml_is_quantized: several elements to a block."""
    return BLOCKS[name][0] > 1


def row_bytes(name: str, elements: int) -> int:
    """ggml_row_size: bytes of one row. Raises EngineError where the blocks do not fill it (ggml stops there)."""
    block, size = BLOCKS[name]
    if elements % block:
        raise EngineError(
            f"llama.cpp: {name} holds blocks of {block}, which do not fill a row of {elements:,} elements. Choose f16."
        )
    return elements // block * size
