"""MPS and XPU without either: torch's FakeTensorMode holds shapes, dtypes and devices, stand-ins count the waiting."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads
from torch._subclasses import fake_tensor

from core.decode import device as devices
from core.decode.gpu_check import jobs
from core.decode.plan import ACCELERATORS, InvalidJob
from core.decode.run import Run, run_quietly
from tests.core.decode.fake_cuda import ByOperator, Mode

pytestmark = pytest.mark.torch

PLAIN = {"sdpa_enable_gqa", "repeat_kv", "packed_rows_sdpa", "packed_rows_matmul"}


@pytest.fixture(params=ACCELERATORS)
def accelerator(request, monkeypatch):
    """The device, with how often it was waited for."""
    device, waited = torch.device(request.param, 0), []
    with Mode():
        torch.zeros(2) + 1  # what torch loads for this mode is loaded before anything stands in
    stand_ins: dict[tuple[Any, str], Any] = {
        (torch.accelerator, "current_accelerator"): lambda check_available: device,
        (torch.accelerator, "current_device_index"): lambda: 0,
        (torch.accelerator, "synchronize"): waited.append,
        (torch.accelerator, "empty_cache"): lambda: None,
        (torch.accelerator, "get_memory_info"): lambda _device: (20 * 10**9, 24 * 10**9),
        (torch.mps, "recommended_max_memory"): lambda: 21 * 10**9,
        (torch.mps, "driver_allocated_memory"): lambda: 10**9,
        (torch.xpu, "get_device_name"): lambda _device: "A stand-in",
        (torch.xpu, "get_device_properties"): lambda _device: SimpleNamespace(has_fp64=True),
        (devices, "generator"): lambda _device, seed: torch.Generator().manual_seed(seed),
        (F, "scaled_dot_product_attention"): by_its_rule,  # a CPU build asks which way this device goes, and stops
        (fake_tensor, "CONSTANT_NUMEL_LIMIT"): 1024,
    }
    for (module, name), stand_in in stand_ins.items():
        monkeypatch.setattr(module, name, stand_in)
    with Mode(), ByOperator():
        yield device, waited


def by_its_rule(query, keys, values, attn_mask=None, *, scale, enable_gqa=False):
    rule = torch.ops.aten._scaled_dot_product_attention_math
    return rule(query, keys, values, attn_mask, scale=scale, enable_gqa=enable_gqa)[0]


def test_an_accelerator_is_found_by_name_and_asked_for_its_memory(accelerator):
    device, _ = accelerator
    assert devices.resolve(device.type) == device
    assert devices.free_bytes(device) == 18 * 10**9
    assert devices.name_of(device).endswith("A stand-in" if device.type == "xpu" else "its GPU")
    assert devices.cache_bytes_of(device) == 0


def test_another_accelerator_than_the_one_here_is_refused(accelerator):
    device, _ = accelerator
    other = next(name for name in ACCELERATORS if name != device.type)
    with pytest.raises(InvalidJob, match=f"is {other}, and the accelerator that torch sees here is {device.type}"):
        devices.resolve(other)


@pytest.mark.parametrize("name", ACCELERATORS)
def test_without_an_accelerator_the_refusal_says_so(monkeypatch, name):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    with pytest.raises(InvalidJob, match=f"device is {name}, and the accelerator that torch sees here is none"):
        devices.resolve(name)


def test_a_call_is_timed_from_idle_to_idle(accelerator):
    device, waited = accelerator
    seen: list[int] = []
    devices.time_once(device, lambda: seen.append(len(waited)))
    assert (seen, waited) == ([1], [device, device])


def test_a_run_measures_sdpa_and_packed_rows(accelerator, monkeypatch):
    device, waited = accelerator

    def same_shape(output: torch.Tensor, expected: torch.Tensor) -> float:
        assert output.device == expected.device == device
        assert (output.reshape(expected.shape).float() - expected).dtype == torch.float32
        return 0.0

    monkeypatch.setattr("core.decode.run.relative_error", same_shape)
    monkeypatch.setattr("core.decode.run.SAMPLES", (1, 1))
    monkeypatch.setattr("core.decode.rounds.ROUNDS", (1, 1))
    job = replace(jobs("cuda")[0], device=device.type, quick=True, kv_heads=(8,), seed=1, seconds_limit=600.0)
    record = run_quietly(Run(job))
    assert {r.kernel for r in record.results if r.status == "accepted"} == PLAIN
    assert {r.kernel for r in record.results if r.status == "unavailable"} == {"cast_packed_rows"}
    assert record.device == f"{device.type}:0"
    assert len(waited) > 2 * len(PLAIN)
