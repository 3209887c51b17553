"""Parameter counts against published totals, hand arithmetic and the architectures that transformers builds."""

from dataclasses import replace

import pytest

from core.errors import SizingError
from core.models.attention import GroupedAttention
from core.models.spec import ModelDimensions, ModelSpec
from core.serving import weights
from core.serving.job import apply_what_if
from core.serving.model_shapes import LLAMA_2_13B, llama_shape
from core.serving.weights import ParameterCount, analytic_count, resize
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
    assert count.total == parameters
    assert count.source == "rule"


def test_a_plain_shape_without_a_config_is_counted_as_the_config_that_it_means() -> None:
    """What a GGUF header of a Llama gives: sizes and no config.json."""
    assert analytic_count(replace(LLAMA_2_7B, config={})).total == analytic_count(LLAMA_2_7B).total == 6_738_415_616


@pytest.mark.parametrize("model", [FALCON_7B, MLA, replace(LLAMA_2_7B, model_type="llama9", config={})])
def test_a_shape_without_a_config_is_refused_by_name(model: ModelSpec) -> None:
    with pytest.raises(SizingError, match=rf"model_type is '{model.model_type}', read from no config.*Give an exact"):
        analytic_count(model)


def test_a_type_without_a_rule_is_refused_with_what_to_do() -> None:
    model = replace(LLAMA_2_7B, model_type="olmo9", config={"model_type": "olmo9"})
    with pytest.raises(SizingError, match=r"this olmo9 model are not added up.*let count_parameters\(config\) build"):
        analytic_count(model)


def test_dropped_parameters_are_the_k_and_v_projections() -> None:
    """G 40 -> 1 frees 39 x 2 x 128 x 5,120 x 40 = 2,044,723,200."""
    one = apply_what_if(LLAMA_2_13B, 1, None)
    resized = resize(LLAMA_2_13B, one, analytic_count(LLAMA_2_13B), "dropped")
    assert resized.count.total == 13_015_864_320 - 2_044_723_200 == 10_971_141_120
    assert sum(resized.count.parts.values()) == resized.count.total
    assert resized.count.parts["kv_projections"] == 40 * 2 * 128 * 5_120
    assert "Less 2,044,723,200 in K and V projections (dropped)" in resized.count.sentence


def test_spent_parameters_widen_the_ffn_to_a_whole_width() -> None:
    """2,044,723,200 / (40 x 3 x 5,120) = 3,328 columns exactly; at G = 8, 1,677,721,600 / 614,400 = 2,730 and
    409,600."""
    one = resize(LLAMA_2_13B, apply_what_if(LLAMA_2_13B, 1, None), analytic_count(LLAMA_2_13B), "spent")
    assert one.model.dimensions.intermediate_size == 13_824 + 3_328
    assert (one.count.total, one.unspent_parameters) == (13_015_864_320, 0)
    eight = resize(LLAMA_2_13B, apply_what_if(LLAMA_2_13B, 8, None), analytic_count(LLAMA_2_13B), "spent")
    assert eight.model.dimensions.intermediate_size == 13_824 + 2_730
    assert (eight.count.total, eight.unspent_parameters) == (13_015_864_320 - 409_600, 409_600)
    assert "409,600 parameters are left over" in eight.count.sentence
    assert eight.count.parts["dense_ffn"] == 40 * 3 * 5_120 * 16_554


def test_a_larger_g_takes_its_parameters_from_the_ffn() -> None:
    """Llama-2 70B, G 8 -> 64: 56 x 256 x 8,192 x 80 = 9,395,240,960 more, 9,395,240,960 / (80 x 3 x 8,192) =
    4,778.67."""
    many = resize(LLAMA_2_70B, apply_what_if(LLAMA_2_70B, 64, None), analytic_count(LLAMA_2_70B), "spent")
    assert many.model.dimensions.intermediate_size == 28_672 - 4_779
    assert many.count.total == 68_976_648_192 - many.unspent_parameters


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
    exact = ParameterCount(total=6_921_720_704, source="meta device", sentence="Built.")
    resized = resize(FALCON_7B, apply_what_if(FALCON_7B, 71, None), exact, "dropped")
    assert resized.count.total == 6_921_720_704 + 1_302_855_680
    assert resized.count.source == "meta device"


def test_spending_needs_an_architecture_whose_ffn_is_known() -> None:
    exact = ParameterCount(total=6_921_720_704, source="meta device", sentence="Built.")
    with pytest.raises(SizingError, match="model_type is 'falcon'"):
        resize(FALCON_7B, apply_what_if(FALCON_7B, 71, None), exact, "spent")


def test_kv_biases_change_with_g() -> None:
    """qwen2 has biases on Q, K and V: 2 layers x 2 heads x (16 + 16) x (64 + 1) = 8,320."""
    layer = GroupedAttention(num_query_heads=4, num_kv_heads=2, head_dim=16, value_dim=16)
    model = ModelSpec(model_type="qwen2", layers=(layer,) * 2, dimensions=ModelDimensions(hidden_size=64))
    assert weights.kv_projection_parameters(model) == 8_320


def test_safetensors_metadata_is_an_exact_count() -> None:
    count = weights.count_from_safetensors({"BF16": 7_241_732_096}, "mistralai/Mistral-7B-v0.1")
    assert count.total == 7_241_732_096
    assert count.source == "safetensors"
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
    assert weights.typed_count(7).source == "typed"
