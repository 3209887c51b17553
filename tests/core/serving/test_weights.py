"""Parameter counts against published totals, hand arithmetic and the architectures that transformers builds."""

from dataclasses import replace

import pytest

from core.errors import SizingError
from core.models.attention import GroupedAttention
from core.models.spec import ModelDimensions, ModelSpec, read_config
from core.serving import weights
from core.serving.job import apply_what_if
from core.serving.model_shapes import LLAMA_2_13B, llama_shape
from core.serving.weights import ParameterCount, analytic_count, analytic_terms, count_on_meta_device, resize
from tests.core.serving.sizing_models import FALCON_7B, LLAMA_2_7B, LLAMA_2_70B, LLAMA_3_8B, MISTRAL_7B, MLA

# By hand, Llama-2 13B: embeddings 2 x 32,000 x 5,120 = 327,680,000; attention 40 x 4 x 5,120^2 = 4,194,304,000;
# FFN 40 x 3 x 5,120 x 13,824 = 8,493,465,600; norms 81 x 5,120 = 414,720; sum 13,015,864,320. The others likewise;
# all five were also built on the meta device (LlamaForCausalLM and MistralForCausalLM of transformers 5.23.0).
PUBLISHED = [
    (LLAMA_2_7B, 6_738_415_616),
    (LLAMA_2_13B, 13_015_864_320),
    (LLAMA_2_70B, 68_976_648_192),
    (MISTRAL_7B, 7_241_732_096),
    (LLAMA_3_8B, 8_030_261_248),
]


@pytest.mark.parametrize(("model", "parameters"), PUBLISHED)
def test_published_totals(model: ModelSpec, parameters: int) -> None:
    count = analytic_count(model)
    assert count.parameters == parameters
    assert count.source == "analytic"


def test_terms_show_their_arithmetic() -> None:
    terms = {term.name: (term.arithmetic, term.parameters) for term in analytic_terms(LLAMA_2_13B)}
    assert terms == {
        "input and output embeddings": ("2 × 32,000 × 5,120", 327_680_000),
        "Q and output projections": ("40 × 5,120 × 40 × 256", 2_097_152_000),
        "K and V projections": ("40 × 5,120 × 40 × 256", 2_097_152_000),
        "FFN matrices": ("40 × 3 × 5,120 × 13,824", 8_493_465_600),
        "norms": ("81 × 5,120", 414_720),
    }


SMALL = {
    "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16,
    "intermediate_size": 96, "vocab_size": 320, "pad_token_id": 0,
}  # fmt: skip


@pytest.mark.parametrize("model_type", sorted(weights.RECIPES))
@pytest.mark.parametrize("settings", [{"tie_word_embeddings": False}, {"tie_word_embeddings": True}, {}])
def test_recipes_equal_the_architecture_that_transformers_builds(
    model_type: str, settings: dict[str, bool], built_in_process: dict[str, int]
) -> None:
    """Absent tie_word_embeddings falls to the class default, which the reader must know too."""
    config = {"model_type": model_type, **SMALL, **settings}
    assert analytic_count(read_config(config)).parameters == built_in_process[_name(model_type, settings)]


@pytest.mark.parametrize("model_type", ["llama", "qwen3", "granite", "gemma"])
def test_attention_bias_of_the_config_is_counted(model_type: str, built_in_process: dict[str, int]) -> None:
    settings = {"attention_bias": True, "tie_word_embeddings": False}
    counted = analytic_count(read_config({"model_type": model_type, **SMALL, **settings}))
    assert counted.parameters == built_in_process[_name(model_type, settings)]


def _name(model_type: str, settings: dict[str, bool]) -> str:
    return f"{model_type} {sorted(settings.items())}"


@pytest.fixture(scope="module")
def built_in_process() -> dict[str, int]:
    """The worker's own function on every small config: one import of torch instead of one process each."""
    from core.serving.weights_worker import count_parameters

    ties = [{"tie_word_embeddings": False}, {"tie_word_embeddings": True}, {}]
    biased = {"attention_bias": True, "tie_word_embeddings": False}
    return {
        _name(model_type, settings): count_parameters({"model_type": model_type, **SMALL, **settings})["parameters"]
        for model_type in weights.RECIPES
        for settings in [*ties, biased]
    }


def test_worker_process_builds_falcon_7b() -> None:
    """6,921,720,704: the count published for tiiuae/falcon-7b, whose output matrix is the input embedding's."""
    config = {
        "model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
        "vocab_size": 65024, "multi_query": True, "new_decoder_architecture": False, "parallel_attn": True,
        "bias": False, "alibi": False,
    }  # fmt: skip
    count = count_on_meta_device(config)
    assert count.parameters == 6_921_720_704
    assert count.source == "meta device"
    assert count.sentence.startswith("FalconForCausalLM of transformers 5.")


def test_worker_process_refuses_with_the_reason() -> None:
    with pytest.raises(SizingError, match=r"model_type is 'no-such-model', which transformers .* does not know"):
        count_on_meta_device({"model_type": "no-such-model"})


def test_worker_process_is_ended_when_its_time_is_over() -> None:
    with pytest.raises(SizingError, match=r"took more than 0\.01 s: give an exact parameter count"):
        count_on_meta_device({"model_type": "llama"}, timeout_seconds=0.01)


def test_config_that_is_no_json_is_refused() -> None:
    with pytest.raises(SizingError, match="could not be built"):
        count_on_meta_device({"model_type": object()})


@pytest.mark.parametrize("model", [FALCON_7B, MLA, replace(LLAMA_2_7B, model_type="mamba2")])
def test_unknown_architectures_are_refused_by_name(model: ModelSpec) -> None:
    with pytest.raises(SizingError, match=rf"model_type is '{model.model_type}'.*Give an exact count"):
        analytic_count(model)


