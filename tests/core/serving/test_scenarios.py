"""Scenarios side by side: figures by hand arithmetic, what moved against the first, and names in words."""

from dataclasses import fields

import pytest

from core.hardware.accelerators import find_accelerator
from core.serving.draft import Draft
from core.serving.job import ServingJob
from core.serving.measured import MeasuredMemory
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.offload import Offload
from core.serving.scenarios import (
    Measure,
    Scenario,
    difference_words,
    measure_words,
    moved_words,
    scenario_rows,
    scenario_words,
)
from core.serving.weights import ParameterCount
from core.serving.what_if import WindowPattern
from tests.core.serving.sizing_models import FALCON_7B

JOB = ServingJob(model=LLAMA_2_13B, batch_size=32, context_length=65_536, num_kv_heads=1, memory_reading="device")


def scenario(asked_kv_heads: int | None = None, **changes: object) -> Scenario:
    return Scenario(model_name="Llama-2 13B", job=JOB.where(**changes), asked_kv_heads=asked_kv_heads)


def measures(row):
    return {measure.label: measure for measure in row.measures}


def test_bytes_and_limits_are_the_plans():
    (row,) = scenario_rows([scenario()])
    found = measures(row)
    # 40 layers x 1 head x (128 + 128) x 65,536 tokens x 32 x 2 bytes
    assert found["Cache, payload"].value == found["Cache, as the engine takes it"].value == 42_949_672_960
    # 13,015,864,320 less 40 layers x K and V x 5,120 x 128 x 39 heads, x 2 bytes
    assert found["Weights"].value == (13_015_864_320 - 40 * 2 * 5_120 * 128 * 39) * 2 == 21_942_282_240
    assert found["Total on one accelerator"].value == 42_949_672_960 + 21_942_282_240 + 2_000_000_000
    # 81,559 MiB x 0.9 less weights and reserve hold 39 x 1,342,177,280 bytes, and 32 x 80,896 whole tokens and a rest
    left = 76_968_728_985 - 23_942_282_240
    assert found["Largest batch"].value == left // (40 * 256 * 65_536 * 2) == 39
    assert found["Longest context"].value == left // (40 * 256 * 32 * 2)
    assert found["Fewest accelerators"].value == 1
    assert row.verdict == "fits, 10.08 GB to spare"
    assert all(measure.difference is None and measure.ratio is None for measure in row.measures)


def test_what_moved_against_the_first():
    _, narrow, wide = scenario_rows([scenario(), scenario(kv_bits=8), scenario(asked_kv_heads=8, num_kv_heads=8)])
    halved = measures(narrow)["Cache, payload"]
    assert (halved.difference, halved.ratio) == (-21_474_836_480, 0.5)
    assert moved_words(halved) == "−21.47 GB, × 0.5"
    assert (measures(narrow)["Weights"].difference, moved_words(measures(narrow)["Weights"])) == (0, "as the first")
    assert (measures(wide)["KV heads G"].difference, measures(wide)["Cache, payload"].ratio) == (7, 8.0)
    assert measures(wide)["Largest batch"].value == 4
    assert moved_words(measures(wide)["Largest batch"]) == "−35, × 0.1026"
    assert wide.verdict == "does not fit, 291.30 GB are missing"
    assert (narrow.name, wide.name) == ("8-bit cache", "G = 8")


def test_where_nothing_fits_there_is_nothing_to_compare():
    _, small = scenario_rows([scenario(), scenario(accelerator="l4")])
    found = measures(small)["Largest batch"]
    assert (found.value, found.difference, measure_words(found), moved_words(found)) == (None, None, "none", "")


