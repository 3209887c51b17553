"""Traffic against closed forms: constant is exact, a log-normal gives its mean and p95 back, sums look normal."""

import csv
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.serving.job import ServingJob, WindowPattern
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.traffic import (
    MAX_CSV_BYTES,
    MAX_CSV_ROWS,
    Traffic,
    TrafficError,
    _first_above,
    block_tokens,
    constant_traffic,
    csv_traffic,
    lognormal_parameters,
    lognormal_traffic,
    occupancy,
)
from core.serving.traffic_fit import fit_traffic, reserved_elements


def in_tokens(tokens):
    return block_tokens(tokens, 1)


def job(**changes) -> ServingJob:
    return ServingJob(
        **{"model": LLAMA_2_13B, "num_kv_heads": 8, "batch_size": 32, "context_length": 65_536, "kv_bits": 8, **changes}
    )


def test_constant_traffic_is_exact():
    traffic = constant_traffic(1_000)
    assert (traffic.mean_live_tokens, traffic.live_tokens_deviation) == (1_000, 0)
    found = occupancy(traffic, capacity=10_500, batch_size=10, cost=in_tokens)
    assert (found.overflow_probability, found.holding_batch, found.static_batch) == (0, 10, 10)
    assert found.holding_range == (10, 10)
    assert occupancy(traffic, capacity=10_500, batch_size=11, cost=in_tokens).overflow_probability == 1
    assert occupancy(traffic, capacity=0, batch_size=1, cost=in_tokens).holding_batch == 0


@pytest.mark.parametrize(("mean", "p95"), [(1_000, 1_000), (1_000, 2_500), (16_384, 40_000), (500, 1_934)])
def test_mean_and_p95_come_back(mean, p95):
    mu, sigma = lognormal_parameters(mean, p95)
    assert math.exp(mu + sigma**2 / 2) == pytest.approx(mean, rel=1e-12)
    assert math.exp(mu + 1.6448536269514722 * sigma) == pytest.approx(p95, rel=1e-12)


@given(mean=st.floats(1, 1e8), ratio=st.floats(1, 3.86))
def test_mean_and_p95_come_back_for_any_pair(mean, ratio):
    mu, sigma = lognormal_parameters(mean, ratio * mean)
    assert 0 <= sigma <= 1.6449
    assert math.exp(mu + sigma**2 / 2) == pytest.approx(mean, rel=1e-9)
    assert math.exp(mu + 1.6448536269514722 * sigma) == pytest.approx(ratio * mean, rel=1e-6)


@pytest.mark.parametrize(
    ("mean", "p95", "message"),
    [
        # the highest p95 / mean of any log-normal is exp(1.6449^2 / 2) = 3.868
        (1_000, 3_900, r"p95 is 3,900 with a mean of 1,000: .* 3\.868 times the mean \(3,868\)"),
        (1_000, 999, "p95 is 999 with a mean of 1,000"),
        (0, 10, "mean is 0"),
        (math.nan, 10, "mean is nan"),
        (1_000, math.inf, "p95 is inf"),
    ],
)
def test_pairs_that_no_lognormal_has_are_refused(mean, p95, message):
    with pytest.raises(TrafficError, match=message):
        lognormal_parameters(mean, p95)


def test_live_tokens_of_a_lognormal_have_their_closed_form():
    # picked by length: E[C^2] / E[C] = mean exp(sigma^2); half of the output share is there on average
    mean, p95, share = 2_000, 5_000, 0.4
    _, sigma = lognormal_parameters(mean, p95)
    traffic = lognormal_traffic(mean=mean, p95=p95, output_share=share, longest_context=2**30)
    expected = mean * math.exp(sigma**2) * (1 - share / 2)
    assert traffic.mean_live_tokens == pytest.approx(expected, rel=2e-3)  # whole tokens, 8,192 quantiles
    sample = traffic.sample(400_000, np.random.default_rng(1))
    assert sample.mean() == pytest.approx(expected, rel=0.01)
    assert sample.std() == pytest.approx(traffic.live_tokens_deviation, rel=0.03)


