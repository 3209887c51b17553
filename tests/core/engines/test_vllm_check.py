"""vLLM's own plan beside ours: a worker of another Python, stood in for by a script; the real one where it is named."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from core.engines import vllm_check
from core.engines.face import plan_cache
from core.engines.vllm_check import INTERPRETER, VllmCheckError, ask_vllm, compare, memory_for
from core.models.registry import load_registry
from core.models.spec import read_config
from tests.dashboard import ROOT

QWEN3_8B = {
    **next(known.config for known in load_registry() if known.name == "Qwen3 8B"),
    "architectures": ["Qwen3ForCausalLM"],
}
# What vLLM 0.33.0 itself answered for Qwen3 8B, 4,096 tokens and 40 GiB, asked without a GPU
ANSWER = {
    "version": "0.33.0", "block_size": 16, "groups": [["FullAttentionSpec", 36]], "num_blocks": 18_204,
    "request_bytes": 603_979_776, "capacity_tokens": 291_264, "max_concurrency": 71.109375, "stood_in": True,
}  # fmt: skip


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a Python that answers as told, and names it as the one with vLLM."""

    def write(body: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!{sys.executable}\nimport json, sys, time\n{body}\n", encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setenv(INTERPRETER, str(path))

    return write


def asked(**options):
    return ask_vllm(QWEN3_8B, context_length=4_096, available_bytes=40 * 2**30, **options)


def ours():
    return plan_cache(read_config(QWEN3_8B), engine="vllm", context_length=4_096, available_bytes=40 * 2**30)


def test_both_plans_are_equal_figure_by_figure(python):
    python(f"json.load(sys.stdin); print('a line of a log'); print({json.dumps(json.dumps(ANSWER))})")
    theirs = asked()
    figures = {figure.name: (figure.ours, figure.theirs) for figure in compare(ours(), theirs)}
    assert figures == {
        "Tokens of a block": (16, 16), "One request, bytes": (603_979_776, 603_979_776),
        "Requests at once": (71.109375, 71.109375), "Tokens of capacity": (291_264, 291_264), "Groups": (1, 1),
    }  # fmt: skip
    assert all(figure.equal for figure in compare(ours(), theirs))
    other = compare(ours(), replace(theirs, block_size=32))
    assert [figure.name for figure in other if not figure.equal] == ["Tokens of a block"]


def test_settings_go_in_vllm_s_own_arguments(python):
    python("asked = json.load(sys.stdin); print(json.dumps({'error': json.dumps(asked['settings'], sort_keys=True)}))")
    with pytest.raises(VllmCheckError, match=r'"kv_cache_dtype": "fp8", "tensor_parallel_size": 2'):
        asked(settings={"tensor_parallel": 2, "cache_type": "fp8"})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("json.load(sys.stdin); print(json.dumps({'error': 'ValueError: no'}))", "cannot be asked about this: ValueEr"),
        ("sys.exit(3)", "ended with exit code 3"),
        ("json.load(sys.stdin); print('no JSON')", "ended with exit code 0"),
    ],
)
def test_what_goes_wrong_is_said(python, body, words):
    python(body)
    with pytest.raises(VllmCheckError, match=words):
        asked()


def test_the_wait_ends_by_its_limit_and_by_a_cancel(python):
    python("time.sleep(60)")
    with pytest.raises(VllmCheckError, match="took longer than 0 s and was stopped"):
        asked(time_limit_seconds=0)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(VllmCheckError, match="cancelled"):
        asked(cancelled=cancelled)


def test_without_vllm_it_says_what_to_name(monkeypatch):
    monkeypatch.setenv(INTERPRETER, "/nowhere/python")
    with pytest.raises(VllmCheckError, match="HEADROOM_VLLM_PYTHON is '/nowhere/python'"):
        asked()
    monkeypatch.delenv(INTERPRETER)
    monkeypatch.setattr(vllm_check, "missing", lambda *_: "absent")
    with pytest.raises(VllmCheckError, match="name its Python in HEADROOM_VLLM_PYTHON"):
        asked()


def test_the_worker_says_that_its_python_has_none():
    command = [sys.executable, "-S", "-m", "core.engines.vllm_check_worker"]  # -S: no installed package
    question = json.dumps({"config": {}, "context_length": 1, "available_bytes": 1, "settings": {}})
    done = subprocess.run(command, input=question, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["error"].endswith("has no vllm")


def test_a_memory_holds_the_longest_request():
    assert memory_for(1) == 40 * 2**30
    assert memory_for(20 * 2**30) == 80 * 2**30


@pytest.mark.skipif(not os.environ.get(INTERPRETER), reason="no Python with vLLM is named")
def test_vllm_itself_answers_as_we_do():
    theirs = asked()
    assert theirs.request_bytes == ANSWER["request_bytes"]
    assert all(figure.equal for figure in compare(ours(), theirs))
