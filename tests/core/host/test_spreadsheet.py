"""No cell of a CSV is run by a spreadsheet, and no number is harmed."""

import csv
from io import StringIO

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.host.spreadsheet import THOUSANDS, as_written, csv_text, safe


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("-2+3", "'-2+3"), ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"), ("\r=1", "'\r=1"), ("-291.30", "-291.30"), ("+4.5e3", "+4.5e3"), (-7, -7), (0.25, 0.25),
        ("− 8", "− 8"), ("−1,234.50", "-1234.50"), ("65,536", "65536"), ("1,2", "1,2"),
        ("'=1", "''=1"), ("'s", "'s"), ("Llama", "Llama"), (None, ""), (float("nan"), ""), (pd.NA, ""),
    ],
)  # fmt: skip
def test_text_that_would_be_a_formula_is_marked_as_text(cell, written):
    assert safe(cell) == written


@given(st.lists(st.dictionaries(st.sampled_from(["Model", "Bytes"]), st.text() | st.integers() | st.none(),
                                min_size=2), min_size=1))  # fmt: skip
def test_what_is_read_back_is_what_was_written_and_starts_no_formula(rows):
    text = csv_text(rows)
    for row, read in zip(rows, csv.DictReader(StringIO(text, newline="")), strict=True):
        for name, cell in row.items():
            assert not read[name].startswith(("=", "@", "\t", "\r"))
            if isinstance(cell, str) and not THOUSANDS.fullmatch(cell):
                assert as_written(read[name]) == cell
