"""Every CUDA path without a GPU: a wrong shape, dtype, device or name fails here. Numbers and speed need a GPU."""

from dataclasses import replace

import pytest
import torch

from core.decode import device as devices
from core.decode import gpu_check
from core.decode.inputs import Inputs
from core.decode.kernel import Kernel
from core.decode.kernels import all_kernels
from core.decode.measured_roofline import measure_roofline
from core.decode.plan import ELEMENT_BYTES, StepShape
from core.decode.run import Run, run_quietly
from tests.core.decode.fake_cuda import DEVICE, MILLISECONDS, fake_cuda

pytestmark = pytest.mark.torch

EXTRAS = {"triton_split_kv", "flash_attn", "flashinfer"}  # held in test_kernels_cuda.py and test_triton.py
ASKS_THE_DRIVER = "flex_attention"  # its uncompiled form looks for a GPU before any operator
EIGHT_BITS = {"cast_packed_rows", "compiled_cast_rows"}
JOBS = [
    pytest.param(job, id=f"{job.dtype}-{job.head_dim}{'-ragged' if job.lengths else ''}")
    for job in gpu_check.jobs("cuda")
]


def same_shape(output: torch.Tensor, expected: torch.Tensor) -> float:
    """In place of a relative error: what would be subtracted and compared, were there numbers."""
    assert output.device == expected.device == DEVICE
    difference = output.reshape(expected.shape).float() - expected
    assert (difference.dtype, difference.shape) == (torch.float32, expected.shape)
    return 0.0


@pytest.fixture(autouse=True)
def a_gpu(monkeypatch):
    for module in ("gpu_check", "run", "products"):
        monkeypatch.setattr(f"core.decode.{module}.relative_error", same_shape)
    for module in ("kernels", "kernels_cuda"):  # the compiler would look for a GPU to compile for
        monkeypatch.setattr(f"core.decode.{module}.compiled_for_these_shapes", lambda function: function)
    kernels = tuple(k for k in all_kernels("cuda") if k.name != ASKS_THE_DRIVER)
    monkeypatch.setattr("core.decode.gpu_check.all_kernels", lambda _type: kernels)
    with fake_cuda(monkeypatch):
        yield


@pytest.mark.parametrize("job", JOBS)
def test_every_kernel_answers_in_the_right_shape_as_a_graph_and_without(job):
    found = list(gpu_check.check_kernels(job, DEVICE))
    assert [f.line for f in found if f.outcome not in ("right", "unavailable")] == []
    names = {k.name for k in gpu_check.all_kernels("cuda")}
    assert len(found) == 3 * len(names)
    right = {f.what.split(",")[0] for f in found if f.outcome == "right"}
    assert all(f"{MILLISECONDS:.3f} ms" in f.detail for f in found if f.outcome == "right")
    whole = {"sequence_by_sequence"} if not job.lengths else {"split_k_flash", "compiled_rows", "compiled_cast_rows"}
    if job.dtype == "float8_e4m3fn":
        assert right == EIGHT_BITS - whole
    else:
        assert right == names - EXTRAS - EIGHT_BITS - whole


def wrong_shape(inputs: Inputs) -> object:
    return lambda: inputs.grouped_query() @ inputs.keys


def wrong_dtype(inputs: Inputs) -> object:
    return lambda: inputs.grouped_query().float() @ inputs.keys.transpose(2, 3) @ inputs.values


def wrong_device(inputs: Inputs) -> object:
    return lambda: inputs.query + inputs.lengths[:, None, None]


def wrong_name(inputs: Inputs) -> object:
    return lambda: torch.ops.aten._scaled_dot_product_flash_attention_for_gpu(inputs.query)


@pytest.mark.parametrize("prepare", [wrong_shape, wrong_dtype, wrong_device, wrong_name])
def test_a_planted_mistake_fails(monkeypatch, prepare):
    kernel = Kernel(name="planted", summary="", prepare=prepare)
    monkeypatch.setattr("core.decode.gpu_check.all_kernels", lambda _type: (kernel,))
    found = list(gpu_check.check_kernels(gpu_check.jobs("cuda")[0], DEVICE))
    assert [f.outcome for f in found] == ["failed"] * 3


@pytest.mark.parametrize("dtype", sorted(ELEMENT_BYTES))
def test_the_probes_measure_a_gpu(dtype):
    found = measure_roofline(DEVICE, dtype, 80 * 10**9)
    assert found.bytes_per_second >= 4 * 2**30 / (MILLISECONDS / 1e3)
    assert found.flops_per_second >= 2 * 4096**3 / (MILLISECONDS / 1e3)
    assert "our probe" not in found.detail


def test_the_device_says_what_it_is():
    assert devices.resolve("cuda") == DEVICE
    assert (devices.name_of(DEVICE), devices.free_bytes(DEVICE)) == ("A stand-in", 72 * 10**9)
    facts = devices.host_facts(DEVICE)
    assert (facts["compute_capability"], facts["memory_bytes"]) == ("9.0", str(85 * 10**9))


def test_a_whole_run_with_rounds_and_a_whole_step(monkeypatch):
    monkeypatch.setattr("core.decode.run.SAMPLES", (1, 1))
    monkeypatch.setattr("core.decode.rounds.ROUNDS", (2, 2))
    monkeypatch.setattr("core.decode.step.ROUNDS", (2, 2))
    monkeypatch.setattr("core.decode.model_check.check_against_transformers", lambda *_, **__: None)
    step = StepShape(num_layers=2, hidden_size=512, intermediate_size=1024, vocab_size=1000)
    kernels = ("packed_rows_sdpa", "split_k_flash")
    job = replace(gpu_check.jobs("cuda")[0], quick=True, step=step, kernels=kernels, seed=1, seconds_limit=600.0)
    record = run_quietly(Run(job))
    assert (record.status, record.message) == ("complete", "")
    assert {r.status for r in record.results} == {"accepted"}
    assert all(r.round_samples == (MILLISECONDS / 1e3,) * 2 for r in record.results)
    assert {s.kv_heads for s in record.steps} == {40, 8, 1}
    assert record.device == "cuda:0"
