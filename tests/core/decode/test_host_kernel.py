"""The compiled kernel of every instruction set that can run here, held to float64 of the same stored numbers."""

import ctypes
import json
import math
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.decode import caches, host_kernel, host_library
from core.decode.inputs import Inputs, make_inputs
from core.decode.kernel import Unavailable, reference, relative_error
from core.decode.plan import DecodeJob
from tests.dashboard import ROOT

pytestmark = pytest.mark.torch

DTYPES = ("float32", "bfloat16", "float16", "float8_e4m3fn", "int8", "int4")
# Heads, G, tokens, head_dim: odd contexts, one row and more rows than one pass takes, widths that no vector divides.
SIZES = ((40, 1, 17, 32), (7, 7, 1, 128), (71, 1, 600, 64), (12, 2, 512, 96), (40, 8, 700, 128), (24, 8, 530, 256))
# This CPU's own, and the arithmetic of AVX-512 with bf16 on plain vectors of that width, 16 lanes with pairs.
PLAIN_512 = ("-O0", "-DHEADROOM_LEVEL=1", "-DHEADROOM_WIDTH=16", "-DHEADROOM_PAIRS")
EMULATED = (*PLAIN_512, "-DHEADROOM_TILES", "-DHEADROOM_QUADS")
BUILDS = {"this CPU": (), "as wide as AVX-512": PLAIN_512, "AMX, VNNI and GFNI, emulated": EMULATED}


def inputs_of(heads: int, g: int, context: int, dim: int, dtype: str = "float32", **changes: object) -> Inputs:
    fields = {"batch_size": 1, "device": "cpu"} | changes
    job = DecodeJob(
        num_query_heads=heads, kv_heads=(g,), context_length=context, head_dim=dim, dtype=dtype, **fields
    )  # fmt: skip
    return make_inputs(job, g, torch.device("cpu"), torch.Generator().manual_seed(g))


ATTENTION = """
#include "attend.h"
extern "C" void all(int kind, const float* q, Cache k, Cache v, const Shape& s, float* out, float* top, float* sum) {
  const auto work = kind == 1 ? attend<Bf16> : kind == 3 ? attend<CachedFp8> : attend<CachedInt8>;
  work(q, k, v, 0, s.capacity, s, 1, out, top, sum);
}
"""


def instructions_for_all(folder: Path) -> list[str]:
    """As objdump lists them, of attention over 16 and 8 bits built for a processor that has AMX, VNNI and GFNI."""
    source, built = folder / "attention.cpp", folder / "attention.o"
    source.write_text(ATTENTION, encoding="utf-8")
    command = [os.environ["CXX"], "-O1", "-march=sapphirerapids", "-std=c++17", "-w", "-I", host_library.SOURCE.parent]
    subprocess.run([*command, "-c", source, "-o", built], check=True)
    listed = subprocess.run(["objdump", "-d", str(built)], check=True, capture_output=True, text=True)
    return listed.stdout.splitlines()


def library(build: str) -> ctypes.CDLL:
    found = host_library.built(*BUILDS[build])
    assert not isinstance(found, str), found
    return found


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_format_at_every_size_is_attention_over_the_stored_numbers(build, dtype):
    kernel = library(build)
    in_pairs = build != "this CPU" or "bf16" in host_library.instruction_set(kernel)  # weights are rounded to bf16 too
    most = 4e-3 if dtype == "bfloat16" and in_pairs else 2e-6
    for size in SIZES:
        inputs = inputs_of(*size, dtype)
        assert relative_error(host_kernel.prepare(inputs, kernel)(), reference(inputs)) < most, size


@pytest.mark.skipif(shutil.which("clang++") is None, reason="no clang++ here")
def test_clang_builds_the_kernel_that_a_mac_builds(monkeypatch):
    monkeypatch.setenv("CXX", "clang++")
    kernel = host_library.built.__wrapped__("-O0")  # not what this process has of g++
    assert not isinstance(kernel, str), kernel
    for dtype in DTYPES:
        inputs = inputs_of(12, 2, 77, 96, dtype)
        most = 4e-3 if dtype == "bfloat16" and "bf16" in host_library.instruction_set(kernel) else 2e-6
        assert relative_error(host_kernel.prepare(inputs, kernel)(), reference(inputs)) < most, dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_ragged_batch_reads_each_sequence_to_its_own_end(dtype):
    inputs = inputs_of(8, 2, 300, 64, dtype, batch_size=3, lengths=(300, 1, 77))
    assert relative_error(host_kernel.prepare(inputs)(), reference(inputs)) < 4e-3


