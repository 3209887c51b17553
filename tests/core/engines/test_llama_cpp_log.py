"""llama.cpp's own log beside our plan: two logs kept as data, and the command that makes them."""

import os
from pathlib import Path

import pytest

from benchmarks.llama_cpp_log import JOBS, logged, main, said

DATA = Path(__file__).parents[2] / "data" / "engines"
PYTHON = "HEADROOM_LLAMA_CPP_PYTHON"  # an interpreter with xllamacpp and gguf: benchmarks/llama_cpp_log.py says how
HEADER = {"block_count": 8, "context_length": 8192, "embedding_length": 64, "attention.head_count": 4,
          "attention.head_count_kv": 2, "attention.key_length": 32, "attention.value_length": 32}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("llama-2slots", [(8, 4096, "8.00")]),  # 8 layers x 2 slots x 2,048 cells x 2 heads x 64 x 2 bytes
        ("gemma3-shared", [(1, 8192, "2.00"), (7, 2560, "4.38")]),  # 4 x 512 + 512 cells on the layers that slide
    ],
)
def test_the_log_of_llama_cpp_build_11549_is_what_the_plan_says(name: str, lines: list[tuple[int, int, str]]) -> None:
    job = JOBS[name]
    metadata = {"general.architecture": job["arch"], **{f"{job['arch']}.{key}": value for key, value in HEADER.items()}}
    if job["arch"] == "gemma3":
        metadata["gemma3.attention.sliding_window"] = 512
    assert logged((DATA / f"llama_cpp_{name}.log").read_text()) == lines
    assert said(metadata, job) == lines


@pytest.mark.skipif(PYTHON not in os.environ, reason=f"set {PYTHON}; see python -m benchmarks.llama_cpp_log --help")
def test_llama_cpp_itself_logs_what_the_plan_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["llama_cpp_log", "--python", os.environ[PYTHON]])
    assert main() == 0
