"""How the Triton kernel is launched for a shape: tile, warps and stages that spill nothing and fit every GPU's memory.

The sums of a program are rows x head_dim in float32, spread over the threads of its warps; keys and values lie in
shared memory, stage after stage. tests/core/decode/test_triton.py holds both to what the assembler says, for each shape
of the registry on sm_80, 90, 100 and 120. This module needs neither torch nor triton.
"""

from dataclasses import dataclass

LEAST, MOST_TILE = 16, 64  # tl.dot takes no fewer rows and keys than 16
WARPS = (4, 16)
TILE_BYTES = 32 * 2**10  # of keys and values together
MOST_FLOAT32_DIM = 128


class TooWide(ValueError):
    """No launch of this shape keeps its sums in registers."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Compile-time constants of one launch; rows (of one program) and width are powers of two."""

    rows: int
    width: int
    tile: int
    warps: int
    stages: int
    precision: str


@dataclass(frozen=True, kw_only=True)
class Room:
    """Sums that a program may keep, and sums of one warp."""

    program: int
    warp: int


WIDE, FLOAT32 = Room(program=2**14, warp=1024), Room(program=2**11, warp=256)


def launch_of(rows: int, head_dim: int, key_bytes: int, query_bytes: int) -> Launch:
    """For `rows` query heads a KV head; key_bytes and query_bytes are those of one element. Raises TooWide.

    float32 is multiplied as three products of tf32, with an error like that of float32's own sums: each factor is kept
    in two parts, so a program has fewer sums, and a larger group goes in blocks of rows, which read its keys again. A
    product in float32 itself (`ieee`) keeps whole factors in each thread's registers: 7,600 bytes spilled at 71 rows.
    """
    float32, width = query_bytes == 4, _power_of_two(head_dim)
    if float32 and width > MOST_FLOAT32_DIM:
        raise TooWide(f"float32 only up to a head_dim of {MOST_FLOAT32_DIM}")
    room = FLOAT32 if float32 else WIDE
    padded = max(LEAST, min(_power_of_two(rows), room.program // width))
    return Launch(
        rows=padded, width=width,
        tile=max(LEAST, min(MOST_TILE, TILE_BYTES // (2 * width * max(key_bytes, query_bytes)))),
        warps=max(WARPS[0], min(WARPS[1], padded * width // room.warp)),
        stages=2 if float32 else 3, precision="tf32x3" if float32 else "tf32",
    )  # fmt: skip


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()