@pytest.mark.parametrize("missing", ["vocab_size", "intermediate_size"])
def test_missing_dimensions_are_refused_by_name(missing: str) -> None:
    dimensions = replace(LLAMA_2_7B.dimensions, **{missing: None})
    with pytest.raises(SizingError, match=f"{missing} is None for this llama model"):
        analytic_count(replace(LLAMA_2_7B, dimensions=dimensions))


def test_dropped_parameters_are_the_k_and_v_projections() -> None:
    """G 40 -> 1 frees 39 x 2 x 128 x 5,120 x 40 = 2,044,723,200."""
    one = apply_what_if(LLAMA_2_13B, 1, None)
    resized = resize(LLAMA_2_13B, one, analytic_count(LLAMA_2_13B), "dropped")
    assert resized.count.parameters == 13_015_864_320 - 2_044_723_200 == 10_971_141_120
    assert resized.count == replace(analytic_count(one), sentence=resized.count.sentence)
    assert "Less 2,044,723,200 in K and V projections (dropped)" in resized.count.sentence


def test_spent_parameters_widen_the_ffn_to_a_whole_width() -> None:
    """2,044,723,200 / (40 x 3 x 5,120) = 3,328 columns exactly; at G = 8, 1,677,721,600 / 614,400 = 2,730 and
    409,600."""
    one = resize(LLAMA_2_13B, apply_what_if(LLAMA_2_13B, 1, None), analytic_count(LLAMA_2_13B), "spent")
    assert one.model.dimensions.intermediate_size == 13_824 + 3_328
    assert (one.count.parameters, one.unspent_parameters) == (13_015_864_320, 0)
    eight = resize(LLAMA_2_13B, apply_what_if(LLAMA_2_13B, 8, None), analytic_count(LLAMA_2_13B), "spent")
    assert eight.model.dimensions.intermediate_size == 13_824 + 2_730
    assert (eight.count.parameters, eight.unspent_parameters) == (13_015_864_320 - 409_600, 409_600)
    assert "409,600 parameters are left over" in eight.count.sentence
    assert analytic_count(eight.model).parameters == eight.count.parameters


def test_a_larger_g_takes_its_parameters_from_the_ffn() -> None:
    """Llama-2 70B, G 8 -> 64: 56 x 256 x 8,192 x 80 = 9,395,240,960 more, 9,395,240,960 / (80 x 3 x 8,192) =
    4,778.67."""
    many = resize(LLAMA_2_70B, apply_what_if(LLAMA_2_70B, 64, None), analytic_count(LLAMA_2_70B), "spent")
    assert many.model.dimensions.intermediate_size == 28_672 - 4_779
    assert many.count.parameters == analytic_count(many.model).parameters == 68_976_648_192 - many.unspent_parameters


def test_an_ffn_that_cannot_pay_is_refused() -> None:
    narrow = llama_shape(
        num_layers=2,
        num_query_heads=8,
        num_kv_heads=1,
        head_dim=64,
        hidden_size=512,
        intermediate_size=16,
        vocab_size=100,
    )
    with pytest.raises(SizingError, match="use freed_parameters='dropped'"):
        resize(narrow, apply_what_if(narrow, 8, None), analytic_count(narrow), "spent")


def test_an_exact_count_stays_exact_when_g_changes() -> None:
    """Falcon-7B from the meta device, G 1 -> 71: 70 x 128 x 4,544 x 32 = 1,302,855,680 more."""
    exact = ParameterCount(parameters=6_921_720_704, source="meta device", sentence="Built.")
    resized = resize(FALCON_7B, apply_what_if(FALCON_7B, 71, None), exact, "dropped")
    assert resized.count.parameters == 6_921_720_704 + 1_302_855_680
    assert resized.count.source == "meta device"


def test_spending_needs_an_architecture_whose_ffn_is_known() -> None:
    exact = ParameterCount(parameters=6_921_720_704, source="meta device", sentence="Built.")
    with pytest.raises(SizingError, match="model_type is 'falcon'"):
        resize(FALCON_7B, apply_what_if(FALCON_7B, 71, None), exact, "spent")


def test_kv_biases_change_with_g() -> None:
    """qwen2 has biases on Q, K and V: 2 layers x 2 heads x (16 + 16) x (64 + 1) = 8,320."""
    layer = GroupedAttention(num_query_heads=4, num_kv_heads=2, head_dim=16, value_dim=16)
    model = ModelSpec(model_type="qwen2", layers=(layer,) * 2, dimensions=ModelDimensions(hidden_size=64))
    assert weights.kv_projection_parameters(model) == 8_320


def test_safetensors_metadata_is_an_exact_count() -> None:
    count = weights.count_from_safetensors({"BF16": 7_241_732_096}, "mistralai/Mistral-7B-v0.1")
    assert count.parameters == 7_241_732_096
    assert count.source == "safetensors metadata"
    assert count.sentence == "From the safetensors metadata of mistralai/Mistral-7B-v0.1: 7,241,732,096 in BF16."


@pytest.mark.parametrize("metadata", [{}, {"I32": 100, "F16": 5}, {"U8": 3}])
def test_packed_or_empty_metadata_is_refused(metadata: dict[str, int]) -> None:
    with pytest.raises(SizingError, match="does not say the parameters"):
        weights.count_from_safetensors(metadata, "someone/model-gptq")


@pytest.mark.parametrize("value", [0, -1, True, 1.5, 10**16])
def test_a_typed_count_is_a_whole_number(value: int) -> None:
    with pytest.raises(SizingError, match=r"parameters is .*: give a whole number"):
        weights.typed_count(value)


def test_a_typed_count_says_so() -> None:
    assert weights.typed_count(7).source == "typed in"