def test_contexts_are_cut_at_the_longest():
    traffic = lognormal_traffic(mean=30_000, p95=90_000, output_share=0.5, longest_context=32_768)
    assert traffic.sample(100_000, np.random.default_rng(0)).max() <= 32_768
    assert traffic.mean_live_tokens < 32_768


@pytest.mark.parametrize("share", [0, -0.1, 1.01, math.nan])
def test_an_output_share_that_cannot_be_is_refused(share):
    with pytest.raises(TrafficError, match="output_share is"):
        lognormal_traffic(mean=100, p95=200, output_share=share, longest_context=1_000)


@pytest.mark.parametrize(
    "weights",
    [
        np.ones(500), np.random.default_rng(1).random(500) ** 20, np.array([0.0, 1, 0, 3, 0]), np.array([2.0]),
        np.geomspace(1, 1e-12, 300),
    ],
    ids=["alike", "unlike", "some never", "one", "ever rarer"],
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 100_000])
def test_a_table_finds_the_request_that_a_search_finds(weights, count):
    cumulative = np.cumsum(weights)
    at = np.random.default_rng(2).random(count) * cumulative[-1]
    at[: len(weights) - 1] = np.sort(cumulative[:-1])[:count]  # and exactly where one request ends and the next begins
    at = at[at < cumulative[-1]]
    assert _first_above(cumulative, at).tolist() == np.searchsorted(cumulative, at, side="right").tolist()


def test_requests_weigh_by_their_output():
    # 10 + 1 token: seen at 11. 100 + 3 tokens: seen at 101, 102, 103, three times as often. Mean (11 + 3 x 102) / 4
    traffic = csv_traffic(b"prompt_tokens,output_tokens\n10,1\n100,3\n", longest_context=1_000)
    assert traffic.weights.tolist() == [0.25, 0.75]
    assert traffic.mean_live_tokens == pytest.approx(79.25)
    # E[x^2] = (121 + 101^2 + 102^2 + 103^2) / 4
    assert traffic.live_tokens_deviation == pytest.approx(math.sqrt((121 + 31_214) / 4 - 79.25**2))
    assert sorted(set(traffic.sample(1_000, np.random.default_rng(0)).tolist())) == [11, 101, 102, 103]


