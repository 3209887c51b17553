"""`headroom size owner/name` against a loopback Hub: what its file means, what it weighs, and what cannot be had."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.__main__ import main
from tests.hub_server import HubServer
from tests.hub_sized import sized_from

# Published files: Mixtral 8x7B as Mistral gives it, Llama 4 Scout as Meta does
MIXTRAL = {
    "dim": 4096, "n_layers": 32, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32, "n_kv_heads": 8,
    "norm_eps": 1e-5, "vocab_size": 32000, "moe": {"num_experts_per_tok": 2, "num_experts": 8},
}  # fmt: skip
LLAMA_4 = {
    "dim": 5120, "n_layers": 48, "n_heads": 40, "n_kv_heads": 8, "vocab_size": 202048, "ffn_exp": 1,
    "attention_chunk_size": 8192, "nope_layer_interval": 4, "moe_args": {"num_experts": 16},
}  # fmt: skip
UNKNOWN = {  # InternLM2, a class that transformers has not
    "model_type": "internlm2", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 92544,
}  # fmt: skip
Asked = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with sized_from(monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Asked:
    def ask(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = main(["size", *arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return ask


def test_a_file_that_says_too_little_is_not_counted(hub: HubServer, asked: Asked) -> None:
    """Mixtral has 46.7 billion parameters; without its experts the file gave 7.2."""
    hub.add("o/mixtral", files={"params.json": json.dumps(MIXTRAL).encode()})
    code, said = asked("o/mixtral")
    assert code == 2
    assert said["error"].startswith("The file says how params.json attends, and too little to add up its parameters")
    code, said = asked("o/mixtral", "--parameters", "46702792704", "--weight-bits", "16")
    assert (said["parameters"], said["weight_bytes"]) == (46_702_792_704, 93_405_585_408)
    hub.add("o/mixtral", files={"params.json": json.dumps(MIXTRAL).encode()}, parameters={"BF16": 46_702_792_704})
    code, said = asked("o/mixtral", "--weight-bits", "16")
    assert (said["parameters"], said["kv_heads"]) == (46_702_792_704, 8)


def test_the_hub_s_file_means_what_the_same_file_means_by_its_path(
    hub: HubServer, asked: Asked, tmp_path: Path
) -> None:
    """Of 48 layers every fourth keeps all 65,536 tokens, the other 36 the 8,192 of a chunk: 2 x 8 x 128 x 2 bytes."""
    kept = (12 * 65_536 + 36 * 8_192) * 2 * 8 * 128 * 2
    body = json.dumps(LLAMA_4).encode()
    hub.add("o/scout", files={"params.json": body})
    (tmp_path / "params.json").write_bytes(body)
    for name in ("o/scout", str(tmp_path / "params.json")):
        _, said = asked(name, "--context", "65536", "--parameters", "107000000000")
        assert said["kv_cache_bytes"] == kept == 4_429_185_024


def test_a_typed_count_needs_none_to_be_made(hub: HubServer, asked: Asked) -> None:
    """32 layers x 2 x 8 x 128 x 2 bytes a token; nothing builds the class, which transformers has not."""
    hub.add("o/internlm2", config=UNKNOWN)
    code, said = asked("o/internlm2", "--parameters", "7737708544", "--weight-bits", "16", "--context", "8192")
    assert (code, said["kv_cache_bytes"], said["weight_bytes"]) == (0, 8_192 * 131_072, 15_475_417_088)


def test_a_draft_of_the_hub_weighs_what_its_config_says(hub: HubServer, asked: Asked) -> None:
    draft = {**UNKNOWN, "model_type": "llama", "num_hidden_layers": 1, "architectures": ["LlamaForCausalLM"]}
    hub.add("o/draft", config={**draft, "tie_word_embeddings": False})
    _, said = asked("Qwen3 32B", "--draft", "o/draft", "--parameters", "32762123264")
    # embedding and head 2 x 92,544 x 4,096; q, o 2 x 4,096^2; k, v 2 x 4,096 x 1,024; FFN 3 x 4,096 x 14,336; 3 norms
    assert said["draft"]["parameters"] == 758_120_448 + 33_554_432 + 8_388_608 + 176_160_768 + 3 * 4_096


def test_what_does_not_read_is_said_by_its_field(hub: HubServer, asked: Asked) -> None:
    hub.add("o/float", config={**UNKNOWN, "model_type": "llama", "hidden_size": 4096.0})
    code, said = asked("o/float")
    assert code == 3
    assert said["error"].startswith("hidden_size is 4096.0: a whole number is expected")


def test_an_older_copy_says_that_it_is_one(hub: HubServer, asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    known = {**UNKNOWN, "model_type": "llama"}
    hub.add("o/a", config=known)
    _, said = asked("o/a")
    assert said["remarks"] == []
    hub.add("o/a", config=known, fault="server_error")
    _, said = asked("o/a")
    (remark,) = said["remarks"]
    assert re.fullmatch(
        r"Read from the copy of \d{4}-\d\d-\d\d \d\d:\d\d UTC \(commit 0123456\): "
        r"The Hub answered 500 for o/a\. Try again later\.",
        remark,
    )
    main(["size", "o/a"])
    assert f"  note: {remark}\n" in capsys.readouterr().out


@pytest.mark.parametrize("page", ["tree/v2", "blob/v2/config.json", "resolve/v2/config.json"])
def test_an_address_is_sized_at_the_revision_that_it_names(hub: HubServer, asked: Asked, page: str) -> None:
    """Both the file and what its weights hold: 8,030,261,248 at v2."""
    hub.add("o/a", config={**UNKNOWN, "model_type": "llama"}, commit="v2", parameters={"BF16": 8_030_261_248})
    _, said = asked(f"https://huggingface.co/o/a/{page}")
    assert said["parameters"] == 8_030_261_248
    assert {request.path for request in hub.asked} == {"/o/a/resolve/v2/config.json", "/api/models/o/a/revision/v2"}


def test_an_address_that_gives_nothing_has_the_names_near_its_repository(hub: HubServer, asked: Asked) -> None:
    code, said = asked("https://huggingface.co/nobody/Qwen3-32B-fine/blob/main/config.json")
    assert code == 3
    assert "The Hub shows no nobody/Qwen3-32B-fine" in said["error"]
    assert "Closest in the registry: Qwen3 32B" in said["error"]