BYTES = pytest.mark.parametrize("dtype", ["int8", "int4"])
EMULATED_AND_OWN = pytest.mark.parametrize("build", ["this CPU", "AMX, VNNI and GFNI, emulated"])


@BYTES
@EMULATED_AND_OWN
def test_a_heavy_token_of_small_values_costs_the_others_nothing(build, dtype):
    """As the first token of many models, whose weight is the greatest and whose values are the smallest."""
    inputs = inputs_of(8, 2, 300, 64, dtype)
    assert inputs.key_scales is not None
    assert inputs.value_scales is not None
    inputs.key_scales[:, :, 0] *= 16  # what some query heads score high
    inputs.value_scales[:, :, 0] /= 1000
    found = host_kernel.prepare(inputs, library(build))()
    assert relative_error(found, reference(inputs)) < 2e-6


@BYTES
@EMULATED_AND_OWN
def test_queries_and_values_of_nothing_are_nothing(build, dtype):
    inputs = inputs_of(8, 2, 300, 64, dtype)
    inputs.query.zero_()  # each token weighs the same
    assert relative_error(host_kernel.prepare(inputs, library(build))(), reference(inputs)) < 2e-6
    assert inputs.value_scales is not None
    inputs.value_scales.zero_()
    assert not host_kernel.prepare(inputs, library(build))().any()


@BYTES
@EMULATED_AND_OWN
@pytest.mark.parametrize("small", [slice(32, 36), slice(32, 64)], ids=["few", "many"])
def test_small_parts_of_a_query_count_to_their_last_digit(build, dtype, small):
    """Two digits of base 256 hold what is near the greatest; here much depends on numbers that are a 300th of that."""
    inputs = inputs_of(8, 2, 300, 64, dtype)
    query = torch.zeros_like(inputs.query)
    query[:, :, :32], query[:, :, small] = 1, inputs.query[:, :, small] / 300
    assert inputs.key_scales is not None
    inputs.key_scales[..., 1] *= 8
    inputs = replace(inputs, query=query)
    assert relative_error(host_kernel.prepare(inputs, library(build))(), reference(inputs)) < 2e-6


@BYTES
@EMULATED_AND_OWN
def test_a_query_in_float32_is_read_as_fine_as_it_is(build, dtype):
    inputs = inputs_of(40, 8, 300, 128, dtype)
    inputs = replace(inputs, query=torch.randn(1, 40, 128, generator=torch.Generator().manual_seed(1)))
    assert relative_error(host_kernel.prepare(inputs, library(build))(), reference(inputs)) < 2e-6


@BYTES
def test_what_is_taken_in_fours_says_so(dtype):
    kernel = library("AMX, VNNI and GFNI, emulated")
    assert host_kernel.describe(inputs_of(8, 2, 16, 64, dtype), kernel) == "instructions: VNNI and plain vectors"
    fours = [kernel.headroom_in_fours(kind) for kind in host_library.KINDS.values()]
    assert fours == [b"", b"", b"", b"GFNI", b"VNNI", b"VNNI"]
    wide = library("as wide as AVX-512")
    assert not any(wide.headroom_in_fours(kind) for kind in host_library.KINDS.values())


def test_what_products_of_bytes_reach_is_a_limit_too(monkeypatch):
    from core.decode import measured_roofline

    monkeypatch.setattr(measured_roofline, "host_library", lambda: library("AMX, VNNI and GFNI, emulated"))
    probes = measured_roofline._products(torch.device("cpu"), "int4")
    amount = probes["our probe of bytes, VNNI"][1]
    assert amount == 2 * 6 * 32 * 128 * measured_roofline.IN_ONE_CALL * torch.get_num_threads()
    assert "our probe of bytes, VNNI" not in measured_roofline._products(torch.device("cpu"), "float8_e4m3fn")


