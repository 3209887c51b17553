"""The whole step: its layer against transformers' own, and a run that times it."""

import sys
from dataclasses import replace
from inspect import signature

import pytest
import torch

from core.decode.inputs import make_inputs
from core.decode.kernel import NATURAL, Kernel, reference
from core.decode.model_check import check_against_transformers, needed_bytes
from core.decode.plan import DecodeJob, StepShape, step_read_bytes
from core.decode.records import Roofline
from core.decode.run import Run, run_quietly
from core.decode.step import _bound, _forecast
from core.decode.step_layer import DRAWN, Layer, drawn_into

pytestmark = pytest.mark.torch

SHAPE = StepShape(num_layers=3, hidden_size=64, intermediate_size=160, vocab_size=100)
JOB = DecodeJob(
    num_query_heads=4, kv_heads=(2,), head_dim=32, context_length=24, batch_size=2, dtype="float32", device="cpu",
    kernels=("repeat_kv",), step=SHAPE, seed=3, quick=True,
)  # fmt: skip


def test_our_layer_is_llamas():
    from transformers import DynamicCache, LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    config = LlamaConfig(
        hidden_size=64, intermediate_size=160, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
        num_hidden_layers=1, attn_implementation="sdpa", rms_norm_eps=torch.finfo(torch.float32).eps,
    )  # fmt: skip
    theirs = LlamaDecoderLayer(config, 0).eval()
    ours = Layer(JOB, SHAPE, 2, torch.device("cpu"))
    names = {f"self_attn.{n}_proj.weight": n for n in "qkvo"} | {
        f"mlp.{n}_proj.weight": n for n in ("gate", "up", "down")
    }
    state = {name: ours.weights[key] for name, key in names.items()}
    theirs.load_state_dict(
        state | {"input_layernorm.weight": ours.norms[0], "post_attention_layernorm.weight": ours.norms[1]}
    )
    held = make_inputs(JOB, 2, torch.device("cpu"), torch.Generator().manual_seed(1))
    cache = DynamicCache(config=config)
    cache.update(held.keys[:, :, :-1].clone(), held.values[:, :, :-1].clone(), 0)
    x = torch.randn(2, 64, generator=torch.Generator().manual_seed(2))
    argument = "cache" if "cache" in signature(theirs.forward).parameters else "past_key_values"  # until 5.23
    with torch.inference_mode():
        mine = ours.decode(x, held, lambda: reference(held))
        out = theirs(x[:, None], **{argument: cache}, position_embeddings=(ours.cos, ours.sin), use_cache=True)
    hidden = out[0] if isinstance(out, tuple) else out
    assert torch.allclose(mine, hidden.reshape(2, 64), atol=1e-5)


@pytest.fixture
def small(monkeypatch):
    """Rates of one a second, the least of rounds, and the same small shape beside transformers."""
    rates = Roofline(bytes_per_second=1e9, flops_per_second=1e9, exp_per_second=1e9)
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: rates)
    monkeypatch.setattr("core.decode.run.QUICK_ROUND_SECONDS", 0.0)
    monkeypatch.setattr("core.decode.step.QUICK_SECONDS", 0.0)
    monkeypatch.setattr("core.decode.model_check.QUICK_SECONDS", 0.0)
    monkeypatch.setattr("core.decode.model_check.SMALL", SHAPE)
    monkeypatch.setattr("core.decode.model_check.small_job", lambda _dtype: JOB)


def test_a_run_times_the_step_and_compares_with_transformers(small):
    record = run_quietly(Run(JOB))
    (step,) = record.steps
    assert (step.kv_heads, step.kernel, step.num_layers) == (2, "repeat_kv", 3)
    # q, o: 128 x 64 each; k, v: 64 x 64 each; FFN: 3 x 64 x 160; 4 bytes
    assert step.weight_bytes == 4 * (2 * 128 * 64 + 2 * 64 * 64 + 3 * 64 * 160)
    assert step.step_seconds == pytest.approx(3 * step.layer_seconds + step.ends_seconds)
    assert len(step.layer_samples) == len(step.ends_samples) == 5
    assert record.model_check is not None
    assert record.model_check.difference == pytest.approx(
        record.model_check.summed_seconds / record.model_check.transformers_seconds - 1
    )
    assert record.model_check.cache_copy_seconds > 0
    assert len(record.model_check.summed_samples) == len(record.model_check.transformers_samples) == 7


