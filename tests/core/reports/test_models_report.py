"""Models carries away its comparison with each formula reckoned out to the page's own figure."""

import re

import pytest

from core.figures.comparison import ComparedModel, compare
from core.models.registry import load_registry
from core.reports.models_report import models_sections, token_formula

MODELS = [
    compare(model.name, status="recorded", facts="", config=model.config, config_text="") for model in load_registry()
]


def named(name: str) -> ComparedModel:
    return next(model for model in MODELS if model.name == name)


@pytest.mark.parametrize(
    ("name", "formula", "total"),
    [
        ("Llama-2 70B", "80 × 8 × (128 + 128) × 2", 327_680),
        ("DeepSeek-V2", "60 × 576 of a latent × 2", 69_120),
    ],
)
def test_the_formula_of_a_token_has_its_numbers(name, formula, total):
    spec = named(name).spec
    assert spec is not None
    assert token_formula(spec) == formula
    assert spec.cache_bytes_per_token() == total


def test_every_formula_of_the_registry_adds_up():
    for model in MODELS:
        if model.spec is None:
            continue
        total = 0
        text = token_formula(model.spec).replace(",", "")
        for count, heads, key, value in re.findall(r"(\d+) × (\d+) × \((\d+) \+ (\d+)\) × 2", text):
            total += int(count) * int(heads) * (int(key) + int(value)) * 2
        for count, each in re.findall(r"(\d+) × (\d+) of a latent × 2", text):
            total += int(count) * int(each) * 2
        total += sum(map(int, re.findall(r"(\d+) beside them", text)))
        total -= sum(map(int, re.findall(r"(\d+) less", text)))
        assert total == model.spec.cache_bytes_per_token(), model.name


def test_the_table_s_parts_have_every_model_and_every_column_once():
    found = models_sections([named("Llama-2 70B"), named("Falcon-7B")])
    heads = [head for section in found[:3] for head in section.table[0] if head != "Model"]
    assert heads == [
        "Kind",
        "H",
        "G",
        "head_dim",
        "L",
        "Window",
        "KiB/token",
        "Bytes per token",
        "Declared by",
        "Status",
    ]
    assert [row[0] for row in found[1].table[1]] == ["Llama-2 70B", "Falcon-7B"]
    assert found[1].table[1][0][2:] == ("320.0", "327,680")
    assert found[3].title == "Bytes of a token, reckoned out"
