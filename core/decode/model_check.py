"""Is the sum of a whole step honest? transformers' own LlamaForCausalLM beside our sum, on a small shape that fits.

Both decode one token over a filled cache, in interleaved rounds: one step of theirs, then each of our layers (all of
them different, so that none finds its weights in cache), then both ends, then what their cache does beyond ours: it
copies itself for every token (torch.cat in DynamicCache), where ours is written in place. Our layers compute attention
as their model does without a mask: SDPA with enable_gqa.
"""

import math
from collections.abc import Hashable
from inspect import signature
from statistics import median

import torch
from torch import Tensor

from core.decode import device as devices
from core.decode.kernel import Call
from core.decode.kernels import all_kernels
from core.decode.plan import ELEMENT_BYTES, DecodeJob, StepShape, layer_weight_bytes
from core.decode.records import ModelCheck
from core.decode.rounds import Turn, interleave
from core.decode.sampling import times_as_long
from core.decode.step_layer import Ends, Layer, drawn_into

SMALL = StepShape(num_layers=4, hidden_size=2048, intermediate_size=5632, vocab_size=32_000)
SMALL_HEADS, SMALL_KV_HEADS, SMALL_CONTEXT, SMALL_HEAD_DIM = 16, 4, 2048, 128
KERNEL = "sdpa_enable_gqa"  # transformers/integrations/sdpa_attention.py: use_gqa_in_sdpa, no mask in a plain decode
ROUNDS, SECONDS, QUICK_SECONDS = (7, 80), 10.0, 4.0
THEIRS, ENDS, COPY = "transformers", "ends", "cache copy"


def small_job(dtype: str) -> DecodeJob:
    """The shape on which the sum is compared with transformers' own model."""
    return DecodeJob(
        num_query_heads=SMALL_HEADS, kv_heads=(SMALL_KV_HEADS,), head_dim=SMALL_HEAD_DIM,
        context_length=SMALL_CONTEXT, batch_size=1, dtype="bfloat16" if ELEMENT_BYTES[dtype] == 1 else dtype, seed=0,
    )  # fmt: skip


def check_against_transformers(
    device: torch.device, dtype: str, *, shape: StepShape | None = None, job: DecodeJob | None = None,
    quick: bool = False, deadline: float = math.inf,
) -> ModelCheck:  # fmt: skip
    """Our sum and LlamaForCausalLM on the same small shape, as medians over interleaved rounds.

    deadline is a time of time.monotonic(). Raises RuntimeError where memory or time do not suffice, or a part fails.
    """
    job, shape = job or small_job(dtype), shape or SMALL
    needed, free = needed_bytes(job, shape), devices.free_bytes(device)
    if needed > free:
        raise RuntimeError(f"the two need {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} are free")
    with torch.inference_mode():
        theirs, copy = _transformers_calls(device, job, shape)
        layers, ends = _our_calls(device, job, shape)
        works: dict[Hashable, Call] = {THEIRS: theirs, **dict(enumerate(layers)), ENDS: ends, COPY: copy}
        turns: dict[Hashable, Turn] = {name: _timed(device, work) for name, work in works.items()}
        warm = interleave(turns, least=2, most=2, seconds=0, deadline=deadline)
        seconds = times_as_long() * (QUICK_SECONDS if quick else SECONDS)
        found = interleave(turns, least=ROUNDS[0], most=ROUNDS[1], seconds=seconds, deadline=deadline)
    for failure in (*warm.failures.values(), *found.failures.values()):
        raise RuntimeError(f"a part failed: {type(failure).__name__}") from failure
    if not found.rounds:
        raise RuntimeError("the time limit left no time for it")
    taken = found.samples
    each = [seconds for i in range(len(layers)) for seconds in taken[i]]
    sums = tuple(sum(taken[i][n] for i in range(len(layers))) + taken[ENDS][n] for n in range(found.rounds))
    return ModelCheck(
        shape=_in_words(job, shape), transformers_seconds=median(taken[THEIRS]),
        summed_seconds=shape.num_layers * median(each) + median(taken[ENDS]),
        cache_copy_seconds=median(taken[COPY]), transformers_samples=taken[THEIRS], summed_samples=sums,
    )  # fmt: skip


