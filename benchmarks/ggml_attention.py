"""llama.cpp's attention of one decode step on a CPU, for benchmarks.decode_peers: ggml's operators on our numbers.

xllamacpp's wheel holds llama.cpp and exports ggml's functions (pip install xllamacpp==2026.10.11549), so the operators
run without a model around them, whose other products would have to be taken off. As in llama.cpp: the cache lies as
[token, KV head, head_dim], without flash attention its values as [KV head, head_dim, token] (llama_kv_cache::get_v);
the operators are those of build_attn_mha (llama-graph.cpp), without the mask that a full cache needs none of and
without that function's cast of a float32 cache to float16. Threads are GOMP's: torch's own pool, where torch is loaded
first.
"""

import ctypes
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from core.decode.caches import numbers
from core.decode.inputs import Inputs
from core.decode.kernel import Call, Unavailable

# enum ggml_type in ggml.h, by what torch stores a cache in: int8 is q8_0, int4 (uint8) is q4_0.
TYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 30, torch.int8: 8, torch.uint8: 2}
SUCCESS, PREC_F32, GRAPH_BYTES = 0, 10, 2**20
Prepare = Callable[[Inputs], Call]
INSTRUCTIONS = ("avx", "avx2", "fma", "f16c", "avx512", "avx512_bf16", "amx_int8", "neon", "sve")


class InitParams(ctypes.Structure):
    """struct ggml_init_params."""

    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


@cache
def library() -> ctypes.CDLL:
    """ggml with what its functions take and return. Raises Unavailable where there is no xllamacpp."""
    found = importlib.util.find_spec("xllamacpp")
    files = sorted(Path(found.origin).parent.glob("xllamacpp*.so")) if found and found.origin else []
    if not files:
        raise Unavailable("No module named 'xllamacpp'")
    ggml = ctypes.CDLL(str(files[0]))
    pointer, whole, real, long = ctypes.c_void_p, ctypes.c_int, ctypes.c_float, ctypes.c_int64
    takes = {
        "init": [InitParams], "new_graph": [pointer], "build_forward_expand": [pointer] * 2,
        "backend_cpu_init": [], "backend_cpu_set_n_threads": [pointer, whole], "backend_graph_compute": [pointer] * 2,
        "backend_cpu_buffer_from_ptr": [pointer, ctypes.c_size_t], "backend_tensor_alloc": [pointer] * 3,
        "backend_alloc_ctx_tensors": [pointer] * 2, "get_data": [pointer],
        "new_tensor_4d": [pointer, whole, *[long] * 4], "permute": [pointer, pointer, *[whole] * 4],
        "flash_attn_ext": [*[pointer] * 5, *[real] * 3], "flash_attn_ext_set_prec": [pointer, whole],
        "mul_mat": [pointer] * 3, "mul_mat_set_prec": [pointer, whole], "soft_max_ext": [*[pointer] * 3, real, real],
        "quantize_chunk": [whole, pointer, pointer, *[long] * 3, pointer],
        "row_size": [whole, long], "version": [],
    }  # fmt: skip
    for name, arguments in takes.items():
        function = getattr(ggml, f"ggml_{name}")
        function.argtypes, function.restype = arguments, pointer
    ggml.ggml_backend_graph_compute.restype = whole
    ggml.ggml_version.restype = ctypes.c_char_p
    ggml.ggml_quantize_chunk.restype = ggml.ggml_row_size.restype = ctypes.c_size_t
    return ggml


def built_for() -> str:
    """ggml's version and the instructions that its build was compiled with, since a wheel carries one build alone."""
    try:
        ggml = library()
    except Unavailable as e:
        return f"no ggml ({e})"
    has = [name for name in INSTRUCTIONS if getattr(ggml, f"ggml_cpu_has_{name}")()]
    return f"ggml {ggml.ggml_version().decode()} built with {', '.join(has)}"


def flash_attention(inputs: Inputs) -> Call:
    """ggml_flash_attn_ext, which llama.cpp takes on a CPU unless told otherwise."""
    return _prepared(inputs, flash=True)


def products(inputs: Inputs) -> Call:
    """Two products around a softmax: llama.cpp with flash attention switched off."""
    return _prepared(inputs, flash=False)