def test_what_has_no_limit_is_said_so():
    assert measure_words(Measure(label="x", unit="tokens", value=1_048_576, least=True)) == "at least 1,048,576 tokens"
    assert measure_words(Measure(label="x", unit="requests", value=1)) == "1 request"
    assert moved_words(Measure(label="x", unit="bytes", value=5, difference=5)) == "+5 B"  # the first has none


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "the same as the first"),
        ({"kv_bits": 8}, "8-bit cache"),
        ({"num_accelerators": 2}, "2 × H100 SXM5 80 GB"),
        ({"num_accelerators": 2, "tensor_parallel": 2}, "2 × H100 SXM5 80 GB, tensor parallel 2"),
        ({"batch_size": 1, "context_length": 4_096}, "1 request, 4,096 tokens"),
        ({"engine": "sglang"}, "SGLang"),
        ({"engine": "sglang", "engine_settings": (("prefix_caching", False),)}, "SGLang"),
        ({"engine_settings": (("max_batched_tokens", 4_096),)}, "other settings of Payload alone"),
        ({"weight_bits": 4}, "4-bit weights"),
        ({"weight_format": "nvfp4"}, "NVFP4 weights"),
        ({"num_kv_heads": 2}, "the same as the first"),  # which G fits follows from the rest, it was not asked for
        ({"asked_kv_heads": 2, "num_kv_heads": 2}, "G = 2"),
        (
            {"kv_bits": 4, "batch_size": 8, "context_length": 8, "block_size": 32, "memory_utilization": 0.8},
            "4-bit cache, 8 requests, 8 tokens and 2 more",
        ),
    ],
)
def test_a_name_says_what_differs(changes, words):
    assert difference_words(scenario(), scenario(**changes)) == words


def test_the_first_says_what_it_is_and_another_model_its_name():
    assert scenario_words(scenario()) == (
        "Llama-2 13B on one H100 SXM5 80 GB, 32 × 65,536 tokens, bf16 cache"
    )  # fmt: skip
    assert difference_words(scenario(), Scenario(model_name="Another", job=JOB)) == "Another"


DRAFT = Draft(method="draft_model", tokens=4, model=LLAMA_2_13B)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"shared_prefix": 4_096}, "4,096 tokens shared"),
        ({"draft": DRAFT}, "a plain draft, 4 tokens"),
        ({"offload": Offload(num_bytes=64 * 10**9, bandwidth_bytes_per_s=32e9)}, "64.0 GB of offload at 32 GB/s"),
    ],
)
def test_what_stands_beside_the_model_is_a_difference(changes, name):
    assert difference_words(scenario(), scenario(**changes)) == name
    assert difference_words(scenario(**changes), scenario(**changes)) == "the same as the first"


def test_no_field_of_a_job_differs_without_a_word():
    """A field that is added to ServingJob needs a word of its own here."""
    other = {
        "model": FALCON_7B, "batch_size": 33, "context_length": 65_537, "weight_bits": 8, "weight_format": "fp8",
        "kv_bits": 8, "kv_scale_overhead_bits": 16, "kv_elements_per_scale": 32, "accelerator": "h200-sxm",
        "num_accelerators": 2, "tensor_parallel": 2, "pipeline_parallel": 2, "data_parallel": 2,
        "expert_parallel": True, "memory_utilization": 0.8, "runtime_reserve_bytes": 3e9, "freed_parameters": "spent",
        "window_pattern": WindowPattern(global_layers=10, local_layers=30, window=1_024), "block_size": 16,
        "prefill_chunk": 4_096, "parameter_count": ParameterCount(total=1, source="typed", sentence="Typed in."),
        "engine": "vllm", "engine_settings": (("max_batched_tokens", 8_192),), "memory_reading": "server",
        "measured": MeasuredMemory(cache_bytes=1, beside_bytes=1), "draft": DRAFT, "shared_prefix": 16,
        "offload": Offload(num_bytes=1, bandwidth_bytes_per_s=32e9),
    }  # fmt: skip
    beside = {"num_kv_heads", "weight_file_bytes"}  # the G that was asked for, and the files of another model
    assert {field.name for field in fields(ServingJob)} == other.keys() | beside
    first = Scenario(model_name="Llama-2 13B", job=Changed(JOB))
    for name, value in other.items():
        changed = Scenario(model_name="Llama-2 13B", job=Changed(JOB, **{name: value}))
        assert difference_words(first, changed) != "the same as the first", name


class Changed:
    """A job with one field changed, whether or not it could be served so."""

    def __init__(self, job: ServingJob, **changes: object) -> None:
        self._job, self._changes = job, changes

    def __getattr__(self, name: str) -> object:
        if name == "device":
            return find_accelerator(str(self.accelerator))
        return self._changes[name] if name in self._changes else getattr(self._job, name)