@pytest.mark.skipif(
    shutil.which("objdump") is None or platform.machine() != "x86_64", reason="needs objdump and a compiler for x86-64"
)
def test_a_build_for_such_a_processor_takes_bytes_in_fours(tmp_path):
    listed = instructions_for_all(tmp_path)
    products = [line for line in listed if "vpdpbusd" in line]
    assert sum("{1to16}" in line for line in products) > 100  # digits are taken from memory by the product itself
    assert any("vgf2p8affineqb" in line for line in listed)


def test_the_kernel_says_which_instructions_carry_it():
    assert host_kernel.describe(inputs_of(8, 2, 16, 64)) in {  # float32, which no tile multiplies
        f"instructions: {name}" for name in ("AVX2", "AVX-512", "AVX-512 with bf16", "NEON", "plain vectors")
    }
    assert host_library.instruction_set(library("as wide as AVX-512")) == "plain vectors"


def test_numbers_are_stored_as_llama_cpp_rounds_them():
    # q8_0: the largest, 254, makes the scale 2, and 3 / 2 is rounded away from zero. q4_0: -16 makes the scale 2; 16
    # would be code 16 and is cut to 15, which stands for 7 x 2; 3 / 2 + 8.5 is 10, which stands for 2 x 2.
    row = torch.zeros(32)
    row[:3] = torch.tensor([254.0, 3.0, -3.0])
    codes, scales = caches.quantised(row, torch.int8)
    assert (codes[:3].tolist(), scales.tolist()) == ([127, 2, -2], [2.0])
    row[:3] = torch.tensor([-16.0, 16.0, 3.0])
    codes, scales = caches.quantised(row, torch.uint8)
    assert caches.signed_nibbles(codes)[:4].tolist() == [-8, 7, 2, 0]
    assert scales.tolist() == [2.0]
    assert caches.numbers(codes, scales)[:4].tolist() == [-16.0, 14.0, 4.0, 0.0]


def test_every_code_of_fp8_is_read_as_torch_reads_it():
    codes = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn)
    codes = torch.where(codes.float().isnan(), torch.zeros(1), codes.float()).to(torch.float8_e4m3fn)
    inputs = inputs_of(1, 1, 1, 256, "float8_e4m3fn")
    inputs.values[0, 0, 0] = codes
    assert inputs.value_scales is not None  # of its one head
    out = host_kernel.prepare(inputs)()
    expected = codes.float() * inputs.value_scales  # one token: its value is the output
    assert torch.allclose(out.view(-1), expected, rtol=2e-7, atol=0)


@EMULATED_AND_OWN
@pytest.mark.parametrize("every", [1, 16, 37])
def test_numbers_of_fp8_without_an_exponent_count_like_the_others(build, every):
    """Below 2^-6, where the fraction alone counts: all of them, some of each square, and of few squares."""
    inputs = inputs_of(40, 8, 700, 64, "float8_e4m3fn")
    codes = torch.randint(0, 256, (8, 64), generator=torch.Generator().manual_seed(1), dtype=torch.uint8) & 0x87
    inputs.values.view(torch.uint8)[0, :, ::every, ::5] = codes[:, None, ::5]
    inputs.keys.view(torch.uint8)[0, :, ::every, :9] = codes[:, None, :9]
    assert relative_error(host_kernel.prepare(inputs, library(build))(), reference(inputs)) < 2e-6


