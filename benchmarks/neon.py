"""NEON's kernel cross-compiled and run under qemu-user, each format held to float64 of the numbers stored.

python -m benchmarks.neon, with Debian's g++-aarch64-linux-gnu and qemu-user; where clang++ is too, it builds the kernel
again as a Mac's compiler does, for Apple's M1. It says nothing of speed.
"""

import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from core.decode.host_kernel import pack
from core.decode.host_library import ARITHMETIC, KINDS
from core.decode.inputs import Inputs, make_inputs
from core.decode.kernel import reference, relative_error
from core.decode.plan import ELEMENT_BYTES, DecodeJob

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
COMPILERS = ((COMPILER, "-march=armv8-a"), ("clang++", "--target=aarch64-linux-gnu", "-mcpu=apple-m1"))
MAIN = Path(__file__).with_name("neon_main.cpp")
SIZES = ((8, 2, 300, 64), (40, 1, 33, 128), (40, 8, 600, 128), (7, 7, 17, 96))  # heads, G, tokens, head_dim
MOST = 2e-6


def main() -> int:
    if missing := [name for name in (COMPILER, EMULATOR) if shutil.which(name) is None]:
        print(f"not found: {', '.join(missing)}; apt install g++-aarch64-linux-gnu qemu-user", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "neon"
        flags = ("-O2", *ARITHMETIC, "-std=c++17", "-pthread", "-static", "-w", str(MAIN), "-o", str(program))
        worst = 0
        for compiler in COMPILERS:
            if shutil.which(compiler[0]):
                subprocess.run([*compiler, *flags], check=True)
                print(" ".join(compiler))
                worst = max(worst, *(held(program, dtype) for dtype in ELEMENT_BYTES))
        return worst


def held(program: Path, dtype: str) -> int:
    """0 where the worst error of all sizes is small enough; said in a line."""
    worst, level = 0.0, ""
    for heads, g, context, dim in SIZES:
        job = DecodeJob(
            num_query_heads=heads, kv_heads=(g,), head_dim=dim, context_length=context, batch_size=1, dtype=dtype,
            device="cpu",
        )  # fmt: skip
        inputs = make_inputs(job, g, torch.device("cpu"), torch.Generator().manual_seed(g))
        found, level = run(program, inputs)
        worst = max(worst, relative_error(found, reference(inputs)))
    print(f"{level} {dtype}: relative error {worst:.1e}, allowed {MOST:.0e}")
    return int(level != "NEON" or not worst < MOST)


def run(program: Path, inputs: Inputs) -> tuple[Tensor, str]:
    batch, kv_heads, rows, capacity, dim = inputs.sizes
    keys, values, *_ = pack(inputs, in_fours=False)
    whole = inputs.key_scales is not None and not inputs.scaled_by_token
    scales = (inputs.key_scales, inputs.value_scales) if whole else (None, None)
    parts = (inputs.grouped_query().float(), keys, values, inputs.lengths.to(torch.int64), *scales)
    sizes = (KINDS[inputs.keys.dtype], batch, kv_heads, rows, dim, -(-capacity // 16) * 16, 3, 2)
    problem, answer = program.with_name("problem"), program.with_name("answer")
    problem.write_bytes(struct.pack("<8if", *sizes, inputs.scale) + b"".join(map(_part, parts)))
    done = subprocess.run([EMULATOR, program, problem, answer], check=True, capture_output=True, text=True)
    return torch.frombuffer(bytearray(answer.read_bytes()), dtype=torch.float32), done.stdout.strip()


def _part(x: Tensor | None) -> bytes:
    data = b"" if x is None else bytes(x.contiguous().view(torch.uint8).numpy())
    return struct.pack("<q", len(data)) + data


if __name__ == "__main__":
    sys.exit(main())
