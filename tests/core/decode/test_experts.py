"""A layer with experts: its arithmetic against transformers', what it draws, and what a step of it is said to read."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads

from core.decode.experts import DRAWS, drawn_routing, routing_of
from core.decode.plan import DecodeJob, InvalidJob, StepShape, layer_weight_bytes, step_read_bytes
from core.decode.products import host_product
from core.decode.records import Roofline
from core.decode.run import Run, run_quietly
from core.decode.step_layer import Layer

pytestmark = pytest.mark.torch

SHAPE = StepShape(
    num_layers=3, hidden_size=64, intermediate_size=96, vocab_size=100, num_experts=8, experts_per_token=2
)
JOB = DecodeJob(
    num_query_heads=4, kv_heads=(2,), head_dim=32, context_length=24, batch_size=2, dtype="float32", device="cpu",
    kernels=("repeat_kv",), step=SHAPE, seed=3, quick=True,
)  # fmt: skip


@pytest.mark.parametrize("product", [F.linear, host_product])
def test_our_experts_are_mixtrals(product):
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

    config = MixtralConfig(
        hidden_size=64, intermediate_size=96, num_local_experts=8, num_experts_per_tok=2, experts_implementation="eager"
    )
    theirs = MixtralSparseMoeBlock(config).eval()
    layer = Layer(replace(JOB, batch_size=5), SHAPE, 2, torch.device("cpu"), product)
    w, ours = layer.weights, layer.experts
    assert ours is not None
    theirs.load_state_dict(
        {
            "gate.weight": w["router"],
            "experts.gate_up_proj": torch.cat((w["gate"], w["up"]), 1),
            "experts.down_proj": w["down"],
        }
    )
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        mine = ours.through(x, routing_of((x @ w["router"].T).topk(2).indices))
        out = theirs(x[None])
    hidden = out[0] if isinstance(out, tuple) else out
    assert torch.allclose(mine, hidden.reshape(5, 64), atol=1e-6)


def test_each_token_draws_different_experts_evenly():
    generator, device = torch.Generator().manual_seed(5), torch.device("cpu")
    routings = [drawn_routing(SHAPE, 8, device, generator) for _ in range(400)]
    counts = torch.zeros(8)
    for routing in routings:
        assert all(len(set(row)) == 2 for row in routing.chosen.tolist())
        for expert, (rows, places) in routing.served.items():
            assert (routing.chosen[rows, places] == expert).all()
            counts[expert] += len(rows)
    assert counts.sum() == 400 * 8 * 2
    assert counts.min() > 700  # 800 each on average; the seed is fixed
    # 8 (1 - (3/4)^8) = 7.1991; the mean of 400 draws lies within 0.1 of it
    assert sum(len(r.served) for r in routings) / 400 == pytest.approx(7.1991, abs=0.1)


def test_a_step_is_said_to_read_the_expected_experts():
    # q, o: 128 x 64 each; k, v: 64 x 64 each; router: 8 x 64; an expert: 3 x 64 x 96; 4 bytes
    fixed, expert = 4 * (2 * 128 * 64 + 2 * 64 * 64 + 8 * 64), 4 * 3 * 64 * 96
    assert layer_weight_bytes(JOB, SHAPE, 2) == fixed + 8 * expert  # held
    # two sequences wake 8 (1 - (3/4)^2) = 3.5 of them; the cache and both ends as in a plain step
    assert SHAPE.experts_read(2) == 3.5
    assert step_read_bytes(JOB, SHAPE, 2) == 3 * (fixed + 7 * expert // 2 + 24_576) + 26_112
    assert SHAPE.experts_read(1) == 2.0


def test_a_run_times_a_step_with_experts(monkeypatch):
    rates = Roofline(bytes_per_second=1e9, flops_per_second=1e9, exp_per_second=1e9)
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: rates)
    monkeypatch.setattr("core.decode.run.QUICK_ROUND_SECONDS", 0.0)
    monkeypatch.setattr("core.decode.step.QUICK_SECONDS", 0.0)
    monkeypatch.setattr("core.decode.model_check.QUICK_SECONDS", 0.0)
    monkeypatch.setattr("core.decode.model_check.SMALL", replace(SHAPE, num_experts=0, experts_per_token=0))
    monkeypatch.setattr("core.decode.model_check.small_job", lambda _dtype: JOB)
    (step,) = run_quietly(Run(JOB)).steps
    assert (step.num_experts, step.experts_per_token, step.experts_expected) == (8, 2, 3.5)
    assert 2 <= step.experts_drawn <= 4
    assert step.read_bytes == step_read_bytes(JOB, SHAPE, 2)
    assert step.step_seconds == pytest.approx(3 * step.layer_seconds + step.ends_seconds)
    assert step.products_flops_per_second > 0
    assert step.own_rates_seconds >= step.roofline_seconds > 0
    assert step.over_own_rates == pytest.approx(step.step_seconds / step.own_rates_seconds)


def test_the_draws_go_round():
    layer = Layer(JOB, SHAPE, 2, torch.device("cpu"))
    assert layer.experts is not None
    with torch.inference_mode():
        for _ in range(DRAWS + 1):
            layer.experts.decode(torch.randn(2, 64))
    assert len(layer.experts.woken) == DRAWS + 1
    assert layer.experts.woken[0] == layer.experts.woken[DRAWS]
    # attention and router: 2 x 128 x 64 + 2 x 64 x 64 + 8 x 64 = 25,088; two experts: 36,864
    assert layer.matmul_flops(2) == 2 * 2 * (25_088 + 36_864)


@pytest.mark.parametrize(("experts", "taken"), [(8, 0), (0, 2), (8, 9), (5000, 2), (-1, -1)])
def test_experts_that_cannot_be_are_refused(experts, taken):
    with pytest.raises(InvalidJob, match="experts a token: give 1 to 4,096 experts and at most as many"):
        replace(SHAPE, num_experts=experts, experts_per_token=taken)


def test_experts_read_all_that_were_woken_and_multiply_what_each_token_takes():
    _, experts, _ = Layer(JOB, SHAPE, 2, torch.device("cpu")).works()
    # two sequences wake 3.5 experts of 3 x 64 x 96 weights of 4 bytes; each goes through two of them
    assert experts.read_bytes == 3.5 * 3 * 64 * 96 * 4
    assert experts.flops == 2 * 2 * 2 * 3 * 64 * 96
