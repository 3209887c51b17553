"""model_registry.yaml itself, and the loader that refuses what is misspelt, missing or of the wrong type."""

import copy
import datetime
import re
from pathlib import Path
from typing import Any

import pytest

from core.model_registry import EVIDENCE, RegistryError, load_registry, parse_entry

REGISTRY = {model.name: model for model in load_registry()}
VALID: dict[str, Any] = {
    "name": "Tiny",
    "family": "Test",
    "repository": "someone/tiny",
    "gated": False,
    "revision": "main",
    "evidence": "copy",
    "config": {"model_type": "llama", "num_hidden_layers": 2},
    "stated": {"kv_heads": 2, "head_dim": 8, "kv_layers": 2},
    "source": "written for this test",
    "read": datetime.date(2026, 11, 22),
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(VALID), **fields}


def test_every_entry_of_the_file_loads_with_the_three_families_first() -> None:
    families = list(dict.fromkeys(model.family for model in REGISTRY.values()))
    assert len(REGISTRY) == 90
    assert families[:3] == ["Llama", "Mistral", "Falcon"]


def test_falcon_7b_is_recorded_as_its_file_is_written() -> None:
    # the Hub file has 71 query heads, multi_query true and no num_kv_heads (sha256 of revision ec89142b67 on record)
    falcon = REGISTRY["Falcon-7B"]
    assert falcon.repository == "tiiuae/falcon-7b"
    assert falcon.revision.startswith("ec89142b67")
    assert falcon.config["multi_query"] is True
    assert falcon.config["new_decoder_architecture"] is False
    assert falcon.config["num_attention_heads"] == 71
    assert "num_kv_heads" not in falcon.config
    assert '"multi_query": true' in falcon.config_text


def test_null_is_recorded_as_null_and_absent_as_absent() -> None:
    # Mistral 7B Instruct v0.2 writes null; Llama-2 has no such key; v0.1 has 4096
    assert REGISTRY["Mistral-7B Instruct v0.2"].config["sliding_window"] is None
    assert "sliding_window" not in REGISTRY["Llama-2 7B"].config
    assert REGISTRY["Mistral-7B v0.1"].config["sliding_window"] == 4096


@pytest.mark.parametrize("name", REGISTRY)
def test_each_entry_says_where_and_when_it_was_read(name: str) -> None:
    model = REGISTRY[name]
    assert model.evidence in EVIDENCE
    assert len(model.source) > 8
    assert model.read >= datetime.date(2026, 11, 1)
    assert model.mirror != model.repository


@pytest.mark.parametrize("name", [name for name, model in REGISTRY.items() if model.evidence == "file"])
def test_a_file_proven_byte_for_byte_names_its_commit(name: str) -> None:
    assert re.fullmatch("[0-9a-f]{40}", REGISTRY[name].revision)


def test_a_gated_model_of_the_three_families_offers_a_mirror_where_one_is_known() -> None:
    assert REGISTRY["Llama-2 70B"].gated is True
    assert REGISTRY["Llama-2 70B"].mirror == "NousResearch/Llama-2-70b-hf"
    assert REGISTRY["Mistral-7B v0.3"].gated is None  # no source says


@pytest.mark.parametrize("field", ["name", "family", "repository", "gated", "revision", "config", "stated", "source"])
def test_a_missing_key_names_the_entry_and_the_field(field: str) -> None:
    entry = changed()
    del entry[field]
    with pytest.raises(RegistryError, match=rf"entry 7.*: {field} is missing"):
        parse_entry(entry, 7)


def test_an_unknown_key_names_the_entry_the_key_and_the_known_ones() -> None:
    with pytest.raises(RegistryError, match=r"entry 3 \(Tiny\): unknown key 'revison'.*Known keys: .*revision"):
        parse_entry(changed(revison="main"), 3)
    with pytest.raises(RegistryError, match=r"entry 1 \(Tiny\), field stated: unknown key 'heads'"):
        parse_entry(changed(stated={"kv_layers": 2, "heads": 2}))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "is '', must be a non-empty text"),
        ("repository", "no-owner", "must be a Hub id such as tiiuae/falcon-7b"),
        ("mirror", "two/slashes/here", "must be a Hub id"),
        ("gated", "yes", "is 'yes', must be true, false or unknown"),
        ("revision", "ec89142", "must be main or a commit of 40 hexadecimal digits"),
        ("evidence", "hearsay", "must be one of file, copy, part, transcribed"),
        ("config", {"num_hidden_layers": 2}, "with a model_type"),
        ("config", [1], "with a model_type"),
        ("read", "2026-11-22", "must be a date"),
        ("read", datetime.datetime(2026, 11, 22), "must be a date"),
        ("stated", 3, "must be keys and values"),
        ("stated", {"kv_layers": True}, "must be a whole number"),
        ("stated", {"kv_layers": 2, "head_dim": 8.0}, "must be a whole number"),
        ("stated", {"kv_layers": 2, "kind": "mla"}, "must be MLA or none"),
        ("unconfirmed", [], "must be a list of keys"),
    ],
)
def test_a_wrong_value_names_the_entry_the_field_and_what_it_must_be(field: str, value: object, words: str) -> None:
    with pytest.raises(RegistryError, match=rf"entry 1 .*field {field}.*") as caught:
        parse_entry(changed(**{field: value}))
    assert words in str(caught.value)


def test_an_unconfirmed_key_must_be_explained() -> None:
    with pytest.raises(RegistryError, match="needs a note"):
        parse_entry(changed(unconfirmed=["head_dim"]))


def test_an_entry_that_is_not_a_mapping_is_refused_by_its_place() -> None:
    with pytest.raises(RegistryError, match="entry 4: expected keys and values, found 'Falcon'"):
        parse_entry("Falcon", 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [", "cannot be read"),
        ("- a\n- b\n", "must hold one key, models"),
        ("models: []\nmore: 1\n", "must hold one key, models"),
    ],
)
def test_a_broken_file_is_a_registry_error(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "model_registry.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RegistryError, match=words):
        load_registry(tmp_path / "model_registry.yaml")


def test_a_file_that_is_not_there_or_not_utf8_is_a_registry_error(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be read"):
        load_registry(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"models: \xff")
    with pytest.raises(RegistryError, match="cannot be read"):
        load_registry(tmp_path / "latin.yaml")


@pytest.mark.parametrize("field", ["name", "repository"])
def test_two_entries_with_one_name_or_repository_are_refused(tmp_path: Path, field: str) -> None:
    twin = {"name": "Other", "repository": "someone/other"} | {field: VALID[field]}
    entries = "".join(f"  - {_as_flow(entry)}\n" for entry in (VALID, changed(**twin)))
    (tmp_path / "registry.yaml").write_text(f"models:\n{entries}", encoding="utf-8")
    with pytest.raises(RegistryError, match=f"two entries have the {field}"):
        load_registry(tmp_path / "registry.yaml")


def _as_flow(entry: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(entry, default_flow_style=True, width=10_000).strip()