def needed_bytes(job: DecodeJob, shape: StepShape) -> int:
    """Memory of both: theirs is made in float32 before it is converted; each has a cache, and theirs a copy of it."""
    g, width = job.kv_heads[0], ELEMENT_BYTES[job.dtype]
    ends = 2 * shape.vocab_size * shape.hidden_size
    weights = shape.num_layers * round(layer_weight_bytes(job, shape, g)) // width + ends
    return weights * (4 + 2 * width) + 3 * shape.num_layers * job.stored_bytes(g)


def _in_words(job: DecodeJob, shape: StepShape) -> str:
    return (
        f"{shape.num_layers} layers of {shape.hidden_size:,}, "
        f"{job.num_query_heads} query and {job.kv_heads[0]} KV heads, {job.context_length:,} tokens, {job.dtype}"
    )


def _timed(device: torch.device, work: Call) -> Turn:
    return lambda: devices.time_once(device, work)


def _our_calls(device: torch.device, job: DecodeJob, shape: StepShape) -> tuple[list[Call], Call]:
    """One call for each of L different layers, and the ends."""
    from core.decode.inputs import make_inputs

    generator = torch.Generator(device).manual_seed(0)
    kernel = next(k for k in all_kernels(device.type) if k.name == KERNEL)
    x = torch.randn(job.batch_size, shape.hidden_size, device=device).to(getattr(torch, job.dtype))

    def one() -> Call:
        layer = Layer(job, shape, job.kv_heads[0], device)
        cache = make_inputs(job, job.kv_heads[0], device, generator)
        attend = kernel.prepare(cache)
        return lambda: layer.decode(x, cache, attend)

    layers = [one() for _ in range(shape.num_layers)]
    return layers, Ends(shape, job.batch_size, x.dtype, device).decode


def _transformers_calls(device: torch.device, job: DecodeJob, shape: StepShape) -> tuple[Call, Call]:
    """One decode step of LlamaForCausalLM with a filled cache, each time at the same context; and its cache's copy."""
    from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM
    from transformers.initialization import no_init_weights  # drawing them as a model does takes longer than the check

    config = LlamaConfig(
        hidden_size=shape.hidden_size, intermediate_size=shape.intermediate_size, num_hidden_layers=shape.num_layers,
        num_attention_heads=job.num_query_heads, num_key_value_heads=job.kv_heads[0], head_dim=job.head_dim,
        vocab_size=shape.vocab_size, max_position_embeddings=2 * job.context_length, attn_implementation="sdpa",
    )  # fmt: skip
    dtype = getattr(torch, job.dtype)
    with torch.device(device), no_init_weights():
        model = LlamaForCausalLM(config).to(dtype).eval()
    for weights in model.parameters():
        drawn_into(weights.data)
    cache = DynamicCache(config=config)
    held = (job.batch_size, job.kv_heads[0], job.context_length - 1, job.head_dim)
    new = torch.randn(job.batch_size, job.kv_heads[0], 1, job.head_dim, device=device).to(dtype)
    for i in range(shape.num_layers):
        cache.update(torch.randn(held, device=device).to(dtype), torch.randn(held, device=device).to(dtype), i)
    argument = "cache" if "cache" in signature(model.forward).parameters else "past_key_values"  # until 5.23
    token = torch.zeros(job.batch_size, 1, dtype=torch.int64, device=device)

    def step() -> Tensor:
        out: Tensor = model(token, **{argument: cache}, use_cache=True, logits_to_keep=1).logits.argmax(-1)
        cache.crop(-1)
        return out

    def copy() -> Tensor:
        pairs = [torch.cat([kept, new], dim=-2) for layer in cache.layers for kept in (layer.keys, layer.values)]
        return pairs[-1]

    return step, copy
