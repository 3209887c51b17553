#!/usr/bin/env bash
# llama.cpp's flash attention on a CPU sums values in float16 where the cache is float16, its default, though its graph asks for
# GGML_PREC_F32 and the operator's comment says "uses F32 accumulators". A sum then stands still at 2,048: even attention over 16,384
# tokens whose values are all 1 gives 0.125 on one thread and 0.25 on two, in place of 1. Over float32 and bfloat16 caches, and
# by the products that llama.cpp takes with flash attention off, it is 1. Random numbers come out 1.5 % off.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q xllamacpp==2026.10.11549 numpy==2.4.6
cat > "$work/run.py" <<'P'
import ctypes, importlib.util, pathlib, sys
import numpy as np
D, TOKENS, F32, F16, PREC_F32 = 128, 16384, 0, 1, 10
ggml = ctypes.CDLL(str(next(pathlib.Path(importlib.util.find_spec("xllamacpp").origin).parent.glob("xllamacpp*.so"))))

class Init(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))

def call(name, *arguments, gives=ctypes.c_void_p):
    function = getattr(ggml, "ggml_" + name)
    function.restype = gives
    return function(*arguments)

at, real = ctypes.c_void_p, ctypes.c_float

def attend(query, keys, values, kind, threads, flash):
    """float32 [D] of one head: softmax(q k^T / sqrt(D)) v over keys and values [TOKENS, D]."""
    context = at(call("init", Init(2**20, None, True)))
    if not flash:
        values = np.ascontiguousarray(values.T)
    def tensor(x, kind):
        made = at(call("new_tensor_4d", context, kind, *map(ctypes.c_int64, (x.shape[1], x.shape[0], 1, 1))))
        return made, x
    made = [tensor(query[None], F32), tensor(keys, kind), tensor(values, kind)]
    q, k, v = (x for x, _ in made)
    scale = real(D**-0.5)
    if flash:
        out = at(call("flash_attn_ext", context, q, k, v, None, scale, real(0), real(0)))
        call("flash_attn_ext_set_prec", out, PREC_F32, gives=None)
    else:
        weights = at(call("soft_max_ext", context, at(call("mul_mat", context, k, q)), None, scale, real(0)))
        out = at(call("mul_mat", context, v, weights))
    graph = at(call("new_graph", context))
    call("build_forward_expand", graph, out, gives=None)
    backend = at(call("backend_cpu_init"))
    call("backend_cpu_set_n_threads", backend, threads, gives=None)
    call("backend_alloc_ctx_tensors", context, backend)
    for x, data in made:
        ctypes.memmove(call("get_data", x), data.ctypes.data, data.nbytes)
    assert call("backend_graph_compute", backend, graph, gives=ctypes.c_int) == 0
    return np.array((real * D).from_address(call("get_data", out)))

draw = np.random.default_rng(0)
query, keys, drawn = (draw.standard_normal(shape).astype(np.float32) for shape in (D, (TOKENS, D), (TOKENS, D)))
scores = keys.astype(np.float16).astype(np.float64) @ query / D**0.5
weights = np.exp(scores - scores.max())
exact = weights / weights.sum() @ drawn.astype(np.float16).astype(np.float64)
found = {}
for kind, dtype, name in ((F32, np.float32, "f32"), (F16, np.float16, "f16")):
    for flash in (True, False):
        for threads in (1, 2):
            even = attend(query * 0, keys.astype(dtype), np.ones((TOKENS, D), dtype), kind, threads, flash)
            off = np.linalg.norm(attend(query, keys.astype(dtype), drawn.astype(dtype), kind, threads, flash) - exact)
            found[name, flash, threads] = float(even[0]), float(off / np.linalg.norm(exact))
            print(f"{name} cache, flash attention {'on' if flash else 'off'}, {threads} threads: even attention over ones "
                  f"{even[0]:.4f}, random numbers off by {found[name, flash, threads][1]:.1e}")
wrong = [key for key, (ones, _) in found.items() if abs(ones - 1) > 0.01]
sys.exit(wrong != [("f16", True, 1), ("f16", True, 2)] or [found[key][0] for key in wrong] != [0.125, 0.25])
P
echo "xllamacpp 2026.10.11549, one head of 128, 16,384 tokens:"
"$work/v/bin/python" "$work/run.py"
