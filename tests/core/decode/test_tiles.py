"""AMX's tiles without the processor: the instructions emulated and held to Intel's manual, the real ones built."""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.decode import host_kernel, host_library
from core.decode.kernel import reference, relative_error
from core.host import processor
from tests.core.decode.test_host_kernel import EMULATED, inputs_of, instructions_for_all

pytestmark = pytest.mark.torch

MAIN = Path(__file__).with_name("tiles_main.cpp")
WITH_AMX = "-march=sapphirerapids"
needs_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="AMX is of x86-64")


def emulated() -> ctypes.CDLL:
    found = host_library.built(*EMULATED)
    assert not isinstance(found, str), found
    return found


def said_by_main(folder: Path, *flags: str) -> list[str]:
    program = folder / "tiles"
    subprocess.run([os.environ["CXX"], *flags, "-std=c++17", "-w", str(MAIN), "-o", str(program)], check=True)
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()


def test_an_emulated_product_is_that_of_the_manual(tmp_path):
    # 9 + 1 x 5 + 2 x 6 + 3 x 7 + 4 x 8. The even sum, 2^24 + 1, is rounded before the odd one is added: 0, not 1.
    # 2^-140 and the bf16 2^-130 are subnormal, and nothing. Three rows of pairs for two: what the processor refuses.
    found = said_by_main(tmp_path, "-DHEADROOM_LEVEL=1", "-DHEADROOM_TILES")
    assert found == ["79", "0", "0", "0", "nan"]


def test_the_processor_is_asked_for_its_tiles(tmp_path):
    if platform.machine() != "x86_64" or sys.platform != "linux":
        pytest.skip("asks Linux on x86-64")
    assert said_by_main(tmp_path, WITH_AMX, "-O0") == [str(int(processor.has_amx()))]


@pytest.mark.parametrize(
    ("size", "products"),
    [
        # 5 rows are one tile of rows. 16 blocks x 4 parts of a key, 8 pairs of blocks x 8 columns; of 8 KV heads
        ((40, 8, 250, 128), 8 * (16 * 4 + 8 * 8)),
        # 40 rows are three. 3 blocks x 4; the third block is weighed beside zeros: 2 pairs x 8
        ((40, 1, 33, 128), 3 * (3 * 4 + 2 * 8)),
        # 71 rows are two passes of three: 36 and 35. 1 block x 2, 1 pair x 4
        ((71, 1, 16, 64), 6 * (1 * 2 + 1 * 4)),
        ((3, 1, 250, 128), 0),  # three rows are bound by reads
        ((8, 1, 250, 80), 0),  # no multiple of 32
    ],
)
def test_every_product_of_a_group_is_one_of_tiles(size, products):
    kernel, inputs = emulated(), inputs_of(*size, "bfloat16")
    kernel.headroom_tile_products.restype = ctypes.c_long
    kernel.headroom_tile_products()  # sets it to 0
    out = host_kernel.prepare(inputs, kernel)()
    assert kernel.headroom_tile_products() == products
    assert relative_error(out, reference(inputs)) < 4e-3
    tiles = "AMX tiles and " if products else ""
    assert host_kernel.describe(inputs, kernel) == f"instructions: {tiles}plain vectors"


def test_other_formats_keep_to_vectors():
    kernel = emulated()
    assert [kernel.headroom_by_tiles(kind, 40, 128) for kind in host_library.KINDS.values()] == [0, 1, 0, 0, 0, 0]


def test_numbers_that_are_none_do_not_reach_the_next_call():
    torch.set_num_threads(1)  # whose weights of the call before lie where the second one's third block has none
    kernel, lost, sound = emulated(), inputs_of(8, 1, 64, 32, "bfloat16"), inputs_of(8, 1, 48, 32, "bfloat16")
    lost.query.fill_(float("nan"))
    assert host_kernel.prepare(lost, kernel)().isnan().all()
    assert relative_error(host_kernel.prepare(sound, kernel)(), reference(sound)) < 4e-3


def test_what_the_tiles_reach_is_a_limit_too(monkeypatch):
    from core.decode import measured_roofline

    monkeypatch.setattr(measured_roofline, "host_library", emulated)
    probes = measured_roofline._products(torch.device("cpu"), "bfloat16")
    amount = probes["our probe in bfloat16, AMX tiles"][1]
    assert amount == 2 * 48 * 32 * 128 * measured_roofline.IN_ONE_CALL * torch.get_num_threads()
    assert "our probe in bfloat16, AMX tiles" not in measured_roofline._products(torch.device("cpu"), "float32")


@needs_x86
@pytest.mark.skipif(shutil.which("objdump") is None, reason="no objdump here")
def test_a_build_for_such_a_processor_has_the_instructions(tmp_path):
    named = (line.split("\t")[2] for line in instructions_for_all(tmp_path) if line.count("\t") == 2)
    found = {x for x in named if x.startswith(("ldtile", "tile", "tdp"))}
    products = {x for x in found if x.startswith("tdpbf16ps")}
    assert products == {f"tdpbf16ps %tmm6,%tmm{3 + row},%tmm{row}" for row in range(3)}
    assert {x.split()[0] for x in found} >= {"ldtilecfg", "tilezero", "tileloadd", "tilestored", "tilerelease"}
