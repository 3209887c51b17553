"""Every refusal ends with what to do: its last sentence is an order to the reader, never only a complaint.

Walked: the hostile files as config.json and as any document, every measured config, every type that is not answered,
and some thousand variations of every class of transformers, read as a page reads them. conftest.py holds the same of
every other refusal that a test of this folder meets.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest

from core.engines.release_cases import small, variations
from core.engines.transformers_release import decoders
from core.models.formats.document import read_document
from core.models.rules.text_part import NOT_ANSWERED, OTHER_FILES
from core.models.spec import UnsupportedConfig, load_config, read_config
from tests.core.measured_cases import hostile_files, measured_cases
from tests.core.models.orders import is_silent


def refusals() -> Iterator[tuple[str, str]]:
    """(what was read, what was said of it)"""
    for name, data in documents():
        for read in (lambda data: read_config(load_config(data)), read_document):
            try:
                read(data)
            except UnsupportedConfig as refusal:
                yield name, str(refusal)


def documents() -> Iterator[tuple[str, bytes]]:
    yield from ((file["name"], file["data"]) for file in hostile_files())
    for name, config in configs():
        yield name, json.dumps(config).encode()


def configs() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((case["case"], case["config"]) for case in measured_cases()[::7])
    yield from ((name, {"model_type": name}) for name in NOT_ANSWERED)
    yield from ((key, {key: "something"}) for key in OTHER_FILES)
    for model_type in decoders()[::3]:
        yield model_type, small(model_type)
        yield from ((f"{model_type}: {case}", config) for case, config in variations(model_type))


@lru_cache(maxsize=1)
def walked() -> dict[str, str]:
    return {said: name for name, said in refusals()}


def test_enough_refusals_are_walked() -> None:
    assert len(walked()) > 200


def test_every_refusal_names_what_would_make_it_readable() -> None:
    assert {name: said for said, name in walked().items() if is_silent(said)} == {}


@pytest.mark.parametrize("said", ["head_dim is true: a whole number is expected.", "The file is not JSON: nothing."])
def test_a_complaint_alone_is_no_order(said: str) -> None:
    assert is_silent(said)