def test_many_sequences_look_normal():
    # uniform on 1..1000: mean 500.5, variance (1000^2 - 1) / 12
    traffic = csv_traffic(b"prompt_tokens,output_tokens\n0,1000\n", longest_context=1_000)
    batch = 400
    deviation = math.sqrt((1_000**2 - 1) / 12)
    assert traffic.live_tokens_deviation == pytest.approx(deviation)
    one_in_a_hundred = batch * 500.5 + 2.3263 * deviation * math.sqrt(batch)
    found = occupancy(traffic, capacity=one_in_a_hundred, batch_size=batch, cost=in_tokens)
    assert found.overflow_probability == pytest.approx(0.01, abs=4 * math.sqrt(0.01 * 0.99 / found.trials))
    assert found.overflow_error == pytest.approx(math.sqrt(0.01 * 0.99 / found.trials), rel=0.4)
    assert abs(found.holding_batch - batch) <= 2
    assert found.static_batch == int(one_in_a_hundred // 1_000)


def test_the_same_seed_gives_the_same_answer():
    traffic = lognormal_traffic(mean=1_000, p95=3_000, output_share=0.3, longest_context=8_192)
    runs = [occupancy(traffic, capacity=60_000, batch_size=30, cost=in_tokens, seed=seed) for seed in (7, 7, 8)]
    assert runs[0] == runs[1]
    assert runs[0].overflow_probability != runs[2].overflow_probability


@settings(max_examples=20, deadline=None)
@given(mean=st.integers(50, 4_000), ratio=st.floats(1, 3.5), capacity=st.integers(10_000, 200_000))
def test_the_curve_falls_and_agrees_with_the_batch_that_holds(mean, ratio, capacity):
    traffic = lognormal_traffic(mean=mean, p95=ratio * mean, output_share=0.5, longest_context=16_384)
    found = occupancy(traffic, capacity=capacity, batch_size=8, cost=in_tokens)
    chances = [chance for _, chance in found.curve]
    assert chances == sorted(chances, reverse=True)
    assert found.static_batch <= found.holding_range[1]
    assert found.holding_range[0] <= found.holding_batch <= found.holding_range[1]
    assert dict(found.curve)[8] == pytest.approx(1 - found.overflow_probability)


def test_blocks_are_whole():
    assert block_tokens(np.array([1, 16, 17]), 16).tolist() == [16, 16, 32]


def test_no_overflow_in_any_trial_is_a_bound_and_not_a_certainty():
    found = occupancy(constant_traffic(10), capacity=1_000, batch_size=5, cost=in_tokens)
    assert found.overflow_probability == 0
    assert found.overflow_error == 3 / found.trials


def test_a_batch_too_large_to_simulate_is_refused():
    with pytest.raises(TrafficError, match="batch_size is 16,385: the simulation takes 1 to 16,384"):
        occupancy(constant_traffic(10), capacity=1_000, batch_size=16_385, cost=in_tokens)


def test_a_csv_is_read_whatever_its_column_order_and_case():
    data = "\ufeffid,Output_Tokens, PROMPT_TOKENS \n7,20,100\n\n8,5,30\n".encode()
    traffic = csv_traffic(data, longest_context=110)
    assert (traffic.prompt_tokens.tolist(), traffic.output_tokens.tolist()) == ([100, 30], [10, 5])
    assert traffic.sentence == "2 requests read; 1 cut at 110 tokens."
    longer = csv_traffic(b"prompt_tokens,output_tokens\n9,9\n50,1\n", longest_context=20)
    assert longer.sentence == "2 requests read; 0 cut at 20 tokens, 1 left out whose prompt fills it."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the first row must name prompt_tokens and output_tokens once each; found: nothing"),
        (b"prompt,output\n1,2\n", "once each; found: prompt, output"),
        (b"prompt_tokens,output_tokens,output_tokens\n1,2,3\n", "once each"),
        (b"prompt_tokens,output_tokens\n", "a header and no rows"),
        (b"prompt_tokens,output_tokens\n1,2\n3,x\n", "row 3: output_tokens is 'x': give a whole number from 1"),
        (b"prompt_tokens,output_tokens\n1,0\n", "row 2: output_tokens is '0'"),
        (b"prompt_tokens,output_tokens\n-1,2\n", "row 2: prompt_tokens is '-1': give a whole number from 0"),
        (b"prompt_tokens,output_tokens\n1.5,2\n", "row 2: prompt_tokens is '1.5'"),
        (b"prompt_tokens,output_tokens\n5\n", "row 2: output_tokens is ''"),
        (b"prompt_tokens,output_tokens\n99999999999,2\n", "row 2: prompt_tokens is '99999999999'"),
        (b"prompt_tokens,output_tokens\n\xff,2\n", "the file is not UTF-8 text (byte 28)"),
        (b"prompt_tokens,output_tokens\n" + b'"' + b"1" * 200_000, "the file is not CSV"),
        (b"prompt_tokens,output_tokens\n500,5\n", "every prompt fills the context of 100 tokens"),
        (b"x" * (MAX_CSV_BYTES + 1), "at most 8,000,000 are read"),
        (b"prompt_tokens,output_tokens\n" + b"1,1\n" * (MAX_CSV_ROWS + 1), "more than 200,000 rows"),
    ],
)
def test_a_bad_csv_is_refused_with_row_and_column(data, message):
    with pytest.raises(TrafficError) as caught:
        csv_traffic(data, longest_context=100)
    assert message in str(caught.value)


def test_a_line_too_long_is_refused_whatever_limit_the_process_has(request: pytest.FixtureRequest) -> None:
    request.addfinalizer(partial(csv.field_size_limit, csv.field_size_limit(32 * 10**6)))  # as reading a run's CSV does
    with pytest.raises(TrafficError, match="the file is not CSV: a line has 131,073 characters, and 131,072 are read"):
        csv_traffic(b"prompt_tokens,output_tokens\n" + b"1" * 131_073, longest_context=100)


@pytest.mark.parametrize("tokens", [0, -1, 2**31, True])
def test_a_context_that_cannot_be_is_refused(tokens):
    with pytest.raises(TrafficError, match="context_length is"):
        constant_traffic(tokens)


