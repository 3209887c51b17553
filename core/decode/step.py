"""A whole decode step: one transformer layer of the job's shape, timed as it would decode, times L, plus both ends.

The layer is Llama's: RMSNorm, QKV projections, rotary, cache append, attention by the fastest correct kernel of this
run, output projection, RMSNorm, gated FFN. The token is appended to the natural layout; a kernel with a layout of its
own would scatter the same few bytes. The ends are embedding, last norm and head. To show that the sum is honest, the
same arithmetic on a small shape is set beside transformers' own LlamaForCausalLM, its attention computed the way
transformers computes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812  the name that every torch user reads
from torch import Tensor

from core.decode import device as devices
from core.decode.kernels import Call, Inputs, Kernel, all_kernels
from core.decode.plan import COLD_BYTES, ELEMENT_BYTES, DecodeJob, StepShape
from core.decode.records import ModelCheck, RunRecord, StepResult

if TYPE_CHECKING:
    from core.decode.run import Run

SMALL = StepShape(num_layers=4, hidden_size=2048, intermediate_size=5632, vocab_size=32_000)
SMALL_HEADS, SMALL_KV_HEADS, SMALL_CONTEXT, SMALL_HEAD_DIM = 16, 4, 2048, 128
SAMPLES, SECONDS = (5, 30), 3.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the step measurement has found so far."""

    message: str
    record: RunRecord


class Layer:
    """One layer's weights, random, and its decode of one token per sequence over a given attention call."""

    def __init__(self, job: DecodeJob, shape: StepShape, num_kv_heads: int, device: torch.device) -> None:
        wide = job.num_query_heads * job.head_dim
        kv = num_kv_heads * job.head_dim
        self.dtype = torch.bfloat16 if ELEMENT_BYTES[job.dtype] == 1 else getattr(torch, job.dtype)
        self.head_dim, self.num_kv_heads, self.num_query_heads = job.head_dim, num_kv_heads, job.num_query_heads
        hidden, ffn = shape.hidden_size, shape.intermediate_size
        self.norms = torch.ones(2, hidden, device=device, dtype=self.dtype)
        sizes = {"q": (wide, hidden), "k": (kv, hidden), "v": (kv, hidden), "o": (hidden, wide)}
        sizes |= {"gate": (ffn, hidden), "up": (ffn, hidden), "down": (hidden, ffn)}
        self.weights = {name: _matrix(size, device, self.dtype) for name, size in sizes.items()}
        angles = torch.rand(job.batch_size, 1, job.head_dim, device=device)
        self.cos, self.sin = angles.cos().to(self.dtype), angles.sin().to(self.dtype)

    @property
    def weight_bytes(self) -> int:
        return sum(w.numel() * w.element_size() for w in self.weights.values())

    def decode(self, x: Tensor, cache: Inputs, attend: Call) -> Tensor:
        """x [B, hidden] -> [B, hidden]; the new token's key and value are written into the cache's last place."""
        w, batch = self.weights, x.shape[0]
        normed = F.rms_norm(x, x.shape[-1:], self.norms[0])
        query = self._rotated(F.linear(normed, w["q"]).view(batch, self.num_query_heads, self.head_dim))
        key = self._rotated(F.linear(normed, w["k"]).view(batch, self.num_kv_heads, self.head_dim))
        cache.keys[:, :, -1] = key.to(cache.keys.dtype)
        cache.values[:, :, -1] = F.linear(normed, w["v"]).view_as(key).to(cache.values.dtype)
        cache.query.copy_(query)
        attended = attend().reshape(batch, -1).to(self.dtype)
        x = x + F.linear(attended, w["o"])
        normed = F.rms_norm(x, x.shape[-1:], self.norms[1])
        return x + F.linear(F.silu(F.linear(normed, w["gate"])) * F.linear(normed, w["up"]), w["down"])

    def _rotated(self, x: Tensor) -> Tensor:
        """Rotary embedding as in transformers' apply_rotary_pos_emb: the halves swapped, one negated."""
        half = x.shape[-1] // 2
        return x * self.cos + torch.cat((-x[..., half:], x[..., :half]), -1) * self.sin


class Ends:
    """Embedding, last norm and head."""

    def __init__(self, shape: StepShape, batch_size: int, dtype: torch.dtype, device: torch.device) -> None:
        self.embedding = _matrix((shape.vocab_size, shape.hidden_size), device, dtype)
        self.head = _matrix((shape.vocab_size, shape.hidden_size), device, dtype)
        self.norm = torch.ones(shape.hidden_size, device=device, dtype=dtype)
        self.tokens = torch.randint(shape.vocab_size, (batch_size,), device=device)

    def decode(self) -> Tensor:
        x = F.embedding(self.tokens, self.embedding)
        return F.linear(F.rms_norm(x, x.shape[-1:], self.norm), self.head).argmax(-1)


