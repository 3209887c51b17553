"""model_registry.yaml itself, and the loader that refuses what is misspelt, missing or of the wrong type."""

import copy
import datetime
import re
from pathlib import Path
from typing import Any

import pytest

from core.models.attention import GroupedAttention, Layer, ParallelLayer
from core.models.registry import EVIDENCE, RegistryError, load_registry, parse_entry
from core.models.spec import read_config

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
    assert len(REGISTRY) == 106
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


@pytest.mark.parametrize(
    ("name", "tokens"),
    [("Qwen2.5 14B", 131_072), ("SmolLM3 3B", 65_536), ("Nemotron-H 8B", 8_192), ("Nemotron-3-Nano 30B-A3B", 262_144),
     ("MiMo-V2-Flash", 262_144)],
)  # fmt: skip
def test_a_context_is_the_checkpoint_s_where_its_class_has_another(name: str, tokens: int) -> None:
    # the classes' defaults: 32,768, 32,768, 4,096, 4,096 and 131,072; the sources stand with the entries
    assert read_config(REGISTRY[name].config).dimensions.max_context_length == tokens


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


def attention_of(layer: Layer) -> Layer:
    return layer.attention if isinstance(layer, ParallelLayer) else layer


@pytest.mark.parametrize("name", REGISTRY)
def test_the_reader_finds_in_each_entry_what_its_sources_state(name: str) -> None:
    stated, spec = REGISTRY[name].stated, read_config(REGISTRY[name].config)
    grouped = [layer for layer in map(attention_of, spec.layers) if isinstance(layer, GroupedAttention)]
    assert sum(layer.cached_elements(1) > 0 for layer in spec.layers) == stated.kv_layers
    if stated.kind is not None:
        assert spec.kind == stated.kind
        return
    if not grouped:  # DeepSeek-V4 compresses in every layer: one key that is the value too
        assert (spec.kind, stated.kv_heads) == ("MQA", 1)
        return
    # where layers differ (Gemma-4), the sources state the first, most frequent kind
    assert grouped[0].num_kv_heads == stated.kv_heads
    assert stated.head_dim in (None, grouped[0].head_dim)


UNIFORM = [
    name
    for name, model in REGISTRY.items()
    if model.stated.kind is None and model.stated.head_dim is not None and name != "Gemma-4 26B-A4B"
]


@pytest.mark.parametrize("name", UNIFORM)
def test_bytes_per_token_follow_from_what_the_sources_state(name: str) -> None:
    stated = REGISTRY[name].stated
    assert stated.kv_heads is not None
    assert stated.head_dim is not None
    # keys and values x layers x heads x width x 2 bytes
    expected = 2 * stated.kv_layers * stated.kv_heads * stated.head_dim * 2
    assert read_config(REGISTRY[name].config).kv_bytes_per_token() == expected


@pytest.mark.parametrize(
    ("name", "kind", "per_token"),
    [
        ("Falcon-7B", "MQA", 8_192),  # 32 layers x 1 head x 64 x 2 x 2 bytes
        ("Falcon-40B", "GQA", 122_880),  # 60 x 8 x 64 x 4
        ("Falcon-180B", "GQA", 163_840),  # 80 x 8 x 64 x 4
        ("Llama-1 7B", "MHA", 524_288),  # 32 x 32 x 128 x 4
        ("Llama-2 13B", "MHA", 819_200),  # 40 x 40 x 128 x 4
        ("Llama-2 70B", "GQA", 327_680),  # 80 x 8 x 128 x 4
        ("Mistral-7B v0.1", "GQA", 131_072),  # 32 x 8 x 128 x 4
        ("Gemma-3 4B", "GQA", 139_264),  # head counts absent: class defaults 4 x 256; 34 x 4 x 256 x 4
        ("DeepSeek-V3", "MLA", 70_272),  # 61 x (512 + 64) x 2
        ("Gemma-4 26B-A4B", "GQA", 225_280),  # 25 x 8 x 256 x 4 + 5 x 2 x 512 x 4
        ("Qwen3-Next 80B-A3B", "GQA", 24_576),  # 12 of 48 layers x 2 x 256 x 4
        ("Jamba v0.1", "GQA", 16_384),  # 4 of 32 layers x 8 x 128 x 4
        ("Gemma-3n E4B", "GQA", 40_960),  # 20 of 35 layers x 2 x 256 x 4; the others reuse a cache
        ("Nemotron Super 49B v1", "GQA", 200_704),  # 49 of 80 layers x 8 x 128 x 4
        ("StarCoder 15.5B", "MQA", 20_480),  # 40 x 1 x 128 x 4, by multi_query: true
        ("ChatGLM3-6B", "GQA", 28_672),  # 28 x 2 x 128 x 4, in spite of multi_query_attention: true
        ("MiMo-V2-Flash", "GQA", 222_720),  # 9 x 4 x (192 + 128) x 2 and 39 of a window x 8 x (192 + 128) x 2
        ("Nemotron-3-Nano 30B-A3B", "GQA", 6_144),  # 6 of 52 layers x 2 x 128 x 4
        ("Kimi-K3", "MLA", 27_648),  # 24 of 93 layers x (512 + 64) x 2
        ("Qwen3.8-Flash-Next", "GQA", 24_576),  # 12 of 48 layers x 2 x 256 x 4, and 12 index keys of 128 beside
        ("Step-3.5-Flash", "GQA", 184_320),  # 45 x 8 x 128 x 4; 33 of them keep 512 tokens
        ("MiniMax-M3", "GQA", 122_880),  # 60 x 4 x 128 x 4, and 57 index keys of 128 beside
        ("Mamba-Codestral 7B", "none", 0),
    ],
)
def test_kind_and_bytes_of_the_models_that_other_calculators_get_wrong(name: str, kind: str, per_token: int) -> None:
    spec = read_config(REGISTRY[name].config)
    assert (spec.kind, spec.kv_bytes_per_token()) == (kind, per_token)


def test_the_line_that_declares_g_is_the_one_of_the_file() -> None:
    def declared(name: str) -> str:
        return str(read_config(REGISTRY[name].config).declared_kv_heads)

    assert declared("Falcon-7B") == "multi_query: true"
    assert declared("Falcon-40B") == "num_kv_heads: 8"
    assert declared("Llama-1 7B") == "absent"
    assert declared("Gemma-3 27B") == "text_config.num_key_value_heads: 16"
    assert declared("DBRX") == "attn_config.kv_n_heads: 8"
    assert declared("ChatGLM3-6B") == "multi_query_group_num: 2"


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
