"""The C++ kernels built for this very CPU: what compiles them, which instruction set they took, and torch's threads.

They are an extra: where no C++ compiler is found the torch arrangements carry the figure.
"""

import contextlib
import ctypes
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch

from core.decode.kept_library import is_kept, keep, place_of
from core.decode.kernel import Unavailable
from core.host.compiler import cxx_compiler, flags_for_this_cpu, what_to_install
from core.host.processor import said_by

SOURCE = Path(__file__).with_name("cpp") / "host_kernel.cpp"
# Not -fassociative-math: g++ 12 then turns a chain of four multiply-adds into six operations that leave the registers.
# Not -ffast-math: its start-up code would flush small numbers to zero in the whole process.
ARITHMETIC = ("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-freciprocal-math")
FLAGS = ("-O3", *ARITHMETIC, "-std=c++17", "-shared", "-fPIC", "-pthread", "-w")
# By the dtype that torch stores a cache in: uint8 holds two 4-bit numbers.
KINDS = {
    torch.float32: 0, torch.bfloat16: 1, torch.float16: 2, torch.float8_e4m3fn: 3, torch.int8: 4, torch.uint8: 5,
}  # fmt: skip


class DecodeStep(ctypes.Structure):
    """A decode step as headroom_decode is asked for it. Laid out once: what a call lays out is time that it takes."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in (
            "kind", "query_kind", "sequences", "heads", "rows", "dim", "capacity", "spans", "threads"
        )),
        ("scale", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in (
            "query", "keys", "values", "lengths", "key_scales", "value_scales", "small_keys", "small_values", "result",
            "parallel",
        )),
    )  # fmt: skip


@cache
def compiler_version() -> str | None:
    """The first line that the compiler says of itself, such as 'g++ (Debian 14.2.0) 14.2.0'; None without one."""
    compiler = cxx_compiler()
    if not compiler:
        return None
    said = said_by(compiler, "--version")
    return said.splitlines()[0].strip() if said.strip() else None


def host_library() -> ctypes.CDLL:
    """host_kernel.cpp built for this host. Raises Unavailable with what the compiler said."""
    found = built()
    if isinstance(found, str):
        raise Unavailable(found)
    return found


@cache
def built(*more_flags: str) -> ctypes.CDLL | str:
    """The library, compiled once and kept; or why there is none, which is not tried again for every G.

    more_flags hold it below what the processor has: -DHEADROOM_LEVEL=3 is AVX-512 without its products of bytes
    and of bf16, 2 AVX2 or NEON.
    """
    compiler = cxx_compiler()
    if not compiler:
        return what_to_install()
    command = [compiler, *flags_for_this_cpu(), *FLAGS, *more_flags]
    place = place_of(command, SOURCE)
    if is_kept(place):
        with contextlib.suppress(OSError, AttributeError):  # cut short, or of another build: it is compiled anew
            return with_types(ctypes.CDLL(str(place)))
    with tempfile.TemporaryDirectory(prefix="headroom-kernel-") as folder:
        target = Path(folder) / "host_kernel.so"
        refused = _compile([*command, str(SOURCE), "-o", str(target)])
        if refused:
            return f"{compiler} did not build it: {refused}"
        keep(target, place)
        return with_types(ctypes.CDLL(str(target)))  # stays mapped after the file is gone


def _compile(command: list[str]) -> str:
    """What was wrong in a line; empty where it was built."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=300, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return said[0][:200] if done.returncode else ""


def with_types(library: ctypes.CDLL) -> ctypes.CDLL:
    """The library with what its functions take and return, as host_kernel.cpp declares them."""
    address, whole, long = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
    library.headroom_level.restype = ctypes.c_char_p
    library.headroom_by_tiles.argtypes = [whole, whole, whole]
    library.headroom_by_tiles.restype = whole
    library.headroom_in_fours.argtypes = [whole]
    library.headroom_in_fours.restype = ctypes.c_char_p
    library.headroom_decode.argtypes = [ctypes.POINTER(DecodeStep)]
    library.headroom_decode.restype = None
    library.headroom_multiply.argtypes = (
        [whole, address, address, whole, address, address, *[whole] * 3, address, address]
    )  # fmt: skip
    library.headroom_multiply.restype = None
    library.headroom_read.argtypes = [address, ctypes.c_size_t, whole, whole, address]
    library.headroom_read.restype = ctypes.c_uint32
    library.headroom_products.argtypes = [whole, long, whole, address]
    library.headroom_exponentials.argtypes = [long, whole, address]
    library.headroom_products.restype = library.headroom_exponentials.restype = long
    return library


def instruction_set(library: ctypes.CDLL) -> str:
    """What its vectors are: 'AVX2', 'AVX-512', 'AVX-512 with bf16', 'NEON', or 'plain vectors'."""
    return str(library.headroom_level().decode())


def threads_of_torch() -> ctypes.c_void_p:
    """Entry of the OpenMP pool that torch itself computes on, null where torch has another.

    Threads of our own would share the cores with that pool's, which spin for milliseconds after each torch operation.
    """
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, ctypes.c_void_p)
    except (AttributeError, OSError, TypeError):  # TypeError: Windows knows no library of the whole program
        return ctypes.c_void_p(None)