def test_the_bound_of_a_step_is_that_of_its_own_bytes(small):
    (step,) = run_quietly(Run(JOB)).steps
    # layer: 221,184 bytes of weights + 2 x 2 x 32 x 4 x 48 of cache; head and two rows of the embedding: 102 x 64 x 4
    assert step.read_bytes == 3 * (221_184 + 24_576) + 26_112
    assert step_read_bytes(JOB, SHAPE, 2) == step.read_bytes  # as said before the run
    assert step.roofline_seconds == pytest.approx(step.read_bytes / 1e9)  # its 762,880 FLOPs are a little less
    assert step.bytes_per_second == 1e9


def test_every_g_of_a_step_reads_the_same_weights(small):
    record = run_quietly(Run(replace(JOB, kv_heads=(4, 2, 1))))
    assert [s.kv_heads for s in record.steps] == [4, 2, 1]
    # a KV head less is 2 x 32 x 64 weights of 4 bytes less
    assert [s.weight_bytes - record.steps[2].weight_bytes for s in record.steps] == [3 * 16_384, 16_384, 0]
    whole = Layer(JOB, SHAPE, 4, torch.device("cpu"))
    narrow = whole.with_kv_heads(1)
    assert narrow.weights["k"].shape == (32, 64)
    assert {n: w.data_ptr() for n, w in narrow.weights.items()} == {n: w.data_ptr() for n, w in whole.weights.items()}


def test_a_step_without_room_is_said_and_the_kernels_stand(small, monkeypatch):
    run = Run(JOB)
    monkeypatch.setattr("core.decode.step.devices.free_bytes", lambda _device: 10**5)
    record = run_quietly(run)
    assert record.message.startswith("No whole step: a layer, its caches and the head need 0.0 GB, and 0.0 are free")
    assert (record.status, record.steps) == ("complete", ())
    assert record.best()[2].median_seconds


def test_a_step_that_the_time_limit_cuts_off_is_said(small, monkeypatch):
    # the search asks whether its rounds still fit, the step whether any time is left: only the second is answered no
    monkeypatch.setattr(Run, "_out_of_time", lambda _run, reserved_seconds=None: reserved_seconds is None)
    record = run_quietly(Run(JOB))
    assert record.message == "No whole step: the time limit left none for it."
    assert (record.status, record.steps, record.model_check) == ("complete", (), None)


@pytest.mark.parametrize(("layout", "fits"), [(NATURAL, True), ("packed", False)])
def test_only_a_layout_of_its_own_needs_a_second_cache(small, monkeypatch, layout, fits):
    # three layers of 221,184 bytes of weights and 32,768 of padded cache, and ends of 51,200: 813,056; a second
    # cache of each adds 98,304
    kernel = Kernel(name="planted", summary="", prepare=lambda inputs: lambda: reference(inputs), layout=layout)
    monkeypatch.setattr("core.decode.run.all_kernels", lambda _type: (kernel,))
    monkeypatch.setitem(sys.modules, "transformers", None)  # not compared here
    run = Run(replace(JOB, kernels=("planted",)))
    monkeypatch.setattr("core.decode.step.devices.free_bytes", lambda _device: 900_000)
    assert bool(run_quietly(run).steps) is fits


