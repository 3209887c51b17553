"""A decode step with experts against what is predicted of it: bytes over bandwidth or FLOPs over rate, part by part.

    python -m benchmarks.expert_steps [--batches 1,8,32] [--rounds 30] [--processor-time]

A quarter of Mixtral 8x7B in every width: hidden 1,024, 8 query and 2 KV heads of 128, 8 experts of 3,584, 2 a token,
1,024 tokens a sequence, bf16. Layers with experts drawn anew for every token, beside a read far beyond the cache, in
interleaved rounds; printed are expected and drawn experts and the measured over the predicted time of a layer.

Two predictions, parts added up: the bound takes this host's highest product rate; the other takes the rate that the
product in use reaches alone, on one expert's matrix with the few rows that an expert serves. Beside the layer its
experts and its attention are timed alone, the latter by the faster of torch's and ours. --processor-time computes on
one thread and counts the seconds that it ran, not those that a busy host gave to others.
"""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import cycle
from statistics import median
from typing import Any

import torch

from core.decode import device as devices
from core.decode.inputs import Inputs, make_inputs
from core.decode.kernel import Call, Unavailable
from core.decode.kernels import all_kernels
from core.decode.measured_roofline import measure_roofline, read_turn
from core.decode.plan import DecodeJob, StepShape, layer_read_bytes
from core.decode.products import fastest_product
from core.decode.step_layer import Layer, matrix

SHAPE = StepShape(
    num_layers=32, hidden_size=1024, intermediate_size=3584, vocab_size=32_000, num_experts=8, experts_per_token=2
)
COPIES = 2
READ_BYTES = 2 * 2**30
PARTS = ("projections", "experts", "attention")


def measured(batch: int, rounds: int, peak: float) -> dict[str, Any]:
    """One batch: medians of a read's rate and a layer's seconds, and the experts that its calls read."""
    device = torch.device("cpu")
    job = DecodeJob(
        num_query_heads=8, kv_heads=(2,), head_dim=128, context_length=1024, batch_size=batch, dtype="bfloat16",
        device="cpu", step=SHAPE,
    )  # fmt: skip
    dtype = torch.bfloat16
    rows = max(1, round(batch * SHAPE.experts_per_token / SHAPE.experts_read(batch)))
    weights = [matrix((SHAPE.intermediate_size, SHAPE.hidden_size), device, dtype) for _ in range(2)]
    name, product = fastest_product(torch.randn(rows, SHAPE.hidden_size).to(dtype), weights)

    layers = []
    for copy in range(COPIES):
        cache = make_inputs(job, 2, device, torch.Generator().manual_seed(copy))
        layers.append((Layer(job, SHAPE, 2, device, product, seed=copy), cache, _fastest_attention(device, cache)))
    x = torch.randn(batch, SHAPE.hidden_size).to(dtype)
    read = read_turn(device, READ_BYTES, "integer sum")
    reads, times, alone = [], [], {"experts": [], "attention": []}
    for number, (layer, cache, attend) in zip(range(rounds + COPIES), cycle(layers), strict=False):
        bandwidth = read()
        seconds = devices.time_once(device, lambda: layer.decode(x, cache, attend))  # noqa: B023  called at once
        if number >= COPIES:
            reads.append(bandwidth)
            times.append(seconds)
            assert layer.experts is not None
            alone["experts"].append(devices.time_once(device, partial(layer.experts.decode, x)))
            alone["attention"].append(devices.time_once(device, attend))
    woken = [count for layer, _, _ in layers if layer.experts for count in layer.experts.woken]
    read_bytes = layer_read_bytes(job, SHAPE, 2) + job.kv_read_bytes(2)
    works = layers[0][0].works()
    bound = sum(work.seconds(median(reads), peak)[0] for work in works)
    own = _rate(torch.randn(rows, SHAPE.hidden_size).to(dtype), weights, product)
    predicted = sum(work.seconds(median(reads), min(peak, own))[0] for work in works)
    rules = [("arithmetic" if work.seconds(median(reads), min(peak, own))[1] else "reads") for work in works]
    return {
        "batch": batch, "products": name, "expected": SHAPE.experts_read(batch), "drawn": sum(woken) / len(woken),
        "read_mb": read_bytes / 1e6, "layer_ms": median(times) * 1e3, "predicted_ms": predicted * 1e3,
        "experts_ms": median(alone["experts"]) * 1e3, "attention_ms": median(alone["attention"]) * 1e3,
        "experts_bound_ms": works[1].seconds(median(reads), peak)[0] * 1e3,
        "bound_ms": bound * 1e3, "own_gflops": own / 1e9, "ruled_by": dict(zip(PARTS, rules, strict=True)),
        "measured_over_predicted": median(times) / predicted, "measured_over_bound": median(times) / bound,
    }  # fmt: skip


def _fastest_attention(device: torch.device, cache: Inputs) -> Call:
    """The faster of torch's grouped attention and ours, where there is a compiler for it."""
    calls = []
    for kernel in all_kernels("cpu"):
        if kernel.name in ("sdpa_enable_gqa", "host_kernel"):
            with suppress(Unavailable):
                calls.append(kernel.prepare(cache))
    taken = [min(devices.time_once(device, call) for _ in range(3)) for call in calls]
    return calls[taken.index(min(taken))]


def _ran(call: Callable[[], object]) -> float:
    """Seconds that this thread ran."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


def _rate(x: torch.Tensor, weights: list[torch.Tensor], product: Any) -> float:
    """FLOPs a second of one product at these rows, its matrix read anew each time."""
    fresh = [matrix((SHAPE.intermediate_size, SHAPE.hidden_size), x.device, x.dtype) for _ in range(16)]
    calls = [devices.time_once(x.device, lambda: product(x, w)) for w in (*weights, *fresh)]  # noqa: B023
    return 2 * x.shape[0] * fresh[0].numel() / median(calls[2:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--processor-time", action="store_true")
    options = parser.parse_args()
    if options.processor_time:
        torch.set_num_threads(1)
        devices._time_cpu = _ran
    with torch.inference_mode():
        peak = measure_roofline(torch.device("cpu"), "bfloat16", READ_BYTES).flops_per_second
        found = [measured(int(batch), options.rounds, peak) for batch in options.batches.split(",")]
    for row in found:
        print(
            f"batch {row['batch']:>3}: {row['expected']:.3f} experts expected, {row['drawn']:.3f} drawn; "
            f"{row['products']}, {row['read_mb']:,.0f} MB, {row['layer_ms']:.2f} ms measured, "
            f"{row['predicted_ms']:.2f} predicted, {row['measured_over_predicted']:.2f}; bound {row['bound_ms']:.2f}, "
            f"{row['measured_over_bound']:.2f}; experts alone {row['experts_ms']:.2f}, bound "
            f"{row['experts_bound_ms']:.2f}; attention alone {row['attention_ms']:.2f}; "
            f"{row['own_gflops']:.1f} GFLOP/s of {peak / 1e9:.0f}; {row['ruled_by']}"
        )
    print(json.dumps({"host": devices.name_of(torch.device("cpu")), "torch": torch.__version__, "steps": found}))


if __name__ == "__main__":
    main()
