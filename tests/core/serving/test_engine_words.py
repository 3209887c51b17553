"""Why an engine takes more than the payload, word for word, and engines beside each other."""

from core.engines.face import plan_cache
from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.draft import Draft
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
        "A request of 512 tokens takes 11.2 times its keys and values on vLLM 0.33.0: three groups of states take "
        "three pages each and one group of full attention takes one page, 10 pages of 14.2 MB."
    )


def test_within_a_tenth_nothing_is_said():
    job = ServingJob(model=LLAMA_2_13B, num_kv_heads=8, batch_size=4, context_length=65_536, engine="vllm")
    assert engine_sentence(plan(job)) == ""
    assert engine_sentence(plan(job.where(engine="payload"))) == ""


def test_what_caps_the_requests_is_said_with_the_knob_that_moves_it():
    said = requests_sentence(plan(hybrid(engine="sglang")))
    assert "by state slots" in said
    assert "--mamba-full-memory-ratio" in said


def test_a_knob_that_would_move_nothing_is_not_named():
    """At 262,144 tokens the pool's tokens end before the state slots do."""
    said = requests_sentence(plan(hybrid(engine="sglang", context_length=262_144)))
    assert "such request" in said
    assert "To move it" not in said


def test_engines_side_by_side_have_figures_or_a_reason():
    rows = {row.engine: row for row in side_by_side(hybrid())}
    assert set(rows) == {"vllm", "sglang", "llama.cpp", "mlx", "transformers", "payload"}
    assert rows["vllm"].request_bytes == 10 * 14_155_776
    assert all(row.refusal or row.requests is not None for row in rows.values())


def test_states_alone_are_said_where_nothing_else_is_beside_the_payload():
    """36 states of 32 x 128 x 128 x 4 + 4 x 8,192 x 2 bytes are 77,856,768, beside 512 x 24,576 bytes."""
    said = engine_sentence(plan(hybrid(engine="transformers")))
    assert said.endswith("on transformers 5.24.0: states of constant size, 77.9 MB, stand beside them.")
    rows = {row.engine: row for row in side_by_side(hybrid())}
    assert rows["transformers"].reason == rows["mlx"].reason == "states of constant size, 77.9 MB, stand beside them"
    assert rows["payload"].reason == "what the attention pattern needs, states included"


def test_a_window_pool_costs_more_than_it_holds():
    """gpt-oss on SGLang: 0.8 window tokens for every token, whatever the window: 1.8 times (12 of 24 layers slide)."""
    spec = read_config(next(model.config for model in load_registry() if model.name == "gpt-oss-20b"))
    rows = {row.engine: row for row in side_by_side(hybrid(context_length=32_768).where(model=spec, engine="vllm"))}
    assert rows["sglang"].reason == ("window tokens are set aside for each token of the pool: that is 1.79 times")


def test_why_fewer_bits_save_nothing_is_said():
    """Falcon's class passes no cache type on: 2,048 tokens x 32 layers x 2 x 64 x 2 bytes, whatever the type."""
    spec = read_config(next(model.config for model in load_registry() if model.name == "Falcon-7B"))
    job = ServingJob(model=spec, batch_size=1, context_length=2048, engine="vllm", kv_bits=8)
    made = plan(job)
    assert made.kv_reserved_bytes == 2048 * 32 * 2 * 64 * 2
    assert engine_sentence(made) == (
        "A request of 2,048 tokens takes 2 times its keys and values on vLLM 0.33.0: the class FalconForCausalLM "
        "passes no cache type on: its cache keeps the model's own 16 bits."
    )
    assert "fewer bits put more tokens into a page, which stays as large as a state" in cause(
        plan(hybrid(kv_bits=8)).engine_plan
    )
    assert "fewer bits" not in cause(plan(hybrid()).engine_plan)


def test_llama_cpp_is_not_said_to_hold_none():
    """It allocates the context of its slots, and its plan counts no requests."""
    spec = read_config(next(model.config for model in load_registry() if model.name == "Llama-3.1 8B"))
    made = plan(ServingJob(model=spec, batch_size=4, context_length=8192, engine="llama.cpp"))
    assert made.fits
    assert requests_sentence(made) == ""


def test_sglang_s_cause_is_the_slots_that_it_sets_aside():
    """36 layers of states take 77,266,944 bytes a slot, and 5 slots a request."""
    made = plan(hybrid(engine="sglang"))
    assert cause(made.engine_plan) == "five slots of 77.3 MB are set aside for the states of each request"


def test_an_engine_that_a_job_cannot_be_given_to_says_why_in_its_row():
    """On which stage SGLang lays a draft is not stated, and the others split no copy into stages."""
    specs = {known.name: read_config(known.config) for known in load_registry() if known.name.startswith("Llama-3")}
    job = ServingJob(
        model=specs["Llama-3 70B"], batch_size=1, context_length=8192, engine="vllm", num_accelerators=4,
        tensor_parallel=2, pipeline_parallel=2, draft=Draft(method="eagle3", model=specs["Llama-3.2 1B"]),
    )  # fmt: skip
    rows = {row.engine: row for row in side_by_side(job)}
    assert rows["sglang"].refusal.startswith("pipeline_parallel with a draft: on which stage sglang lays its layers")
    assert rows["mlx"].refusal.startswith("pipeline_parallel with a draft: on which stage mlx lays its layers")
    # the last stage: 40 layers x 2 x 4 heads x 128 x 2 bytes x 8,192 tokens, and in vLLM's pool the draft's too,
    # 16 layers x 2 x 4 heads x 64 x 2 bytes
    assert rows["payload"].request_bytes == 40 * 2 * 4 * 128 * 2 * 8192
    assert rows["vllm"].request_bytes == (40 * 128 + 16 * 64) * 2 * 4 * 2 * 8192


def test_how_long_a_static_cache_stays_is_no_cause_of_its_size():
    """Falcon-40B's own copies are, whatever else is told."""
    falcon = {
        "model_type": "falcon", "new_decoder_architecture": True, "num_hidden_layers": 60, "num_attention_heads": 128,
        "num_kv_heads": 8, "hidden_size": 8192, "vocab_size": 65024,
    }  # fmt: skip
    made = plan_cache(read_config(falcon), engine="transformers", context_length=100, cache="static")
    assert made.notes[-1].name == "static cache"
    assert cause(made) == "keys and values are copied to every query head before they are cached"