def test_without_transformers_the_step_stands_alone(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    record = run_quietly(Run(JOB))
    assert record.message.startswith("Not compared with transformers: ")
    assert len(record.steps) == 1
    assert record.model_check is None


def test_the_comparison_says_its_shape(small):
    check = check_against_transformers(torch.device("cpu"), "float32", shape=SHAPE, job=JOB, quick=True)
    assert check.shape == "3 layers of 64, 4 query and 2 KV heads, 24 tokens, float32"
    assert check.transformers_seconds > 0


def test_the_comparison_needs_memory_and_time(monkeypatch):
    # weights: 3 layers x 64 x (2 x (4 + 2) x 32 + 3 x 160) = 165,888, both ends 12,800; 4 bytes to begin with, 2 x 4
    # kept. caches: 3 x 3 layers x 2 x 2 heads x 32 x 4 bytes x 32 tokens (24 rounded up) x 2 sequences = 294,912
    assert needed_bytes(JOB, SHAPE) == 178_688 * 12 + 294_912
    asked = {"shape": SHAPE, "job": JOB, "quick": True}
    with pytest.raises(RuntimeError, match="the time limit left no time for it"):
        check_against_transformers(torch.device("cpu"), "float32", **asked, deadline=0.0)
    monkeypatch.setattr("core.decode.device.free_bytes", lambda _device: 1_000_000)
    with pytest.raises(RuntimeError, match=r"the two need 0\.0 GB, and 0\.0 are free"):
        check_against_transformers(torch.device("cpu"), "float32", **asked)


def test_the_bound_of_a_step_is_the_larger_of_both_for_each_part():
    """Two sequences: a weight of 4 bytes takes 4 FLOPs. Reads of 2 bytes and 1 FLOP a second bound by arithmetic."""
    layer = Layer(JOB, SHAPE, 2, torch.device("cpu"))
    projections, ffn, attention = layer.works()
    # q, o: 128 x 64 each; k, v: 64 x 64 each; the FFN 3 x 64 x 160; 24 tokens of 2 heads of 32, K and V, 2 sequences
    assert (projections.read_bytes, projections.flops) == (4 * 24_576, 4 * 24_576)
    assert (ffn.read_bytes, ffn.flops) == (4 * 30_720, 4 * 30_720)
    assert (attention.read_bytes, attention.flops) == (24_576, 4 * 4 * 32 * 48)
    assert ffn.seconds(2.0, 1.0) == (122_880.0, True)
    assert ffn.seconds(1.0, 2.0) == (122_880.0, False)
    assert _bound([(3, ffn), (1, attention)], 2.0, 1.0) == (3 * 122_880.0 + 24_576.0, 3 * 122_880.0 + 24_576.0)
    assert _bound([(3, ffn), (1, attention)], 1.0, 2.0) == (3 * 122_880.0 + 24_576.0, 0.0)


def test_a_forecast_multiplies_weights_at_the_products_own_rate():
    projections, ffn, attention = Layer(JOB, SHAPE, 2, torch.device("cpu")).works()
    works = [(3, projections), (3, ffn), (3, attention), (1, ffn)]
    # a byte a second and a peak of 4 FLOPs: all reads. The product alone does half a FLOP a second, and a byte of
    # weights takes one: twice the time of the weights, attention as it was
    weights = 3 * 4 * 24_576 + 4 * 4 * 30_720
    assert _bound(works, 1.0, 4.0) == (weights + 3 * 24_576, 0.0)
    assert _forecast(works, 1.0, 4.0, 0.5) == 2 * weights + 3 * 24_576
    assert _forecast(works, 1.0, 4.0, 9.0) == weights + 3 * 24_576  # never below the bound


@pytest.mark.parametrize("shape", [(3, 5), (2, DRAWN + 7)])
def test_weights_are_drawn_in_part_and_filled_to_the_end(shape):
    flat = drawn_into(torch.full(shape, float("nan"))).view(-1)
    assert bool(flat.isfinite().all())
    assert 0 < flat.abs().max().item() < 0.2  # ten deviations of 0.02
    again = flat[:DRAWN].repeat(2)[: flat.numel() - DRAWN] if flat.numel() > DRAWN else flat[:0]
    assert torch.equal(flat[DRAWN:], again)
