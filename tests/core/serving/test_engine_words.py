"""Why an engine takes more than the payload, word for word, and engines beside each other."""

from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.engine_words import cause, engine_sentence, requests_sentence, side_by_side
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.weights import typed_count


def hybrid(**changes):
    config = next(model.config for model in load_registry() if model.name == "Qwen3-Next 80B-A3B")
    given = {"batch_size": 1, "context_length": 512, "weight_bits": 4, "engine": "vllm", **changes}
    return ServingJob(model=read_config(config), parameter_count=typed_count(80_000_000_000), **given)


def test_a_hybrid_s_sentence_names_groups_and_pages():
    """Pages of 12 layers x 576 tokens x 2 x 2 heads x 256 x 2 bytes = 14,155,776; 3 x 3 + 1 of them a request."""
    assert engine_sentence(plan(hybrid())) == (
        "A request of 512 tokens takes 11.2 times its keys and values on vLLM 0.33.0: three groups of states pin three "
        "pages each and one group of full attention pins one page, 10 pages of 14.2 MB."
    )


def test_within_a_tenth_nothing_is_said():
    job = ServingJob(model=LLAMA_2_13B, num_kv_heads=8, batch_size=4, context_length=65_536, engine="vllm")
    assert engine_sentence(plan(job)) == ""
    assert engine_sentence(plan(job.where(engine="payload"))) == ""


def test_what_caps_the_requests_is_said_with_the_knob_that_moves_it():
    said = requests_sentence(plan(hybrid(engine="sglang")))
    assert "by state slots" in said
    assert "--mamba-full-memory-ratio" in said


def test_engines_side_by_side_have_figures_or_a_reason():
    rows = {row.engine: row for row in side_by_side(hybrid())}
    assert set(rows) == {"vllm", "sglang", "llama.cpp", "mlx", "transformers", "payload"}
    assert rows["vllm"].request_bytes == 10 * 14_155_776
    assert rows["payload"].reason == "what the attention pattern needs"
    assert all(row.refusal or row.requests is not None for row in rows.values())


def test_sglang_s_cause_is_the_slots_that_it_sets_aside():
    """36 layers of states take 77,266,944 bytes a slot, and 5 slots a request."""
    made = plan(hybrid(engine="sglang"))
    assert cause(made.engine_plan) == "five slots of 77.3 MB are set aside for the states of each request"
