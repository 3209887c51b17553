"""No figure stands typed in a text without an account: a placeholder, a name, a supposed value, or a checked entry."""

import re

import pytest
import yaml

from core.evidence.studies import published as evidence
from core.hardware import accelerators
from core.learning import lessons
from core.learning.techniques.published import published
from core.models.registry import load_registry
from tests.core.learning.text_numbers import ACCOUNTS, NAMES, NUMBER, SPELLED, SUPPOSED, steady_order, texts

NAMED = re.compile("|".join(re.escape(name) for name in sorted(NAMES, key=len, reverse=True)))


@pytest.mark.parametrize(("where", "text"), [pytest.param(where, text, id=where) for where, text in texts()])
def test_every_typed_figure_is_accounted_for_and_true(where: str, text: str) -> None:
    rest = text
    for phrase in sorted(ACCOUNTS.get(where, {}), key=len, reverse=True):
        assert phrase in rest, f"{where}: {phrase!r} is accounted for and does not stand there"
        assert ACCOUNTS[where][phrase], f"{where}: {phrase!r} is not true"
        rest = rest.replace(phrase, " ")
    rest = NAMED.sub(" ", rest)
    for pattern, holds in SUPPOSED:
        for match in re.finditer(pattern, rest):
            assert holds(match), f"{where}: {match[0]!r}"
        rest = re.sub(pattern, " ", rest)
    assert not NUMBER.findall(rest), f"{where}: {NUMBER.findall(rest)} in {rest!r}"


def test_every_account_is_of_a_text() -> None:
    assert set(ACCOUNTS) <= {where for where, _ in texts()}


def test_every_name_is_one_that_the_sources_use() -> None:
    said = [entry.paper for entry in (*evidence().comparisons, *evidence().findings)]
    said += [f"{finding.statement} {finding.caveat}" for finding in evidence().findings]
    said += [f"{model.name} {model.family}" for model in load_registry()]
    said += [device.name for device in accelerators.catalogue().values()]
    said += [str(entry.source) for entry in published().values()]
    said += [study.label for study in evidence().comparisons]
    said += [entry["model"] for entry in yaml.safe_load((lessons.FOLDER / "configs.yaml").read_text(encoding="utf-8"))]
    everything = " ".join(said)
    for name in NAMES:
        assert SPELLED.get(name, name) in everything, name


def test_every_name_stands_in_a_text() -> None:
    everything = " ".join(text for _, text in texts())
    for name in NAMES:
        assert name in everything, name


def test_mqa_stands_below_gqa_in_every_study_that_has_both() -> None:
    """What the lessons call the steady part."""
    assert steady_order()


@pytest.mark.parametrize("word", ["eight", "a third", "twice", "3.35", "1,024", "10⁹", "Halves"])
def test_a_figure_is_seen_in_digits_and_in_words(word: str) -> None:
    assert NUMBER.search(f"about {word} of them")


@pytest.mark.parametrize("words", ["someone often weighs it", "a tent", "one KV head"])
def test_other_words_are_no_figures(words: str) -> None:
    assert not NUMBER.search(words)
