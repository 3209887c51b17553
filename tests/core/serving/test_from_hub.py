"""A repository to size, from a loopback Hub: the safetensors metadata first, else the architecture that is built."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.errors import SizingError
from core.models.hub.pulls import HubError
from core.serving.from_hub import fetch_hub_model
from tests.hub_server import COMMIT, HubServer

# A Llama of two layers. By hand: embeddings 2 x 64 x 32 = 4,096; a layer q, o 2 x 32 x 32, k, v 2 x 32 x 16,
# FFN 3 x 32 x 48 and two norms of 32: 2,048 + 1,024 + 4,608 + 64 = 7,744; the last norm 32
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 64,
    "tie_word_embeddings": False,
}
BY_HAND = 4_096 + 2 * 7_744 + 32


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with HubServer() as server:
        yield server


def test_the_count_is_the_hubs_own(hub: HubServer) -> None:
    hub.add("some/model", config=LLAMA, parameters={"BF16": 123_456})
    found = fetch_hub_model("some/model", endpoint=hub.url)
    assert (found.config, found.commit, found.count.total) == (LLAMA, COMMIT, 123_456)
    assert found.count.source == "safetensors"


def test_a_difference_from_the_config_is_said_and_counted_apart(hub: HubServer) -> None:
    hub.add("some/model", config=LLAMA, parameters={"BF16": BY_HAND + 100})
    count = fetch_hub_model("some/model", endpoint=hub.url).count
    assert count.sentence.endswith(f"Its config gives {BY_HAND:,} by rule: the files hold 100 more.")
    assert (count.total, count.parts["other"], sum(count.parts.values())) == (BY_HAND + 100, 100, BY_HAND + 100)
    hub.add("less/model", config=LLAMA, parameters={"BF16": BY_HAND - 64 * 32})
    less = fetch_hub_model("less/model", endpoint=hub.url).count
    assert less.sentence.endswith("the files hold 2,048 fewer.")
    assert (less.total, dict(less.parts)) == (BY_HAND - 64 * 32, {})
    hub.add("same/model", config=LLAMA, parameters={"BF16": BY_HAND})
    same = fetch_hub_model("same/model", endpoint=hub.url).count
    assert (same.source, same.embedding) == ("safetensors", 64 * 32)
    assert same.sentence.endswith("Its config gives the same by rule.")


@pytest.mark.parametrize("parameters", [None, {"I32": 999}], ids=["no metadata", "packed integers"])
def test_without_a_usable_count_the_config_is_counted(hub: HubServer, parameters: dict[str, int] | None) -> None:
    hub.add("some/model", config=LLAMA, parameters=parameters)
    count = fetch_hub_model("some/model", endpoint=hub.url).count
    assert (count.total, count.source) == (BY_HAND, "rule")


def test_a_gated_original_is_answered_by_its_mirror(hub: HubServer) -> None:
    hub.add("some/gated", fault="gated")
    hub.add("some/mirror", config=LLAMA, parameters={"F16": 7})
    found = fetch_hub_model("some/gated", "some/mirror", endpoint=hub.url)
    assert (found.repository, found.count.total) == ("some/mirror", 7)


def test_refusals_keep_their_kind(hub: HubServer) -> None:
    with pytest.raises(HubError) as caught:
        fetch_hub_model("some/nothing", endpoint=hub.url, timeout=1)
    assert caught.value.kind == "not_found"


@pytest.mark.torch
def test_what_cannot_be_built_is_refused(hub: HubServer) -> None:
    hub.add("some/unknown", config={"model_type": "no-such-type"})
    with pytest.raises(SizingError, match="could not be built"):
        fetch_hub_model("some/unknown", endpoint=hub.url, timeout=1)
