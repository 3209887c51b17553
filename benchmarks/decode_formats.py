"""The compiled kernel over a cache of each number format, one call of each in every round: times against bf16, as JSON.

python -m benchmarks.decode_formats
"""

import argparse
import json

import torch

from benchmarks.decode_peers import Call, timed
from core.decode import host_kernel
from core.decode.host_library import host_library, instruction_set
from core.decode.inputs import make_inputs
from core.decode.kernel import reference, relative_error
from core.decode.plan import ERROR_LIMITS, DecodeJob
from core.host.linux import ask_for_huge_pages

BESIDE = "bfloat16"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kv-heads", default="40,8,1")
    asked.add_argument("--context", type=int, default=16_384)
    asked.add_argument("--rounds", type=int, default=15)
    options = asked.parse_args()
    ask_for_huge_pages()
    print(
        f"{instruction_set(host_library())}, {torch.get_num_threads()} threads, medians of {options.rounds} rounds, ms"
    )
    ratios = {}
    for g in map(int, options.kv_heads.split(",")):
        times = timed({name: prepared(name, g, options.context) for name in ERROR_LIMITS}, options.rounds)
        print(f"G = {g}: " + ", ".join(f"{name} {1e3 * seconds:.2f}" for name, seconds in times.items()))
        ratios[g] = {name: round(seconds / times[BESIDE], 3) for name, seconds in times.items() if name != BESIDE}
    print(json.dumps({"context": options.context, f"times_as_long_as_{BESIDE}": ratios}))


def prepared(dtype: str, g: int, context: int) -> Call:
    """The call, its numbers held to the reference."""
    job = DecodeJob(
        num_query_heads=40, kv_heads=(g,), head_dim=128, context_length=context, batch_size=1, dtype=dtype, device="cpu"
    )
    inputs = make_inputs(job, g, torch.device("cpu"), torch.Generator().manual_seed(g))
    call = host_kernel.prepare(inputs)
    error = relative_error(call(), reference(inputs))
    if not error < ERROR_LIMITS[dtype]:
        raise SystemExit(f"{dtype} at G = {g}: relative error {error:.1e}, allowed {ERROR_LIMITS[dtype]:.0e}")
    return call


if __name__ == "__main__":
    main()
