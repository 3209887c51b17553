"""Our compiled kernel beside what people would pick instead, in one run on one machine: ratios last, as JSON.

python -m benchmarks.decode_peers, with onnx, onnxruntime and xllamacpp (llama.cpp) installed beside torch, all of them
not among our requirements; one that is missing is left out in words. All hold the same numbers in the order that each
stores them in, on the same threads, one call of each in every round, after a read that empties the caches. ONNX
Runtime's threads stop spinning after each of its calls: they took half of whichever came next. llama.cpp's are torch's.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from benchmarks.ggml_attention import built_for, flash_attention, products
from core.decode import host_kernel
from core.decode.host_library import host_library, instruction_set
from core.decode.inputs import Inputs, make_inputs
from core.decode.kernel import reference, relative_error
from core.decode.kernels import all_kernels
from core.decode.measured_roofline import most_read
from core.decode.plan import ERROR_LIMITS, DecodeJob
from core.host.linux import ask_for_huge_pages

OURS, SETTLE_SECONDS = "ours", 0.005
Call = Callable[[], Any]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kv-heads", default="40,8,1")
    asked.add_argument("--context", type=int, default=16_384)
    asked.add_argument("--dtype", default="float32", choices=tuple(ERROR_LIMITS))
    asked.add_argument("--rounds", type=int, default=11)
    options = asked.parse_args()
    ask_for_huge_pages()
    found = {g: compared(int(g), options) for g in options.kv_heads.split(",")}
    print(f"ours {instruction_set(host_library())}, {built_for()}; load {os.getloadavg()[0]:.1f} in the last minute")
    print(f"{torch.get_num_threads()} threads, medians of {options.rounds} rounds, ms")
    for g, times in found.items():
        print(f"G = {g}: " + ", ".join(f"{name} {1e3 * seconds:.2f}" for name, seconds in times.items()))
    ratios = {
        g: {name: round(seconds / times[OURS], 3) for name, seconds in times.items() if name != OURS}
        for g, times in found.items()
    }
    print(json.dumps({"dtype": options.dtype, "context": options.context, "times_as_long_as_ours": ratios}))


def compared(g: int, options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of each at this G; one with wrong numbers is left out, in words."""
    job = DecodeJob(
        num_query_heads=40, kv_heads=(g,), head_dim=128, context_length=options.context, batch_size=1,
        dtype=options.dtype, device="cpu",
    )  # fmt: skip
    inputs = make_inputs(job, g, torch.device("cpu"), torch.Generator().manual_seed(g))
    expected, calls = reference(inputs), {}
    for name, prepare in peers(options.dtype).items():
        try:
            call = prepare(inputs)
            error = relative_error(torch.as_tensor(call()), expected)
        except Exception as e:  # noqa: BLE001  others' software: what it lacks is a line
            print(f"G = {g}: {name} left out: {str(e).splitlines()[0][:150]}")
            continue
        if error < ERROR_LIMITS[options.dtype]:
            calls[name] = call
        else:
            print(f"G = {g}: {name} left out: relative error {error:.1e}")
    return timed(calls, options.rounds)


def peers(dtype: str) -> dict[str, Callable[[Inputs], Call]]:
    kernels = {k.name: k.prepare for k in all_kernels("cpu")}
    found: dict[str, Callable[[Inputs], Call]] = {OURS: host_kernel.prepare}
    found |= {name: kernels[name] for name in ("sdpa_enable_gqa", "packed_rows_sdpa", "cast_packed_rows")}
    found |= {"llama.cpp flash attention": flash_attention, "llama.cpp flash attention off": products}
    return found | ({"onnxruntime GroupQueryAttention": onnx_attention} if dtype == "float32" else {})


def timed(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    emptying, samples = torch.ones(most_read(torch.device("cpu")) // 4), {name: [] for name in calls}  # type: ignore[var-annotated]
    for _ in range(rounds):
        for name, call in calls.items():
            emptying.sum()
            time.sleep(SETTLE_SECONDS)  # threads of the pool before spin for a while
            start = time.perf_counter()
            call()
            samples[name].append(time.perf_counter() - start)
    return {name: median(taken) for name, taken in samples.items()}


def onnx_attention(inputs: Inputs) -> Call:
    """GroupQueryAttention (com.microsoft, ContribOperators.md) on torch's number of threads: past and present share one
    buffer, and the token that it appends is our cache's last one."""
    import numpy as np
    import onnxruntime as ort

    batch, kv_heads, rows, capacity, dim = inputs.sizes
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.force_spinning_stop", "1")  # between calls, where another is timed
    session = ort.InferenceSession(_model(kv_heads * rows, kv_heads), options, providers=["CPUExecutionProvider"])
    bound = session.io_binding()
    held = {"past_key": inputs.keys, "past_value": inputs.values}
    held |= {"key": inputs.keys[:, :, -1].reshape(batch, 1, -1), "value": inputs.values[:, :, -1].reshape(batch, 1, -1)}
    held |= {"query": inputs.query.reshape(batch, 1, -1)}
    buffers = {name: ort.OrtValue.ortvalue_from_numpy(x.contiguous().numpy().copy()) for name, x in held.items()}
    buffers["seqlens_k"] = ort.OrtValue.ortvalue_from_numpy(np.full(batch, capacity - 1, dtype=np.int32))
    buffers["total"] = ort.OrtValue.ortvalue_from_numpy(np.array([capacity], dtype=np.int32))
    for name, value in buffers.items():
        bound.bind_ortvalue_input(name, value)
    bound.bind_ortvalue_output("present_key", buffers["past_key"])
    bound.bind_ortvalue_output("present_value", buffers["past_value"])
    out = ort.OrtValue.ortvalue_from_numpy(np.zeros((batch, 1, kv_heads * rows * dim), dtype=np.float32))
    bound.bind_ortvalue_output("output", out)

    def call() -> object:
        session.run_with_iobinding(bound)
        return out.numpy()

    return call


def _model(heads: int, kv_heads: int) -> bytes:
    from onnx import TensorProto, helper

    floats, whole = TensorProto.FLOAT, TensorProto.INT32
    names = ("query", "key", "value", "past_key", "past_value")
    inputs = [helper.make_tensor_value_info(name, floats, [None] * (4 if "past" in name else 3)) for name in names]
    inputs += [helper.make_tensor_value_info(name, whole, [None]) for name in ("seqlens_k", "total")]
    outputs = [
        helper.make_tensor_value_info(name, floats, [None] * sides)
        for name, sides in (("output", 3), ("present_key", 4), ("present_value", 4))
    ]
    node = helper.make_node(
        "GroupQueryAttention", [x.name for x in inputs], [x.name for x in outputs], domain="com.microsoft",
        num_heads=heads, kv_num_heads=kv_heads,
    )  # fmt: skip
    graph = helper.make_graph([node], "attention", inputs, outputs)
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model: bytes = helper.make_model(graph, opset_imports=domains, ir_version=9).SerializeToString()
    return model


if __name__ == "__main__":
    main()