def _prepared(inputs: Inputs, *, flash: bool) -> Call:
    ggml = library()
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    if inputs.keys.dtype not in TYPES:
        raise Unavailable(f"ggml has no type for {inputs.keys.dtype}")
    if not flash and inputs.scaled_by_token:
        raise Unavailable("llama.cpp stores values of 8 and 4 bits with flash attention alone")
    if batch != 1 or not inputs.full:
        raise Unavailable("laid out here for one sequence that fills the cache")
    kind, heads = TYPES[inputs.keys.dtype], kv_heads * rows
    context = ggml.ggml_init(InitParams(GRAPH_BYTES, None, True))
    held = [_by_token(inputs.keys, inputs.key_scales), inputs.query.float().contiguous()]
    held += [_by_token(inputs.values, inputs.value_scales) if flash else inputs.values[0].transpose(1, 2).contiguous()]
    keys = _tensor(context, kind, held[0], (dim, kv_heads, capacity))
    query = _tensor(context, TYPES[torch.float32], held[1], (dim, 1, heads))
    values = _tensor(context, kind, held[2], (dim, kv_heads, capacity) if flash else (capacity, dim, kv_heads))
    attend = _flash if flash else _products
    out = attend(context, query, ggml.ggml_permute(context, keys, 0, 2, 1, 3), values, inputs.scale)
    graph = ggml.ggml_new_graph(context)
    ggml.ggml_build_forward_expand(graph, out)
    backend = ggml.ggml_backend_cpu_init()
    ggml.ggml_backend_cpu_set_n_threads(backend, torch.get_num_threads())
    ggml.ggml_backend_alloc_ctx_tensors(context, backend)
    answer = (ctypes.c_float * (heads * dim)).from_address(ggml.ggml_get_data(out))

    def call(_held: object = held) -> Tensor:
        if ggml.ggml_backend_graph_compute(backend, graph) != SUCCESS:
            raise RuntimeError("ggml_backend_graph_compute did not succeed")
        return torch.frombuffer(answer, dtype=torch.float32).view(1, heads, dim)

    return call


def _flash(context: int, query: int, keys: int, values: int, scale: float) -> int:
    ggml = library()
    values = ggml.ggml_permute(context, values, 0, 2, 1, 3)
    out: int = ggml.ggml_flash_attn_ext(context, query, keys, values, None, scale, 0.0, 0.0)
    ggml.ggml_flash_attn_ext_set_prec(out, PREC_F32)
    return out


def _products(context: int, query: int, keys: int, values: int, scale: float) -> int:
    ggml = library()
    scores = ggml.ggml_mul_mat(context, keys, query)
    ggml.ggml_mul_mat_set_prec(scores, PREC_F32)
    out: int = ggml.ggml_mul_mat(context, values, ggml.ggml_soft_max_ext(context, scores, None, scale, 0.0))
    return out


def _by_token(codes: Tensor, scales: Tensor | None) -> Tensor:
    """[token, KV head, bytes] of the one sequence, 8 and 4 bits in ggml's blocks."""
    if scales is None:
        return codes[0].transpose(0, 1).contiguous()
    wide = numbers(codes, scales)[0].transpose(0, 1).contiguous()
    ggml, kind, dim = library(), TYPES[codes.dtype], wide.shape[-1]
    out = torch.empty((*wide.shape[:2], ggml.ggml_row_size(kind, dim)), dtype=torch.uint8)
    ggml.ggml_quantize_chunk(kind, wide.data_ptr(), out.data_ptr(), 0, wide.numel() // dim, dim, None)
    return out


def _tensor(context: int, kind: int, held: Tensor, sides: tuple[int, int, int]) -> int:
    """A tensor of ggml over torch's memory, whose pages are as large as those of the other kernels."""
    ggml = library()
    tensor: int = ggml.ggml_new_tensor_4d(context, kind, *sides, 1)
    buffer = ggml.ggml_backend_cpu_buffer_from_ptr(held.data_ptr(), held.numel() * held.element_size())
    ggml.ggml_backend_tensor_alloc(buffer, tensor, held.data_ptr())
    return tensor