def test_a_square_says_whether_a_number_in_it_has_no_exponent():
    inputs = inputs_of(2, 2, 48, 64, "float8_e4m3fn")
    codes = inputs.keys.view(torch.uint8)
    codes.fill_(0x38)  # 1
    codes[0, 1, 17, 40] = 0x87  # -7 / 512
    codes[0, 0, 32, 15] = 0x08  # 1 / 64 has an exponent
    _, _, small, _ = host_kernel.pack(inputs, in_fours=True)
    assert small is not None
    assert small.nonzero().tolist() == [[0, 1, 1, 2]]  # sequence, head, 16 tokens, 16 elements


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_token_that_is_appended_is_read_back(dtype):
    inputs = inputs_of(4, 2, 33, 64, dtype)
    generator = torch.Generator().manual_seed(3)  # one draw in many lies beyond what 4 bits keep of the average one
    key, value = (torch.randn(1, 2, 64, generator=generator) for _ in range(2))
    inputs.append(key, value)
    scales = inputs.key_scales[:, :, -1] if inputs.scaled_by_token else inputs.key_scales
    last = inputs.keys[:, :, -1:] if scales is None or scales.dim() == 1 else inputs.keys[:, :, -1]
    found = caches.numbers(last, scales).view(1, 2, 64)
    assert relative_error(found, key) < {"int4": 0.12, "float8_e4m3fn": 0.04, "int8": 0.01}.get(dtype, 0.004)
    assert relative_error(host_kernel.prepare(inputs)(), reference(inputs)) < 4e-3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_each_call_reads_the_query_that_is_there_then(dtype):
    inputs = inputs_of(8, 2, 300, 64, dtype)
    call = host_kernel.prepare(inputs)
    first = call().clone()
    inputs.query.mul_(-2)
    assert relative_error(call(), reference(inputs)) < 4e-3
    assert relative_error(first, reference(inputs)) > 0.1


def test_a_query_in_pieces_is_refused():
    inputs = inputs_of(8, 2, 300, 64)
    apart = replace(inputs, query=inputs.query.repeat(1, 1, 2)[:, :, ::2])
    with pytest.raises(ValueError, match=r"strides of \(1024, 128, 2\): give it in one piece"):
        host_kernel.prepare(apart)


def test_the_host_kernel_leaves_small_numbers_as_they_are():
    """Loading a library linked with -ffast-math would flush subnormal numbers to zero in the whole process."""
    host_kernel.prepare(inputs_of(8, 2, 300, 64))()
    smallest_normal, smallest = 2.0**-1022, math.ulp(0.0)
    assert smallest_normal / 2 > 0
    assert smallest * 1.0 == smallest


def test_without_a_compiler_the_host_kernel_says_so(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with anew_built(), pytest.raises(Unavailable, match=r"no C\+\+ compiler here: install g\+\+"):
        host_kernel.prepare(inputs_of(8, 2, 300, 64))


BUILDS_TO = 'echo "$*" | grep -q -e " -o "'  # and is not only asked what it would run


def test_a_compiler_that_fails_is_quoted_and_not_tried_again(monkeypatch, tmp_path):
    compiler = tmp_path / "compiler"
    compiler.write_text(f"#!/bin/sh\n{BUILDS_TO} && echo tried >> {tmp_path}/log\necho no such thing >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    with anew_built():
        for _ in range(2):
            with pytest.raises(Unavailable, match="compiler did not build it: no such thing"):
                host_kernel.prepare(inputs_of(8, 2, 300, 64))
    assert (tmp_path / "log").read_text() == "tried\n"


@contextmanager
def anew_built() -> Iterator[None]:
    """The library is built within, and what was built is forgotten afterwards."""
    host_library.built.cache_clear()
    try:
        yield
    finally:
        host_library.built.cache_clear()


COUNTED = """
import torch
from core.decode.host_library import host_library, threads_of_torch
library, pool, asked = host_library(), threads_of_torch(), torch.get_num_threads()
assert asked > 1
probes = ((library.headroom_products, (0, 1)), (library.headroom_exponentials, (1,)))
print([probe(*times, threads, pool) for probe, times in probes for threads in (1, asked)])
"""


def test_a_pool_that_gives_fewer_threads_is_counted_with_those():
    """As much as one thread does, where torch means to have two and its pool may give one."""
    if host_library.threads_of_torch().value is None:
        pytest.skip("torch has no pool of OpenMP's here")
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", COUNTED], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    alone, together, one_by_one, both = json.loads(done.stdout)
    assert alone == together > 0
    assert one_by_one == both == 4096  # exponentials of a turn
