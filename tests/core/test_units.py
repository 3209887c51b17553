"""Units: GB is 10^9, GiB is 2^30, and no figure rounds into four digits before its unit."""

import pytest

from core.units import format_binary, format_both, format_bytes, format_count, in_gb, number_of


@pytest.mark.parametrize(
    ("count", "decimal", "binary"),
    [
        (0, "0 B", "0 B"),
        (999, "999 B", "999 B"),
        (8_192, "8.2 kB", "8.0 KiB"),
        (80e9, "80.0 GB", "74.5 GiB"),
        (81_559 * 2**20, "85.5 GB", "79.6 GiB"),
        (40 * 2**30, "42.9 GB", "40.0 GiB"),
        (999_960, "1.0 MB", "976.5 KiB"),
    ],
)
def test_bytes_in_both_units(count, decimal, binary):
    assert format_bytes(count) == decimal
    assert format_binary(count) == binary
    assert format_both(count) == f"{decimal} ({binary})"


@pytest.mark.parametrize(
    ("count", "text"),
    [(7, "7"), (9_999, "9,999"), (65_536, "65.5 k"), (13_015_864_320, "13.0 B"), (1.72e12, "1.7 T")],
)
def test_counts(count, text):
    assert format_count(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999_949, "999.9 k"),
        (999_999, "1.0 M"),
        (999_970_000, "1.0 B"),
        (999_999_999_999, "1.0 T"),
        (-1_500_000, "-1.5 M"),
    ],
)
def test_a_count_carries_to_the_next_unit_as_its_digits_do(count, text):
    assert format_count(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0.00 GB"),
        (4_999_999, "4,999,999 bytes"),
        (5_000_000, "0.01 GB"),
        (-1_000, "-1,000 bytes"),
        (3.25e9, "3.25 GB"),
    ],
)
def test_gigabytes_that_would_read_nothing_are_bytes(count, text):
    assert in_gb(count) == text


def test_one_of_a_thing_is_said_as_one() -> None:
    assert number_of(1, "token") == "1 token"
    assert number_of(0, "token") == "0 tokens"
    assert number_of(12_000, "token") == "12,000 tokens"
    assert number_of(2, "batch", "batches") == "2 batches"
    assert number_of(1, "batch", "batches") == "1 batch"
