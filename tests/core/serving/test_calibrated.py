"""A machine's own memory for the cache in place of the computed one: what every later answer rests on."""

from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.calibrated import calibrated, left_bytes
from core.serving.draft import Draft
from core.serving.inverse import largest_batch
from core.serving.job import ServingJob
from core.serving.memory_plan import plan, stage_plans
from core.serving.serve import device_words
from core.serving.ways_to_fit import ways_to_fit
from core.serving.weights import typed_count

GIB = 2**30


def llama(**changes: object) -> ServingJob:
    """16 GB of weights; a request of 8,192 tokens takes 32 layers x 2 x 8 heads x 128 x 2 bytes x 8,192 = 1 GiB."""
    spec = read_config(next(model.config for model in load_registry() if model.name == "Llama-3.1 8B"))
    given = {"batch_size": 1, "context_length": 8192, "engine": "vllm", "parameter_count": typed_count(8_000_000_000)}
    return ServingJob(model=spec, **{**given, **changes})


def test_what_the_log_left_is_what_the_cache_gets():
    job = calibrated(llama(), 20 * GIB)
    assert job.measured is not None
    assert job.measured.beyond_bytes == 0
    assert plan(job).engine_plan.max_concurrency == 20.0
    assert largest_batch(job) == 20  # the planner counts the null block in
    assert plan(job).budget_bytes == plan(llama()).budget_bytes
    assert "By the server's log" in next(line.provenance for line in plan(job).lines if line.key == "runtime")


def test_more_than_the_inputs_leave_makes_the_budget_larger():
    job = calibrated(llama(), 100 * GIB)
    assert job.measured is not None
    assert job.measured.beside_bytes == 0
    assert plan(job).engine_plan.max_concurrency == 100.0
    assert "what the log has beyond it" in next(line.formula for line in plan(job).lines if line.key == "budget")


def test_the_rest_of_the_machine_stays_while_the_job_changes():
    """Weights at 8 bits leave 8 GB more to the cache; a longer request of 16,384 tokens takes 2 GiB."""
    job = calibrated(llama(), 20 * GIB)
    assert plan(job.where(context_length=16_384)).engine_plan.max_concurrency == 10.0
    lighter = plan(job.where(weight_bits=8))
    assert lighter.engine_plan.max_concurrency == (20 * GIB + 8_000_000_000) // 2**21 / 512
    assert all(way.job.measured == job.measured for way in ways_to_fit(job.where(batch_size=40)))
    assert calibrated(job, 20 * GIB) == job


def test_a_log_with_more_than_the_accelerator_has_is_another_server_s():
    """16 GB of weights and 100 GiB are more than an H100: nothing is said of its 80 GB."""
    made = plan(calibrated(llama(), 100 * GIB))
    assert device_words(made.job) == "a server with 100.00 GiB for the cache"
    assert not made.memory_reading_decides
    assert made.memory_sentence.startswith("Weights, and the 100.00 GiB that the server's log left for the cache")
    assert next(line.label for line in made.lines if line.key == "budget") == "Budget by the server's log"
    assert device_words(calibrated(llama(), 20 * GIB)) == "one H100 SXM5 80 GB"


def test_what_is_left_after_a_change_is_the_same_job_again():
    job = calibrated(llama(), 20 * GIB)
    assert left_bytes(job) == 20 * GIB
    lighter = job.where(weight_bits=8, accelerator="h200-sxm")
    again = calibrated(lighter, left_bytes(lighter))
    assert again.measured.beside_bytes == job.measured.beside_bytes
    assert plan(again).lines == plan(lighter).lines
    beyond = calibrated(llama(), 400 * GIB)
    assert calibrated(beyond, left_bytes(beyond)) == beyond


def test_the_stage_that_loads_the_draft_too_is_the_one_that_the_log_is_of():
    """20 layers a stage; the last has the head of 128,256 x 8,192 and a draft of 8,030,261,248 parameters beside them,
    the first the embedding and the last norm of 8,192: 16,384 bytes more, were there no draft."""
    large = read_config(next(model.config for model in load_registry() if model.name == "Llama-3 70B"))
    small = read_config(next(model.config for model in load_registry() if model.name == "Llama-3 8B"))
    drafted = ServingJob(
        model=large, batch_size=1, context_length=8192, engine="vllm", num_accelerators=4, pipeline_parallel=4,
        draft=Draft(method="eagle3", model=small, parameter_count=8_030_261_248),
    )  # fmt: skip
    job = calibrated(drafted, 20 * GIB)
    left = [made.headroom_bytes + made.kv_reserved_bytes for made in stage_plans(job)]
    assert left[3] == left_bytes(job) == 20 * GIB
    assert left[0] - left[3] == 2 * 8_030_261_248 - 16_384
