"""The whole step: its layer against transformers' own, and a run that times it."""

import pytest
import torch

from core.decode.kernels import reference
from core.decode.model_check import check_against_transformers
from core.decode.plan import DecodeJob, StepShape
from core.decode.records import Roofline
from core.decode.run import Run, make_inputs, run_quietly
from core.decode.step import Layer

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
    x = torch.randn(2, 64)
    with torch.inference_mode():
        mine = ours.decode(x, held, lambda: reference(held))
        out = theirs(x[:, None], past_key_values=cache, position_embeddings=(ours.cos, ours.sin), use_cache=True)
    hidden = out[0] if isinstance(out, tuple) else out
    assert torch.allclose(mine, hidden.reshape(2, 64), atol=1e-5)


def test_a_run_times_the_step_and_compares_with_transformers(monkeypatch):
    rates = Roofline(bytes_per_second=1e9, flops_per_second=1e9, exp_per_second=1e9)
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: rates)
    monkeypatch.setattr("core.decode.model_check.SMALL", SHAPE)
    monkeypatch.setattr("core.decode.model_check.small_job", lambda _dtype: JOB)
    record = run_quietly(Run(JOB))
    (step,) = record.steps
    assert (step.kv_heads, step.kernel, step.num_layers) == (2, "repeat_kv", 3)
    # q, o: 128 x 64 each; k, v: 64 x 64 each; FFN: 3 x 64 x 160; 4 bytes
    assert step.weight_bytes == 4 * (2 * 128 * 64 + 2 * 64 * 64 + 3 * 64 * 160)
    assert step.step_seconds == pytest.approx(3 * step.layer_seconds + step.ends_seconds)
    assert record.model_check is not None
    assert record.model_check.difference == pytest.approx(
        record.model_check.summed_seconds / record.model_check.transformers_seconds - 1
    )


def test_the_comparison_says_its_shape():
    check = check_against_transformers(torch.device("cpu"), "float32", shape=SHAPE, job=JOB)
    assert check.shape == "3 layers of 64, 4 query and 2 KV heads, 24 tokens, float32"
    assert check.transformers_seconds > 0
