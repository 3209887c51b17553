"""llama.cpp's compute buffer: what the graph of one micro-batch needs beside weights and cache.

ggml's allocator lays the live tensors of a graph into one buffer. Without flash attention the scores of every head
over the whole context are live at once; with it the FFN is the widest place. Fitted to build 11549 loaded without
weights on the CPU, for three dense shapes, 128 and 512 tokens a micro-batch and 2,048 to 32,768 tokens of context: to
0.1 MiB without flash attention, within 6 MiB of 106 to 156 with it. A log of January 2025 has 20 MiB less (164 and
2,144 MiB for Mistral 7B's shape at 2,048 and 32,768 tokens, without flash attention): the activations' part is as
uncertain as that.
"""

from typing import Any

from core.engines.llama_cpp.settings import cells_of, check, settings
from core.engines.plan import EngineError
from core.models.attention import GroupedAttention
from core.models.gguf.hparams import HyperParameters
from core.models.spec import ModelSpec

FLOAT32, FLOAT16 = 4, 2


def compute_buffer_bytes(spec: ModelSpec, read: HyperParameters, **job: Any) -> int:
    """Bytes of the compute buffer of a dense decoder on one device.

    off: n_ubatch x 4 x (n_ctx x (H + 1) + 6 x H x head_dim + 2 x G x head_dim): scores and their mask in float32, then
    activations. on: n_ubatch x (4 x (3 x FFN + 5 x H x head_dim) + 2 x n_ctx): the mask is float16.
    Raises EngineError for a job that cannot be, and for models with experts or other layers than grouped attention,
    which were not measured.
    """
    used = check(read, settings(job))
    cells = cells_of(used, read.trained_context)
    if spec.dimensions.num_experts or not all(isinstance(layer, GroupedAttention) for layer in spec.layers):
        raise EngineError(
            f"llama.cpp: the compute buffer of {spec.model_type} was not measured: only dense decoders with grouped "
            "attention are known. Read it in the log (compute buffer size)."
        )
    grouped = [layer for layer in spec.layers if isinstance(layer, GroupedAttention)]
    heads = max(layer.num_query_heads for layer in grouped)
    query = max(layer.num_query_heads * layer.head_dim for layer in grouped)
    pair = max(layer.num_kv_heads * (layer.head_dim + layer.value_dim) for layer in grouped)
    if used.flash_attn == "off":
        return int(cells.ubatch * FLOAT32 * (cells.per_stream * (heads + 1) + 6 * query + pair))
    ffn = spec.dimensions.intermediate_size
    if ffn is None:
        raise EngineError(
            "llama.cpp: with flash attention the compute buffer follows the FFN's width, which is absent."
        )
    return int(cells.ubatch * (FLOAT32 * (3 * ffn + 5 * query) + FLOAT16 * cells.per_stream))
