"""Bytes and counts as people read them: every figure on screen says GB (10^9) or GiB (2^30)."""

GB = 10**9
GIB = 2**30
MIB = 2**20
KIB = 2**10


def format_bytes(count: float, digits: int = 1) -> str:
    """Decimal: 8192 -> '8.2 kB', 43e9 -> '43.0 GB'. Below 1,000 the exact bytes. count in bytes."""
    return _scaled(count, 1000, ("B", "kB", "MB", "GB", "TB", "PB", "EB"), digits)


def format_binary(count: float, digits: int = 1) -> str:
    """Binary: 8192 -> '8.0 KiB', 40 * 2**30 -> '40.0 GiB'. count in bytes."""
    return _scaled(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"), digits)


def format_both(count: float, digits: int = 1) -> str:
    """'42.9 GB (40.0 GiB)': for the figures that a verdict rests on."""
    return f"{format_bytes(count, digits)} ({format_binary(count, digits)})"


def format_count(count: float) -> str:
    """13_015_864_320 -> '13.0 B', 65_536 -> '65.5 k'; below 10,000 the exact number with separators."""
    if abs(count) < 10_000:
        return f"{count:,.0f}"
    value, names = count / 1000, ["k", "M", "B", "T"]
    while round(abs(value), 1) >= 1000 and len(names) > 1:  # as the printed digits would carry
        value, names = value / 1000, names[1:]
    return f"{value:.1f} {names[0]}"


def in_gb(count: int) -> str:
    """'3.25 GB'; to the byte where that would read 0.00. count in bytes."""
    return f"{count / GB:,.2f} GB" if not 0 < abs(count) < GB / 200 else f"{count:,} bytes"


def _scaled(count: float, step: int, names: tuple[str, ...], digits: int) -> str:
    value, power = float(count), 0
    while abs(value) >= step and power < len(names) - 1:
        value /= step
        power += 1
    # 999.96 kB would print as 1,000.0 kB: carry to the next unit as the printed digits would
    if round(abs(value), digits) >= step and power < len(names) - 1:
        value /= step
        power += 1
    return f"{value:,.0f} B" if power == 0 else f"{value:,.{digits}f} {names[power]}"


def number_of(count: int, one: str, several: str = "") -> str:
    """A count with the word for what is counted: "1 token", "2 tokens"; `several` where it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
