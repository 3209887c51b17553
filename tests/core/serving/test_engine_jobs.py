"""Page's job and shell's JSON are the engines' own figures: a sample here, all by python -m benchmarks.engine_jobs."""

import json

import pytest

from benchmarks.engine_jobs import cases, differences
from core.__main__ import main


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp"])
def test_a_sample_of_the_stored_jobs_is_the_same_on_page_and_shell(engine: str):
    found = [differences(case) for case in cases(engine)[::17]]
    assert [wrong for wrong in found if wrong] == []
    assert found.count([]) * 2 >= len(found)


def test_the_shell_takes_a_server_s_memory_and_settings(capsys: pytest.CaptureFixture[str]):
    """vLLM 0.33's planner for Gemma-3 27B at 8,192 batched tokens in 40 GiB: 3.818 requests."""
    arguments = ["size", "Gemma-3 27B", "--engine", "vllm", "--cache-memory-gib", "40", "--json"]
    assert main([*arguments, "--setting", "max_batched_tokens=8192"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["engine_plan"]["request_bytes"] == 11_248_599_040
    assert said["engine_plan"]["max_concurrency"] == pytest.approx(3.818, abs=5e-4)
    assert main([*arguments, "--setting", "batched"]) == 2
    assert "is no KEY=VALUE" in json.loads(capsys.readouterr().out)["error"]
