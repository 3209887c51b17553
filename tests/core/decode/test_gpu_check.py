"""The GPU check on a CPU, small: a kernel that fails is a line of its page, and the run is written beside it."""

from dataclasses import replace

import pytest
import torch

from core.decode import gpu_check
from core.decode.__main__ import EXIT_INVALID, main
from core.decode.kernel import Kernel, reference
from core.decode.plan import StepShape
from core.decode.record_files import from_json

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
SMALL = tuple(
    replace(job, context_length=64, lengths=(64, 1, 33, 17) if job.lengths else (), kv_heads=(8, 1), num_query_heads=8,
            device="cpu")
    for job in gpu_check.jobs("cuda")
)  # fmt: skip


def broken(_inputs):
    raise RuntimeError("an illegal memory access was encountered")


def test_every_kind_of_cache_is_among_the_jobs():
    asked = [(job.dtype, job.head_dim, bool(job.lengths)) for job in gpu_check.jobs("cuda")]
    assert len(set(asked)) == 8
    assert {dtype for dtype, _, _ in asked} == {"bfloat16", "float16", "float8_e4m3fn"}
    assert {dim for _, dim, _ in asked} == {128, 64}
    assert sum(ragged for _, _, ragged in asked) == 2


def test_a_kernel_that_fails_is_a_line_and_the_run_is_written(monkeypatch, tmp_path):
    kernels = (
        Kernel(name="broken", summary="", prepare=broken),
        Kernel(name="off", summary="", prepare=lambda i: lambda: reference(i) * 1.5),
        Kernel(name="fine", summary="", prepare=lambda i: lambda: reference(i)),
    )
    for module in ("gpu_check", "run"):
        monkeypatch.setattr(f"core.decode.{module}.all_kernels", lambda _type: kernels)
    roofline = gpu_check.measure_roofline(CPU, "float32", 2**28)
    for module in ("gpu_check", "run"):
        monkeypatch.setattr(f"core.decode.{module}.measure_roofline", lambda *_: replace(roofline, product_by=""))
    monkeypatch.setattr(gpu_check, "STEP", StepShape(num_layers=1, hidden_size=32, intermediate_size=32, vocab_size=32))
    monkeypatch.setattr("core.decode.rounds.ROUNDS", (1, 1))
    monkeypatch.setattr("core.decode.step.ROUNDS", (1, 1))
    page = gpu_check.check_everything(tmp_path / "out", CPU, SMALL[:1], seconds=60.0)
    said = page.read_text()
    assert "- **failed** broken, bfloat16, head_dim 128, G = 8: RuntimeError: an illegal memory access" in said
    assert "- **wrong** off, bfloat16, head_dim 128, G = 1: launch by launch: relative error 5.0e-01" in said
    assert "- **right** fine, bfloat16, head_dim 128, G = 1: " in said
    assert "## What failed: 4" in said
    record = from_json((tmp_path / "out" / "run.json").read_text())
    assert sorted(record.best()) == [1, 8]


def test_what_the_time_does_not_suffice_for_is_left_out_and_what_is_known_is_told(monkeypatch):
    kernels = (
        Kernel(name="off", summary="", prepare=lambda i: lambda: reference(i) * 1.5),
        Kernel(name="late", summary="", prepare=lambda i: lambda: reference(i)),
    )
    monkeypatch.setattr(gpu_check, "all_kernels", lambda _type: kernels)
    clock = iter([0.0, 2.0, 2.0])  # the time is used while the first kernel is checked
    monkeypatch.setattr(gpu_check.time, "monotonic", lambda: next(clock))
    found = [(one.outcome, one.what) for one in gpu_check._checks(CPU, SMALL[:2], until=1.0)]
    assert found == [
        ("wrong", "off, bfloat16, head_dim 128, G = 8"),
        ("left out", "the rest of bfloat16, head_dim 128"),
        ("left out", "float16, head_dim 128"),
    ]


def test_without_a_gpu_the_command_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["gpu-check", "--out", str(tmp_path / "o")]) == EXIT_INVALID
    assert "torch sees no GPU here" in capsys.readouterr().err
