"""One copy over stages, ranks of requests and experts: each rank's plan, the fullest, and what cannot be."""

import pytest

from core.engines.plan import EngineError
from core.errors import SizingError
from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.inverse import headroom_bytes, largest_batch
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.ranks import rank_plans, ranks_sentence
from core.serving.stages import stages_of
from core.serving.weights import typed_count

LLAMA_8B = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128_256,
}  # fmt: skip
OF_A_LAYER = 218_112_000  # Q and O 2 x 4096^2, K and V 2 x 4096 x 1024, FFN 3 x 4096 x 14336, two norms of 4096
TABLE = 128_256 * 4096  # the embedding, and the head beside it


def job_of(config, **fields):
    return ServingJob(**{"model": read_config(config), "batch_size": 8, "context_length": 4096, **fields})


@pytest.fixture(scope="module")
def deepseek():
    return next(known for known in load_registry() if known.name == "DeepSeek-V3").config


@pytest.mark.parametrize(
    ("layers", "stages", "engine", "widths"),
    [
        (32, 2, "vllm", [16, 16]),
        (61, 4, "vllm", [15, 15, 16, 15]),  # get_pp_indices: one left over goes to the stage before the last
        (62, 4, "vllm", [15, 16, 16, 15]),
        (63, 4, "vllm", [16, 16, 16, 15]),
        (61, 2, "vllm", [31, 30]),
        (61, 4, "sglang", [15, 15, 15, 16]),
        (63, 4, "sglang", [15, 16, 16, 16]),
    ],
)
def test_layers_go_to_stages_as_the_engine_gives_them(layers, stages, engine, widths):
    found = stages_of(layers, stages, engine)
    assert [stage.last - stage.first for stage in found] == widths
    assert [found[0].first, found[-1].last] == [0, layers]


def test_stages_hold_their_layers_and_the_ends_the_tables():
    """16 layers a stage at 2 bytes; the embedding on the first, the head on the last; the last norm with the first."""
    made = plan(job_of(LLAMA_8B, num_accelerators=2, pipeline_parallel=2))
    ranks = rank_plans(made)
    assert [rank.weight_bytes for rank in ranks] == [
        2 * (16 * OF_A_LAYER + TABLE + 4096),
        2 * (16 * OF_A_LAYER + TABLE),
    ]
    assert [rank.cache_bytes for rank in ranks] == [8 * 4096 * 16 * 2 * 8 * 128 * 2] * 2
    assert made.weight_bytes == ranks[0].weight_bytes
    assert ranks[0].is_fullest
    assert not ranks[1].is_fullest


def test_the_fullest_stage_rules():
    """61 like layers over two: 31 and 30, and the one with 31 says how many requests there are."""
    config = {**LLAMA_8B, "num_hidden_layers": 61, "tie_word_embeddings": False}
    made = plan(job_of(config, num_accelerators=2, pipeline_parallel=2))
    assert made.stage is not None
    assert (made.stage.first, made.stage.last) == (0, 31)
    ranks = rank_plans(made)
    assert ranks_sentence(ranks, made.job).startswith("Rank 1 of 2 is the fullest and rules: it holds layers 1 to 31")
    budget, fixed = made.budget_bytes, made.weight_bytes + made.runtime_bytes
    assert int(largest_batch(made.job)) == (budget - fixed) // (31 * 4096 * 4096)


def test_tensor_and_pipeline_parallel_together():
    """Four ranks: half of the heads and half of the layers each."""
    ranks = rank_plans(plan(job_of(LLAMA_8B, num_accelerators=4, pipeline_parallel=2, tensor_parallel=2)))
    assert [(rank.stage, rank.tensor_rank, rank.kv_heads) for rank in ranks] == [
        (0, 0, 4),
        (0, 1, 4),
        (1, 0, 4),
        (1, 1, 4),
    ]
    assert ranks[0].weight_bytes == 16 * OF_A_LAYER + TABLE + 4096
    assert ranks[0].cache_bytes == 8 * 4096 * 16 * 2 * 4 * 128 * 2