def _matrix(size: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    return (torch.randn(size, device=device) * 0.02).to(dtype)


def measure_steps(run: "Run", record: RunRecord) -> Iterator[Part]:
    """A StepResult for each G whose attention has a correct kernel, then the check against transformers."""
    assert run.job.step is not None  # the caller asks only then
    for g, best in record.best().items():
        run.done_parts += 1
        try:
            step = _measure(run, run.job.step, g, best.kernel)
            record = replace(record, steps=(*record.steps, step))
            message = f"G = {g}: whole step"
        except RuntimeError as e:  # memory or a device failure: this G has no step, the rest stands
            message = f"G = {g}: no whole step, {str(e).splitlines()[0][:120]}"
            record = replace(record, message=f"{record.message} {message}".strip())
        run._free()
        yield Part(message=message, record=record)
    run.done_parts += 1
    try:
        record = replace(record, model_check=check_against_transformers(run.device, run.job.dtype))
        message = "Compared with transformers' own model"
    except (ImportError, RuntimeError) as e:
        message = f"Not compared with transformers: {str(e).splitlines()[0][:120]}"
        record = replace(record, message=f"{record.message} {message}".strip())
    yield Part(message=message, record=record)


def _measure(run: "Run", shape: StepShape, g: int, kernel_name: str) -> StepResult:
    from core.decode.run import make_inputs

    job, device = run.job, run.device
    generator = torch.Generator(device).manual_seed((job.seed or 0) + g)
    kernel = next(k for k in all_kernels(device.type) if k.name == kernel_name)
    layer = Layer(job, shape, g, device)
    copies = max(1, -(-COLD_BYTES // (layer.weight_bytes + job.stored_bytes(g))))
    caches = [make_inputs(job, g, device, generator) for _ in range(copies)]
    layers = [layer, *(Layer(job, shape, g, device) for _ in range(copies - 1))]
    attends = [kernel.prepare(cache) for cache in caches]
    x = torch.randn(job.batch_size, shape.hidden_size, device=device).to(layer.dtype)
    attention = _median(device, attends)
    whole = _median(device, [_bound(lay, x, c, a) for lay, c, a in zip(layers, caches, attends, strict=True)])
    del layers, caches, attends
    ends = Ends(shape, job.batch_size, layer.dtype, device)
    return StepResult(
        kv_heads=g, kernel=kernel_name, attention_seconds=attention, layer_seconds=whole,
        ends_seconds=_median(device, [ends.decode]), num_layers=shape.num_layers,
        weight_bytes=layer.weight_bytes, batch_size=job.batch_size,
    )  # fmt: skip


def _bound(layer: Layer, x: Tensor, cache: Inputs, attend: Call) -> Callable[[], Tensor]:
    return lambda: layer.decode(x, cache, attend)


def _median(device: torch.device, calls: list[Call]) -> float:
    with torch.inference_mode():
        return median(devices.time_calls(device, calls, least=SAMPLES[0], most=SAMPLES[1], seconds=SECONDS))


def small_job(dtype: str) -> DecodeJob:
    """The shape on which the sum is compared with transformers' own model."""
    return DecodeJob(
        num_query_heads=SMALL_HEADS, kv_heads=(SMALL_KV_HEADS,), head_dim=SMALL_HEAD_DIM,
        context_length=SMALL_CONTEXT, batch_size=1, dtype="bfloat16" if ELEMENT_BYTES[dtype] == 1 else dtype, seed=0,
    )  # fmt: skip


def check_against_transformers(
    device: torch.device, dtype: str, *, shape: StepShape | None = None, job: DecodeJob | None = None
) -> ModelCheck:
    """Our sum and LlamaForCausalLM on the same small shape, both with SDPA over repeated KV heads."""
    job, shape = job or small_job(dtype), shape or SMALL
    theirs = _transformers_seconds(device, job, shape)
    ours = _summed_seconds(device, job, shape, _kernel("repeat_kv"))
    g = job.kv_heads[0]
    words = (
        f"{shape.num_layers} layers of {shape.hidden_size:,}, {job.num_query_heads} query and {g} KV heads, "
        f"{job.context_length:,} tokens, {job.dtype}"
    )
    return ModelCheck(shape=words, transformers_seconds=theirs, summed_seconds=ours)


def _kernel(name: str) -> Kernel:
    return next(k for k in all_kernels("cpu") if k.name == name)


def _summed_seconds(device: torch.device, job: DecodeJob, shape: StepShape, kernel: Kernel) -> float:
    """L times the median layer plus the ends; L different layers, so that none finds its weights in cache."""
    from core.decode.run import make_inputs

    generator = torch.Generator(device).manual_seed(0)
    calls, x = [], None
    for _ in range(shape.num_layers):
        layer = Layer(job, shape, job.kv_heads[0], device)
        cache = make_inputs(job, job.kv_heads[0], device, generator)
        x = torch.randn(job.batch_size, shape.hidden_size, device=device).to(layer.dtype) if x is None else x
        calls.append(_bound(layer, x, cache, kernel.prepare(cache)))
    ends = Ends(shape, job.batch_size, getattr(torch, job.dtype), device)
    return shape.num_layers * _median(device, calls) + _median(device, [ends.decode])


def _transformers_seconds(device: torch.device, job: DecodeJob, shape: StepShape) -> float:
    """One decode step of LlamaForCausalLM with a filled cache; each sample decodes at the same context."""
    from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=shape.hidden_size, intermediate_size=shape.intermediate_size, num_hidden_layers=shape.num_layers,
        num_attention_heads=job.num_query_heads, num_key_value_heads=job.kv_heads[0], head_dim=job.head_dim,
        vocab_size=shape.vocab_size, max_position_embeddings=2 * job.context_length, attn_implementation="sdpa",
    )  # fmt: skip
    dtype = getattr(torch, job.dtype)
    with torch.device(device):
        model = LlamaForCausalLM(config).to(dtype).eval()
    cache = DynamicCache(config=config)
    held = (job.batch_size, job.kv_heads[0], job.context_length - 1, job.head_dim)
    for i in range(shape.num_layers):
        cache.update(torch.randn(held, device=device).to(dtype), torch.randn(held, device=device).to(dtype), i)
    token = torch.zeros(job.batch_size, 1, dtype=torch.int64, device=device)

    def call() -> Tensor:
        out: Tensor = model(token, past_key_values=cache, use_cache=True, logits_to_keep=1).logits.argmax(-1)
        cache.crop(-1)
        return out

    return _median(device, [call])
