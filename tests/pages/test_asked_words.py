"""Every input that an address can hold is called by words in a report, not by its key."""

import ast
import re
from collections.abc import Iterator

import pytest

from core.reports.asked_words import OF_ONE_PAGE, WORDS, words_for
from tests.dashboard import ROOT

KEY = re.compile(r"^(?:[a-z]+|\{(?:page|name|key_prefix)\})_")
AS_THE_FIELD_WRITES = ("head_dim", "ubatch, tokens")
SIZE = ROOT / "pages" / "tools" / "size"  # its report lists its inputs by pages.tools.size.asked


def bound_keys() -> Iterator[str]:
    """Ends of the keys of widgets that are bound to the address, as the scripts write them."""
    for path in sorted((ROOT / "pages").rglob("*.py")):
        if SIZE in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or "bind" not in {word.arg for word in node.keywords}:
                continue
            given = next(word.value for word in node.keywords if word.arg == "key")
            if isinstance(given, ast.Call):  # stage.key("g"), which is LESSON_g
                given = given.args[0]
                prefix = "lesson_"
            else:
                prefix = ""
            if isinstance(given, ast.Constant | ast.JoinedStr):
                yield prefix + ast.unparse(given).removeprefix("f").strip("'")


def test_there_are_keys_to_look_at():
    assert len(set(bound_keys())) > 80


@pytest.mark.parametrize("key", sorted(set(bound_keys())))
def test_every_bound_key_has_words(key: str):
    filled = re.sub(r"\{(heads|shape\.num_query_heads)\}", "64", key)
    filled = re.sub(r"\{name\}_against", "mine_against", filled)
    filled = re.sub(r"^\{[a-z_]+\}_run_size", "bench_run_size", filled)
    filled = re.sub(r"^\{[a-z_]+\}_", "page_", filled)
    said = words_for("page", filled)
    assert said[0].isupper() or said in AS_THE_FIELD_WRITES, f"{key} is called {said!r}"


@pytest.mark.parametrize(
    ("path", "key", "words"),
    [
        ("layouts", "layouts_g64", "KV heads G of 64"),
        ("bound", "bound_chunk", "Prefill tokens in the same step"),
        ("case-mqa", "case-mqa_bits", "A low-bit cache is planned"),
        ("pick", "pick_bits", "Bits"),
        ("case-llama", "case-llama_ranks_node", "GPUs, split by heads"),
        ("draw", "draw_gqa8_2", "Strokes of GQA, 8 heads on 2"),
        ("declares", "declares_switches", "File"),
        ("elsewhere", "elsewhere_no_such", "no such"),
    ],
)
def test_words(path: str, key: str, words: str):
    assert words_for(path, key) == words


def test_no_word_stands_twice_for_a_page():
    assert not {
        key for key in OF_ONE_PAGE if key.split("_", 1)[1] in WORDS and WORDS[key.split("_", 1)[1]] == OF_ONE_PAGE[key]
    }
