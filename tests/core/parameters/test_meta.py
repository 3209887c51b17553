"""The worker process: what it counts, what it refuses, what is kept, and that it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.api import count_parameters
from core.errors import SizingError
from core.models.rules.facts import UnsupportedConfig
from core.parameters import count_by_rule, count_if_kept, count_on_meta_device, kept_answers, meta, stop_worker

FALCON_7B = {
    "model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
    "vocab_size": 65024, "multi_query": True, "new_decoder_architecture": False, "parallel_attn": True,
    "bias": False, "alibi": False,
}  # fmt: skip
MIXTRAL = {
    "model_type": "mixtral", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "head_dim": 16,
    "num_key_value_heads": 2, "num_local_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 40,
    "vocab_size": 100,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _ended():
    yield
    stop_worker()


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_CACHE_DIR", str(tmp_path))


@pytest.mark.torch
def test_falcon_7b() -> None:
    """6,921,720,704: the count published for tiiuae/falcon-7b, whose output matrix is the input embedding's."""
    count = count_on_meta_device(FALCON_7B)
    assert (count.total, count.tied, count.head) == (6_921_720_704, True, 0)
    assert count.source == "meta device"
    assert count.sentence.startswith("FalconForCausalLM of transformers 5.")


@pytest.mark.torch
def test_experts_are_told_apart_as_a_rule_tells_them() -> None:
    built, ruled = count_on_meta_device(MIXTRAL), count_by_rule(MIXTRAL)
    assert dict(built.parts) == dict(ruled.parts)
    assert built.expert_groups == ruled.expert_groups
    assert (built.total, built.active, built.routed_experts) == (ruled.total, ruled.active, ruled.routed_experts)


@pytest.mark.torch
def test_biases_are_told_apart_as_a_rule_tells_them() -> None:
    config = {**MIXTRAL, "model_type": "gpt_oss", "num_local_experts": 4}
    built, ruled = count_on_meta_device(config), count_by_rule(config)
    # 2 layers: 4 experts of gate, up and down; Q, output and a sink a head; K and V; the router's own
    assert built.biases == {
        "routed_experts": 2 * 4 * (2 * 40 + 64), "attention": 2 * (64 + 64 + 4), "kv_projections": 2 * 2 * 32,
        "routers": 2 * 4,
    }  # fmt: skip
    assert {part: built.biases[part] for part in ruled.biases} == ruled.biases


@pytest.mark.torch
def test_a_padded_head_counts_as_the_checkpoint_holds_it() -> None:
    """Inkling-2: transformers 5.24 builds a head of unpadded_vocab_size rows (200,058 by default) of any file."""
    config = {
        "model_type": "inkling2_text", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "vocab_size": 100, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 32,
    }  # fmt: skip
    count = count_on_meta_device(config)
    assert (count.head, count.embedding) == (100 * 64, 100 * 64)


@pytest.mark.torch
def test_an_answer_is_kept_by_what_shapes_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {**MIXTRAL, "vocab_size": 101}
    assert count_if_kept(config) is None
    built = count_on_meta_device(config)
    monkeypatch.setattr("core.parameters.meta._WORKER", None)  # nothing is asked again
    assert count_on_meta_device({**config, "torch_dtype": "float16", "transformers_version": "4"}) == built
    assert count_if_kept({**config, "vocab_size": 102}) is None


def test_the_folder_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kept_answers, "MAX_FILES", 3)
    for number in range(9):
        kept_answers.keep_answer({"number": number}, {"total": number})
    assert len(list((tmp_path / "parameters").iterdir())) == 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"total": 1}', "nonsense"])
def test_a_broken_file_is_as_none(text: str, tmp_path: Path) -> None:
    kept_answers.keep_answer(MIXTRAL, {"total": 1})
    next((tmp_path / "parameters").iterdir()).write_text(text)
    assert count_if_kept(MIXTRAL) is None


@pytest.mark.torch
def test_an_unknown_type_is_refused_with_the_reason() -> None:
    with pytest.raises(SizingError, match=r"model_type is 'no-such-model', which transformers .* does not know"):
        count_parameters({"model_type": "no-such-model"})


@pytest.mark.torch
def test_the_process_is_ended_when_its_time_is_over_and_starts_again() -> None:
    stop_worker()  # one that runs already may have answered before this process is given a core again
    with pytest.raises(SizingError, match=r"took more than 0\.001 s\. Type a parameter count instead"):
        count_on_meta_device({**MIXTRAL, "vocab_size": 103}, timeout_seconds=0.001)
    assert count_on_meta_device({**MIXTRAL, "vocab_size": 103}).embedding == 103 * 64


@pytest.mark.torch
def test_a_process_that_ended_of_itself_leaves_no_pipe_open() -> None:
    count_on_meta_device({**MIXTRAL, "vocab_size": 105})
    process = meta._WORKER._process
    assert process is not None
    assert process.stdin is not None
    process.kill()
    process.wait()
    assert count_on_meta_device({**MIXTRAL, "vocab_size": 106}).embedding == 106 * 64
    assert process.stdin.closed
    assert meta._WORKER._process is not process


@pytest.mark.torch
def test_a_config_that_is_no_json_is_refused() -> None:
    with pytest.raises(SizingError, match="could not be built"):
        count_on_meta_device({"model_type": "llama", "hidden_size": object()})


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.host.packages.find_spec", lambda _name: None)
    with pytest.raises(SizingError, match="Building the architecture needs torch and transformers, which are not inst"):
        count_on_meta_device({**MIXTRAL, "vocab_size": 104})


@pytest.mark.parametrize("config", [None, [], "llama", 7, {}, {"model_type": None}, {"model_type": ["llama"]}])
def test_what_is_no_config_is_refused(config: object) -> None:
    with pytest.raises(UnsupportedConfig):
        count_parameters(config)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "beam", "num_hidden_layers": 10**9},
        {"model_type": "whisper", "encoder_layers": 10**9},
        {"model_type": "mllama", "text_config": {"num_hidden_layers": 10**9}},
        {"model_type": "zaya", "hidden_size": 10**30},
    ],
)
def test_numbers_that_no_model_has_never_reach_the_process(
    config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.parameters.meta._WORKER", None)
    with pytest.raises(UnsupportedConfig, match="no model has more than"):
        count_parameters(config)


def test_the_public_face_brings_in_neither_torch_nor_transformers() -> None:
    script = "import json, sys, core.api; print(json.dumps([m for m in sys.modules if m in ('torch', 'transformers')]))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []
