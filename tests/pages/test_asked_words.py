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


def test_no_bound_key_is_shown_as_it_is_in_the_code():
    shown = {key: words_for(re.sub(r"\{[a-z_.]+\}", "64", key)) for key in set(bound_keys())}
    wrong = {key: said for key, said in shown.items() if "_" in said and said != "head_dim"}
    wrong |= {key: said for key, said in shown.items() if said[0].islower() and said not in AS_THE_FIELD_WRITES}
    assert wrong == {}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("layouts_g64", "KV heads G of 64"),
        ("bound_chunk", "Prefill tokens in the same step"),
        ("case-mqa_bits", "A low-bit cache is planned"),
        ("pick_bits", "Bits"),
        ("case-llama_ranks_node", "GPUs, split by heads"),
        ("draw_gqa8_2", "Strokes of GQA, 8 heads on 2"),
        ("declares_switches", "File"),
        ("elsewhere_no_such", "No such"),
    ],
)
def test_words(key: str, words: str):
    assert words_for(key) == words


def test_no_word_stands_twice_for_a_page():
    assert not {
        key for key in OF_ONE_PAGE if key.split("_", 1)[1] in WORDS and WORDS[key.split("_", 1)[1]] == OF_ONE_PAGE[key]
    }
