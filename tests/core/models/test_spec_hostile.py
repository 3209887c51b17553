"""Files made to break a reader, and mutations of good ones: UnsupportedConfig or the right figure, nothing else."""

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.models.rules.file_bytes import MAX_BYTES
from core.models.spec import UnsupportedConfig, load_config, read_config
from tests.core.measured_cases import hostile_files, measured_cases


@pytest.mark.parametrize("file", hostile_files(), ids=lambda file: str(file["name"]))
def test_hostile_file(file: dict[str, Any]) -> None:
    try:
        bytes_read = read_config(load_config(file["data"])).kv_cache_bytes(context_length=file["seq"])
    except UnsupportedConfig as error:
        assert file["expect"] != "reading", str(error)  # noqa: PT017 - which outcome is right stands in the file
        assert 30 < len(str(error)) < 500  # noqa: PT017
        str(error).encode("utf-8")
        return
    assert file["expect"] != "error"
    assert bytes_read == file["kv_bytes_per_token"] * file["seq"]


def test_a_file_of_30_mb_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(UnsupportedConfig, match=r"30,000,013 bytes and the limit is 4,194,304"):
        load_config(b'{"unused": "' + b"x" * 30_000_000 + b'"')


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON: Expecting value at line 1, column 1"),
        (b"{", "not JSON"),
        (b"[1, 2]", "holds a list"),
        (b"[" * 200, "more than 100 levels deep"),
        (b'{"a": "' + b'\\"' * 1_000_000, "not JSON"),  # escaped quotes without an end: linear, not quadratic
        (b'"' * 1_000_001, "not JSON"),
        (b"\xff\xfe{", "not valid UTF-16 text"),
        (b"\x80", "not valid UTF-8 text: byte 0"),
        (b"\x89PNG\r\n", "a picture, an archive or weights"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><title>Sign in</title>", "not JSON"),
    ],
)
def test_bytes_that_are_no_config(data: bytes, message: str) -> None:
    with pytest.raises(UnsupportedConfig, match=message):
        load_config(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_editors_write(encoding: str) -> None:
    text = '{"model_type": "llama", "_name_or_path": "模型", "rms_norm_eps": Infinity}'
    assert load_config(text.encode(encoding)) == {
        "model_type": "llama",
        "_name_or_path": "模型",
        "rms_norm_eps": math.inf,
    }


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    data = json.dumps({"model_type": "llama", "chat_template": "{" * 5_000}).encode()
    assert len(load_config(data)["chat_template"]) == 5_000
    assert len(data) < MAX_BYTES


@pytest.mark.parametrize("config", [None, 3, "llama", [], [{"model_type": "llama"}], math.nan])
def test_what_is_no_mapping_is_refused(config: Any) -> None:
    with pytest.raises(UnsupportedConfig, match="not a JSON object"):
        read_config(config)


def test_an_error_shows_markup_as_text_and_shortens_it() -> None:
    hostile = "<script>alert(1)</script>![x](http://a.b)`rm`" + "y" * 10_000
    with pytest.raises(UnsupportedConfig) as caught:
        read_config({"model_type": "llama", "hidden_size": hostile})
    message = str(caught.value)
    assert len(message) < 300
    assert not set(message) & set("<>`[]")
    assert "hidden_size" in message


UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
junk = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2, 3, 7, 9_999, 10_001, 10**9, 10**30, -(10**30)]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["auto", "8", "full_attention", "M*-E", "\ud800", "multiquery_attention"]),
    st.lists(st.one_of(st.none(), st.integers(), st.booleans(), st.text(max_size=5)), max_size=8),
    st.sampled_from([["full_attention"] * 6, [[["global", "local"], 3]], [[["g"], 10**9]], [True] * 6, [10**12]]),
    st.dictionaries(st.sampled_from(["0", "5", "99", "head_dim", "attention", "attn_type"]), st.integers(-1, 9)),
)
configs = [case["config"] for case in measured_cases()]
KEYS = sorted({key for config in configs for part in (config, config.get("text_config")) for key in part or ()})
MORE_KEYS = [
    "per_layer_config", "block_configs", "hybrid_override_pattern", "linear_attn_config", "sparse_attention_config",
    "llm_config", "language_config", "thinker_config", "attention_types", "auto_map", "kv_source_layers", "dim",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A good config with one to three keys removed, replaced by junk, or by a copy of the whole."""
    config = copy.deepcopy(draw(st.sampled_from(configs)))
    for _ in range(draw(st.integers(1, 3))):
        nested = [value for value in config.values() if isinstance(value, dict)]
        target = draw(st.sampled_from([config, *nested]))
        key = draw(st.sampled_from(sorted(target) or ["x"]) | st.sampled_from(KEYS + MORE_KEYS))
        action = draw(st.integers(0, 7))
        if action == 0:
            target.pop(key, None)
        else:
            target[key] = copy.deepcopy(config) if action == 1 else draw(junk)
    return config


def read_or_refuse(config: Any) -> None:
    try:
        spec = read_config(config)
    except UnsupportedConfig as error:
        str(error).encode("utf-8")
        assert len(str(error)) < 700  # noqa: PT017
        return
    size = spec.kv_cache_bytes(context_length=100)
    assert isinstance(size, int)
    assert size >= 0
    assert str(spec.declared_kv_heads).encode("utf-8")
    for item in spec.provenance:
        assert (item.value + item.sentence).encode("utf-8")


@settings(UNHURRIED, max_examples=600)
@given(mutated())
def test_mutations_of_good_configs_raise_nothing_else(config: dict[str, Any]) -> None:
    read_or_refuse(config)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS + MORE_KEYS), inner, max_size=6),
    max_leaves=25,
)
model_types = st.sampled_from(
    sorted({str(config.get("model_type")) for config in configs} | {"chatglm", "openelm", "deci"})
)


@settings(UNHURRIED, max_examples=400)
@given(st.dictionaries(st.sampled_from(KEYS + MORE_KEYS), json_values, max_size=12), model_types)
def test_arbitrary_mappings_raise_nothing_else(config: dict[str, Any], model_type: str) -> None:
    read_or_refuse(config)
    read_or_refuse({**config, "model_type": model_type})
