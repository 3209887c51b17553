"""benchmarks.decode_peers: what is missing or wrong is left out in words, and llama.cpp's numbers are held to ours."""

import importlib.util
from argparse import Namespace

import pytest
import torch

from benchmarks import decode_peers, ggml_attention
from core.decode.inputs import Inputs, make_inputs
from core.decode.kernel import Call, Unavailable, reference, relative_error
from core.decode.plan import DecodeJob

pytestmark = pytest.mark.torch


def drawn(dtype: str, kv_heads: int = 2, tokens: int = 320) -> Inputs:
    job = DecodeJob(
        num_query_heads=8, kv_heads=(kv_heads,), head_dim=64, context_length=tokens, batch_size=1, dtype=dtype,
        device="cpu",
    )  # fmt: skip
    return make_inputs(job, kv_heads, torch.device("cpu"), torch.Generator().manual_seed(3))


def test_what_is_missing_or_wrong_is_left_out_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def right(inputs: Inputs) -> Call:
        return lambda: reference(inputs)

    def doubled(inputs: Inputs) -> Call:
        return lambda: 2 * reference(inputs)

    def missing(_inputs: Inputs) -> Call:
        raise Unavailable("No module named 'xllamacpp'")

    monkeypatch.setattr(decode_peers, "peers", lambda _dtype: {"ours": right, "theirs": doubled, "other": missing})
    monkeypatch.setattr(decode_peers, "timed", lambda calls, rounds: dict.fromkeys(calls, rounds))
    assert decode_peers.compared(8, Namespace(context=48, dtype="float32", rounds=2)) == {"ours": 2}
    assert capsys.readouterr().out.splitlines() == [
        "G = 8: theirs left out: relative error 1.0e+00",
        "G = 8: other left out: No module named 'xllamacpp'",
    ]


@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="pip install xllamacpp==2026.10.11549")
@pytest.mark.parametrize("prepare", [ggml_attention.flash_attention, ggml_attention.products])
@pytest.mark.parametrize("kv_heads", [8, 2, 1])
@pytest.mark.parametrize("tokens", [320, 1000])  # below and above 512 ggml shares its work among threads differently
@pytest.mark.parametrize(  # over blocks of 8 and 4 bits ggml rounds the query to 8 bits too
    ("dtype", "limit"), [("float32", 1e-6), ("bfloat16", 1e-2), ("int8", 2e-2), ("int4", 2e-2)]
)
def test_ggml_attends_as_the_reference(
    prepare: ggml_attention.Prepare, kv_heads: int, tokens: int, dtype: str, limit: float
) -> None:
    inputs = drawn(dtype, kv_heads, tokens)
    if inputs.scaled_by_token and prepare is ggml_attention.products:
        with pytest.raises(Unavailable, match="flash attention alone"):
            prepare(inputs)
    else:
        assert relative_error(prepare(inputs)(), reference(inputs)) < limit