def test_room_may_shrink_with_the_number_of_sequences():
    """10 tokens each of 1,000 less 5 for each: 66 x 10 <= 1,000 - 330; none beyond 40 where a batch ends there."""
    found = occupancy(
        constant_traffic(10), capacity=lambda batches: 1_000.0 - 5 * batches, batch_size=67, cost=in_tokens
    )
    assert (found.holding_batch, found.static_batch, found.overflow_probability) == (66, 66, 1)

    def ends_at_40(batches):
        return np.where(batches <= 40, 1_000.0, -np.inf)

    found = occupancy(constant_traffic(10), capacity=ends_at_40, batch_size=40, cost=in_tokens)
    assert (found.holding_batch, found.static_batch, found.overflow_probability) == (40, 40, 0)


def test_a_job_at_a_constant_context_agrees_with_its_plan():
    # H100: 48.94 GB are left beside 26.03 GB of weights when K and V projections are kept; here G = 1 in bf16 drops
    # 2.04 B parameters, so 39 sequences of 1.25 GiB fit: floor((76.97 - 21.93 - 2.0) / 1.342)
    fit = fit_traffic(job(num_kv_heads=1, kv_bits=16), constant_traffic(65_536))
    assert (fit.occupancy.holding_batch, fit.occupancy.static_batch) == (39, 39)
    assert fit.worst_case_bytes == 32 * 5 * 2**28  # 1.25 GiB each
    assert fit.mean_live_bytes == pytest.approx(fit.worst_case_bytes)


def test_live_tokens_hold_what_static_allocation_cannot():
    # argument: at a mean live context of a quarter of 64k, G = 8 in 8 bits needs 42.9 GB instead of 171.8 GB
    quarter = csv_traffic(b"prompt_tokens,output_tokens\n16383,1\n", longest_context=65_536)
    fit = fit_traffic(job(), quarter)
    assert fit.mean_live_bytes == pytest.approx(42_949_672_960)
    assert fit.worst_case_bytes == 171_798_691_840
    assert fit.fill < 1
    assert fit.occupancy.overflow_probability == 0
    assert fit.occupancy.static_batch < 32 <= fit.occupancy.holding_batch


@pytest.mark.parametrize("pattern", [None, WindowPattern(global_layers=10, local_layers=30, window=4_096)])
@pytest.mark.parametrize("tensor_parallel", [1, 8])
def test_many_contexts_at_once_cost_what_the_plan_says_for_each(pattern, tensor_parallel):
    from core.serving.kv_ledger import kv_ledger

    asked = job(window_pattern=pattern, tensor_parallel=tensor_parallel, num_accelerators=tensor_parallel)
    ledger = kv_ledger(asked.served_model, tensor_parallel)
    contexts = [1, 15, 16, 17, 4_095, 4_096, 4_097, 65_536]
    together = reserved_elements(ledger, np.array(contexts), 16)
    assert together.tolist() == [ledger.reserved_elements(context, 16) for context in contexts]


def test_a_job_that_has_no_room_for_a_cache_holds_nothing():
    fit = fit_traffic(job(accelerator="l4"), constant_traffic(4_096))
    assert (fit.capacity_bytes, fit.occupancy.holding_batch, fit.fill) == (0, 0, math.inf)


def test_traffic_is_a_mix_whose_weights_add_up():
    for traffic in (constant_traffic(7), lognormal_traffic(mean=9, p95=20, output_share=1, longest_context=99)):
        assert isinstance(traffic, Traffic)
        assert traffic.weights.sum() == pytest.approx(1)


def test_figures_of_one_copy_and_without_the_shared_prefix_say_so():
    traffic = constant_traffic(4_096)
    asked = job(context_length=4_096, num_accelerators=4, batch_size=128)
    fitted = fit_traffic(asked, traffic)
    assert fitted.occupancy.batch_size == 32
    assert fitted.scope == "All of it is one copy of the model's, of 4 that share the batch."
    shared = fit_traffic(job(context_length=4_096, shared_prefix=2_048), traffic)
    assert shared.scope == "The shared prefix is left out: each sequence holds its 2,048 tokens itself."
    assert fit_traffic(job(context_length=4_096), traffic).scope == ""