def test_whole_experts_over_sixteen_ranks(deepseek):
    """DeepSeek-V3, 8 bits: 58 layers of 256 experts of 3 x 7168 x 2048; 16 of them on each rank, all else in full."""
    made = plan(job_of(deepseek, batch_size=100, weight_bits=8, num_accelerators=16, data_parallel=16,
                       expert_parallel=True))  # fmt: skip
    experts = 58 * 256 * 3 * 7168 * 2048
    assert made.parameters.total == 671_026_404_352
    assert made.weight_bytes == 671_026_404_352 - experts + experts // 16
    ranks = rank_plans(made)
    assert [rank.experts for rank in ranks] == [16] * 16
    assert [rank.requests for rank in ranks] == [7, 7, 7, 7, *[6] * 12]  # 100 over 16


def test_experts_that_do_not_divide_leave_the_first_ranks_fuller(deepseek):
    """256 over 48 ranks: 16 of them hold six, the others five (determine_expert_map)."""
    made = plan(job_of(deepseek, batch_size=60, weight_bits=8, num_accelerators=48, tensor_parallel=8, data_parallel=6,
                       expert_parallel=True))  # fmt: skip
    ranks = rank_plans(made)
    assert [rank.experts for rank in ranks] == [6] * 16 + [5] * 32
    one = 58 * 3 * 7168 * 2048
    assert ranks[0].weight_bytes - ranks[-1].weight_bytes == one
    assert [rank.is_fullest for rank in ranks].index(True) == 0


def test_experts_cut_over_all_ranks_weigh_as_whole_ones_that_divide(deepseek):
    fields = {"weight_bits": 8, "num_accelerators": 16, "tensor_parallel": 4, "data_parallel": 4}
    sliced = plan(job_of(deepseek, **fields))
    assert sliced.weight_bytes == plan(job_of(deepseek, **fields, expert_parallel=True)).weight_bytes
    assert rank_plans(sliced)[0].experts is None


def test_dense_first_layers_lie_on_the_first_stage(deepseek):
    """The three layers without experts are counted where they are: stage 1 is lighter though it has a layer more."""
    ranks = rank_plans(
        plan(job_of(deepseek, weight_bits=8, num_accelerators=16, tensor_parallel=8, pipeline_parallel=2))
    )
    assert (ranks[0].last_layer, ranks[8].first_layer) == (31, 32)
    assert ranks[0].weight_bytes < ranks[8].weight_bytes


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"pipeline_parallel": 33, "num_accelerators": 33}, "pipeline_parallel is 33, and the model has 32 layers"),
        ({"pipeline_parallel": 3}, "num_accelerators is 1, not a multiple of tensor_parallel 1 x pipeline_parallel 3"),
        ({"data_parallel": 3, "num_accelerators": 4}, "data_parallel is 3, and 4 accelerators make 4 copies"),
        ({"expert_parallel": True}, "this llama model has no experts"),
        ({"pipeline_parallel": 0}, "pipeline_parallel is 0"),
    ],
)
def test_what_cannot_be_split_so_gets_a_sentence(fields, says):
    with pytest.raises(SizingError, match=says):
        job_of(LLAMA_8B, **fields)


def test_experts_are_refused_where_they_cannot_be_told_apart_or_do_not_reach(deepseek):
    with pytest.raises(SizingError, match="one rank to hold the experts"):
        job_of(deepseek, expert_parallel=True)
    with pytest.raises(SizingError, match="a layer has 256 experts: a rank would hold none"):
        job_of(deepseek, num_accelerators=512, data_parallel=512, expert_parallel=True)
    typed = job_of(deepseek, num_accelerators=8, data_parallel=8, parameter_count=typed_count(671_026_404_352))
    with pytest.raises(SizingError, match="The experts are not told apart"):
        plan(typed)


def known(name):
    return next(model for model in load_registry() if model.name == name).config


