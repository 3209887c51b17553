"""A config pasted where no Hub answers: every one that a rule counts gets its plan, with no count typed in."""

import json
from typing import Any

import pytest

from core.errors import SizingError
from core.models.formats.document import read_document
from core.models.rules.facts import UnsupportedConfig
from core.parameters.formats import PUBLISHED
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.weights import analytic_count
from tests.core.parameters.test_by_rule import CASES


def verdict(config: dict[str, Any]) -> str | MemoryPlan:
    """The plan, or in words why there is none without more than the file."""
    try:
        spec = read_document(json.dumps(config).encode())
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
            assert "let count_parameters(config) build the architecture" in made or "model_type is" in made, case["id"]
            continue
        assert made.parameters.total == case["truth"]["total"], case["id"]
        assert made.weight_bytes > 0
        plans += 1
    assert plans > len(CASES) // 4 * 0.7
