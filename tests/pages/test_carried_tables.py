"""Every table that can be saved: plain numbers, each under a head that says its unit."""

import ast
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

import pytest

from core.models.registry import load_registry
from core.serving.engine_table import engine_table, table_csv
from pages.shell import share
from pages.tools.size.server_log import _amounts
from tests.dashboard import ROOT

Tables = dict[str, tuple[list[str], list[list[str]]]]
VIEWS: tuple[tuple[str, dict[str, str]], ...] = (
    ("tools/models/models.py", {}),
    ("tools/size/size.py", {"size_tab": "Table"}),
    ("tools/size/size.py", {"size_job": "Serve a model"}),
    ("tools/decode/benchmark.py", {"bench_tab": "Recorded runs"}),
    ("reference/evidence.py", {}),
    ("reference/timeline.py", {}),
    ("reference/faq.py", {}),
    ("learn/latent.py", {"latent": "4"}),
    ("learn/quantisation.py", {}),
)
COUNTS = (
    "G", "H", "L", "Bits", "Layer", "Layers with that window", "Parameters", "Threads", "Heads", "head_dim", "model",
    "Bound / measured (%)", "Relative error", "Sequences", "G = ",
)  # fmt: skip
UNIT = re.compile(
    r"\((?:ms|GB|GB/s|bytes|bytes a token|bits|tokens|points|%|% perplexity|year-month)\)"
    r"|, (?:GB|GiB|bytes|ms)$|KiB/token|[Bb]ytes|Tokens/s|elements|Requests|[Rr]atio|Times|Model|Headroom"
)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
NOT_PLAIN = re.compile(r"[-−+]?\d[\d,.]* ?(?:%|[KMGT]i?B|ms|s|tokens?|B|×|points|GB/s)|\d{1,3}(?:,\d{3})+(?:\.\d+)?"
                       r"|[\d.,]+ to [\d.,]+")  # fmt: skip


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Every table that pages offer while the test runs, as its CSV reads."""
    found: Tables = {}
    real = share.save_csv

    def save(rows: Sequence[Mapping[str, Any]], *, key: str, remarks: Sequence[str] = (), **given: Any) -> None:
        found[key] = read(share._csv(rows).decode())
        real(rows, key=key, remarks=remarks, **given)

    monkeypatch.setattr(share, "save_csv", save)
    return found


def read(text: str) -> tuple[list[str], list[list[str]]]:
    heads, *rows = csv.reader(StringIO(text))
    return heads, rows


def problems(tables: Tables) -> Iterator[str]:
    """Cells that are a number with something else, and columns of numbers whose head says no unit."""
    for key, (heads, rows) in tables.items():
        for at, head in enumerate(heads):
            cells = [row[at] for row in rows if row[at]]
            yield from (f"{key}, {head}: {cell!r}" for cell in cells if NOT_PLAIN.fullmatch(cell))
            numbers = [cell for cell in cells if NUMBER.fullmatch(cell)]
            if numbers and len(numbers) == len(cells) and not UNIT.search(head) and not head.startswith(COUNTS):
                yield f"{key}: the numbers of {head!r} say no unit"


@pytest.mark.parametrize(("script", "query"), VIEWS, ids=lambda given: given if isinstance(given, str) else "")
def test_what_a_page_saves_is_plain_numbers_with_units_in_the_heads(script, query, open_page, saved):
    open_page(script, **query)
    assert saved
    assert list(problems(saved)) == []


def test_the_table_of_engines_too():
    rows = list(engine_table(load_registry()[:3], ["mlx"], [4_096]))
    heads, lines = read(table_csv(rows))
    assert heads == ["model", "repository", "engine", "version", "context_tokens", "request_bytes", "times_payload",
                     "requests_40_gib", "requests_70_gib", "refused"]  # fmt: skip
    assert all(NUMBER.fullmatch(cell) for line in lines for cell in line[4:9] if cell)


def test_a_log_s_figures_have_their_unit_beside_them():
    line = {"Figure": "Left for the cache", "The log": "7.71 GiB", "Ours": "7.70 GiB", "Verdict": "equal", "Why": ""}
    assert _amounts(line) == {
        "Figure": "Left for the cache", "Unit": "GiB", "The log": "7.71", "Ours": "7.70", "Verdict": "equal", "Why": ""
    }  # fmt: skip


def test_a_table_that_is_not_plain_would_be_found():
    tables: Tables = {"bad": (["Size", "Share", "Where", "Step (ms)"], [["12.5 GB", "67%", "page 3", "1.2 to 1.4"]]),
                      "dim": (["Speed"], [["12.5"]])}  # fmt: skip
    assert list(problems(tables)) == [
        "bad, Size: '12.5 GB'", "bad, Share: '67%'", "bad, Step (ms): '1.2 to 1.4'",
        "dim: the numbers of 'Speed' say no unit",
    ]  # fmt: skip


def test_every_table_has_both_ways_out():
    """A page draws a table with st.table or st.dataframe where it saves it, with Copy as Markdown beside the CSV."""
    without = []
    for path in sorted((ROOT / "pages").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                called = {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
                if called & {"st.table", "st.dataframe"} and not called & {"share.save_csv", "share.copy_markdown"}:
                    without.append(f"{path.name}: {function.name}")
    assert without == []