def test_experts_are_those_that_the_count_tells_apart():
    """DBRX names its experts inside ffn_config: 40 layers x 16 x 3 x 6,144 x 10,752 of 131,596,523,520 parameters."""
    split = {"num_accelerators": 4, "tensor_parallel": 2, "data_parallel": 2}
    made = plan(job_of(known("DBRX"), **split, expert_parallel=True))
    experts = 40 * 16 * 3 * 6_144 * 10_752
    assert made.weight_bytes == 2 * (experts // 4 + (131_596_523_520 - experts) // 2)
    assert [rank.experts for rank in rank_plans(made)] == [4, 4, 4, 4]
    assert "The fullest rank holds 4 of a layer's 16 experts." in made.lines[0].provenance
    assert made.lines[0].formula.endswith("experts over the ranks that share them")
    assert "Each expert is cut over 4 ranks." in plan(job_of(known("DBRX"), **split)).lines[0].provenance
    with pytest.raises(SizingError, match="The experts are not told apart"):
        plan(job_of(known("DBRX"), **split, parameter_count=typed_count(131_596_523_520)))


def test_a_number_of_experts_that_no_layer_has_is_none():
    """Nemotron-H's class has 8 by default, and the 8B's pattern has M, * and - alone."""
    split = {"num_accelerators": 4, "tensor_parallel": 2, "data_parallel": 2}
    assert read_config(known("Nemotron-H 8B")).dimensions.num_experts == 8
    for count in (None, typed_count(8_100_000_000)):
        with pytest.raises(SizingError, match="this nemotron_h model has no experts: leave it off"):
            job_of(known("Nemotron-H 8B"), **split, expert_parallel=True, parameter_count=count)
        made = plan(job_of(known("Nemotron-H 8B"), **split, parameter_count=count))
        assert "expert" not in made.lines[0].formula + made.lines[0].provenance
        assert {rank.experts for rank in rank_plans(made)} == {None}


def test_a_cache_that_later_layers_share_is_not_parted():
    known = next(known for known in load_registry() if known.name.startswith("Gemma-3n"))
    with pytest.raises(SizingError, match="would lie on another stage"):
        job_of(known.config, num_accelerators=3, pipeline_parallel=3)


def test_llama_cpp_is_refused_and_the_others_are_asked():
    with pytest.raises(EngineError, match=r"llama\.cpp is not split here beyond tensor_parallel"):
        plan(job_of(LLAMA_8B, num_accelerators=2, pipeline_parallel=2, engine="llama.cpp"))
    for engine in ("vllm", "sglang"):
        made = plan(job_of(LLAMA_8B, num_accelerators=2, pipeline_parallel=2, engine=engine))
        assert made.kv_reserved_bytes == 8 * 4096 * 16 * 2 * 8 * 128 * 2  # whole blocks: 4,096 tokens are 256 of 16


def test_the_stage_that_rules_may_hold_fewer_bytes_than_another():
    """Llama-3.2 3B over three stages of 9, 10 and 9 layers, the outer ones with a table of 128,256 x 3,072 x 2 bytes:
    the middle one, which ends first, has 85.5 GB less 2,587,325,440 bytes; 82,183,396,096 of the first was said."""
    known = next(entry for entry in load_registry() if entry.name == "Llama-3.2 3B")
    asked = job_of(
        known.config, batch_size=16, context_length=17, engine="vllm", weight_format="nf4", accelerator="tpu-v5p",
        num_accelerators=3, pipeline_parallel=3,
    )  # fmt: skip
    made = plan(asked)
    assert (made.stage.index, headroom_bytes(asked), made.headroom_bytes) == (1, 82_912_674_560, 82_912_674_560)
    assert ranks_sentence(rank_plans(made), asked) == (
        "Rank 2 of 3 has room for the fewest requests and rules: it holds layers 10 to 19, 2.59 GB (2.41 GiB); the one "
        "with most bytes holds 3.32 GB (3.09 GiB)."
    )
