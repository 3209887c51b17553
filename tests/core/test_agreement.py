"""The page, the shell and the API give one answer: every registered model on four accelerators at three contexts."""

import pytest

from core.command.size import answer_of
from core.models.registry import load_registry
from core.models.spec import read_config
from core.parameters.formats import PUBLISHED
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.near_names import closest_names
from core.serving.serve import serve
from core.serving.weights import counts_alone, typed_count

ACCELERATORS = ("h100-sxm", "l40s", "rtx-pro-6000", "mi300x")
CONTEXTS = (4_096, 32_768, 131_072)


@pytest.mark.parametrize("known", load_registry(), ids=lambda known: known.name)
def test_shell_and_page_answer_as_the_api(known):
    """Served answers are what the page prints, answer_of what the shell does; both come from one ServingJob."""
    spec = read_config(known.config)
    count = None if counts_alone(known, spec) else typed_count(7_000_000_000)
    for accelerator in ACCELERATORS:
        for context in CONTEXTS:
            job = ServingJob(
                model=spec, batch_size=1, context_length=context, accelerator=accelerator, parameter_count=count,
                weight_format=PUBLISHED,
            )  # fmt: skip
            served, said = serve(job), answer_of(plan(job), known.name)
            assert said["largest_batch"] == served.requests
            assert said["longest_context"] == served.longest
            assert said["fewest_accelerators"] == served.fewest
            assert said["fits"] == (served.requests >= 1)
            assert said["weight_bytes"] == served.plan.weight_bytes
            assert said["budget_bytes"] == served.plan.budget_bytes


def test_the_closest_names_are_said():
    assert closest_names("nobody/Qwen3-32B-Instruct", load_registry())[0] == "Qwen3 32B"
    assert closest_names("zzzzzz", load_registry()) == []
