"""A config pasted where no Hub answers: every one that a rule counts gets its plan, with no count typed in."""

import gzip
import json
from collections import Counter
from typing import Any

import pytest

from core.errors import SizingError
from core.models.formats.document import read_document
from core.models.rules.facts import UnsupportedConfig
from core.parameters.formats import PUBLISHED
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.weights import analytic_count, typed_count
from tests.core.measured_cases import TESTS, measured_cases
from tests.core.models.formats.files import SAMPLES, as_bytes
from tests.core.parameters.test_by_rule import CASES

WORKER = "let count_parameters(config) build the architecture"


def verdict(config: dict[str, Any]) -> str | MemoryPlan:
    """The plan, or in words why there is none without more than the file."""
    try:
        spec = read_document(as_bytes(config))
        analytic_count(spec)
    except (UnsupportedConfig, SizingError) as error:
        return str(error)
    return plan(ServingJob(model=spec, batch_size=1, context_length=1_024, weight_format=PUBLISHED))


@pytest.mark.parametrize("part", range(4))
def test_every_config_gets_its_plan_or_goes_to_the_worker(part):
    plans = 0
    for case in CASES[part::4]:
        made = verdict(case["config"])
        if isinstance(made, str):  # to be built by the worker, or a cache that is not understood, said by name
            assert WORKER in made or "model_type is" in made, case["id"]
            continue
        assert made.parameters.total == case["truth"]["total"], case["id"]
        assert made.weight_bytes > 0
        plans += 1
    assert plans > len(CASES) // 4 * 0.7


def test_every_published_shape_gets_its_plan():
    published = [case for case in measured_cases() if "__real" in case["case"]]
    assert len(published) == 70
    made = {case["case"]: verdict(case["config"]) for case in published}
    said = {name: words for name, words in made.items() if isinstance(words, str)}
    assert said.keys() == {"zamba2__real_zamba2-1.2b"}
    assert WORKER in said["zamba2__real_zamba2-1.2b"]


# A config of transformers lies in these; the others say how a model attends and too little of the rest: a count from
# them took Meta's params.json of Llama-3.1 70B for 42 billion parameters and dropped the experts of Mixtral's.
WITH_A_CONFIG = {"config", "eagle", "mlc", "mtp", "quark", "speculator"}


def test_every_format_gets_its_plan_or_the_reason_why_its_parameters_are_not_known():
    made = {name: verdict(document) for name, document in SAMPLES.items()}
    said = {name: words for name, words in made.items() if isinstance(words, str)}
    assert made.keys() - said.keys() == WITH_A_CONFIG
    assert all(
        "too little to add up its parameters. Give an exact count: Parameters" in words for words in said.values()
    )
    for name in said:
        job = ServingJob(
            model=read_document(as_bytes(SAMPLES[name])), batch_size=1, context_length=1_024,
            parameter_count=typed_count(7_000_000_000),
        )  # fmt: skip
        assert plan(job).weight_bytes == 14_000_000_000, name


# Configs of published models, and others of their classes, that servers' planners were asked about
@pytest.mark.parametrize(
    ("file", "plans", "left"),
    [("vllm_cases", 56, {"zamba2"}), ("sglang_cases", 45, set())],
)
def test_every_config_that_an_engine_planned_gets_its_plan(file, plans, left):
    cases = json.loads(gzip.decompress((TESTS / "data" / "engines" / f"{file}.json.gz").read_bytes()))
    made = {
        json.dumps(case["config"], sort_keys=True): (case["config"]["model_type"], verdict(case["config"]))
        for case in cases
    }
    counts = Counter(isinstance(answer, MemoryPlan) for _, answer in made.values())
    assert counts[True] == plans
    assert {name for name, answer in made.values() if isinstance(answer, str) and WORKER in answer} == left
    assert counts[False] == len(left)
