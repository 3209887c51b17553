"""The sums that lessons do in front of the reader: what one decode step reads and multiplies, and what copies cost.

Everything here is a few factors long, so that a reader can redo it; sizing a real job is core.sizing's.
A step reads every weight once for the whole batch and each sequence's cache once, and does 2 FLOPs a parameter and
sequence for the weights and 4 x L x H x head_dim x tokens for the attention of each sequence.
"""

from dataclasses import dataclass

from core.hardware.accelerators import Accelerator, find_accelerator
from core.models.head_sharing import Layout
from core.parameters.count import ExpertGroup
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.step_reads import expected_distinct
from core.serving.tensor_parallel import copies_per_kv_head
from core.serving.weights import analytic_count

LAYOUT_13B = Layout(num_query_heads=40, num_kv_heads=40, head_dim=128, num_layers=40)
LAYOUT_70B = Layout(num_query_heads=64, num_kv_heads=8, head_dim=128, num_layers=80)
LAYOUT_MISTRAL = Layout(num_query_heads=32, num_kv_heads=8, head_dim=128, num_layers=32)
LAYOUT_FALCON_7B = Layout(num_query_heads=71, num_kv_heads=1, head_dim=64, num_layers=32)
LAYOUT_LLAMA_7B = Layout(num_query_heads=32, num_kv_heads=32, head_dim=128, num_layers=32)
# name, query heads, KV heads, in order of release; tests hold them against model_registry.yaml
FALCONS = (
    ("Falcon-7B", 71, 1),
    ("Falcon-40B", 128, 8),
    ("Falcon-180B", 232, 8),
    ("Falcon2-11B", 32, 8),
    ("Falcon3-7B", 12, 4),
    ("Falcon3-10B", 12, 4),
)
# DeepSeek-V3's experts, a byte a weight as it is published; a test holds them against model_registry.yaml
EXPERTS_V3 = ExpertGroup(layers=58, num_experts=256, experts_per_token=8, parameters_each=3 * 7168 * 2048)
PARAMETERS_V3 = 671_026_404_352  # of DeepSeek-V3, without the layer that predicts a second token
PARAMETERS_13B = analytic_count(LLAMA_2_13B).total
BYTES_13B = 2 * PARAMETERS_13B


@dataclass(frozen=True, kw_only=True)
class DecodeStep:
    """One step of a batch: bytes read and FLOPs done, weights and cache apart."""

    batch_size: int
    weight_bytes: int
    cache_bytes: int
    weight_flops: int
    cache_flops: int
    accelerator: Accelerator

    @property
    def total_bytes(self) -> int:
        return self.weight_bytes + self.cache_bytes

    @property
    def total_flops(self) -> int:
        return self.weight_flops + self.cache_flops

    @property
    def read_seconds(self) -> float:
        """Bytes over the accelerator's bandwidth: a lower bound."""
        return self.seconds_to_read(self.total_bytes)

    @property
    def flop_seconds(self) -> float:
        """FLOPs over the accelerator's dense BF16 rate: a lower bound."""
        assert self.accelerator.bf16_dense_flops is not None
        return self.total_flops / self.accelerator.bf16_dense_flops

    def seconds_to_read(self, count: float) -> float:
        """Seconds that reading count bytes takes at full bandwidth."""
        assert self.accelerator.bandwidth_bytes_per_s is not None
        return count / self.accelerator.bandwidth_bytes_per_s


def decode_step(
    layout: Layout,
    *,
    parameters: int,
    batch_size: int,
    context_length: int,
    weight_bytes: int | None = None,
    accelerator: str = "h100-sxm",
) -> DecodeStep:
    """What one token for each of batch_size sequences of context_length tokens costs; weights at 2 bytes unless given.

    Raises ValueError for a batch or context below 1, SizingError for an unknown accelerator.
    """
    if batch_size < 1 or context_length < 1:
        raise ValueError(f"batch is {batch_size} and context {context_length}: both must be at least 1.")
    tokens = batch_size * context_length
    return DecodeStep(
        batch_size=batch_size,
        weight_bytes=2 * parameters if weight_bytes is None else weight_bytes,
        cache_bytes=layout.kv_bytes_per_token * tokens,
        weight_flops=2 * parameters * batch_size,
        cache_flops=4 * layout.num_layers * layout.num_query_heads * layout.head_dim * tokens,
        accelerator=find_accelerator(accelerator),
    )


def step_13b(num_kv_heads: int, batch_size: int, context_length: int) -> DecodeStep:
    """The lessons' 13B at 16 bits on an H100, its weights the same at every G (freed parameters spent again)."""
    return decode_step(
        LAYOUT_13B.with_kv_heads(num_kv_heads),
        parameters=PARAMETERS_13B,
        batch_size=batch_size,
        context_length=context_length,
    )


def tokens_at_parity(weight_bytes: int, kv_bytes_per_token: int) -> float:
    """N*: tokens in flight at which a step reads as much cache as weights."""
    return weight_bytes / kv_bytes_per_token


def node_bytes_per_token(layout: Layout, tensor_parallel: int) -> int:
    """Cache of one token over all ranks, copies counted: L x 2 x head_dim x bytes x G x D, with D = ceil(TP / G)."""
    return layout.kv_bytes_per_token * copies_per_kv_head(layout.num_kv_heads, tensor_parallel)


def windowed_tokens(context_length: int, window: int | None, full_layers: int, num_layers: int) -> int:
    """Token-layers kept: full_layers keep the whole context, the others min(context, window)."""
    if not 0 <= full_layers <= num_layers:
        raise ValueError(f"{full_layers} full layers of {num_layers}: choose 0 to {num_layers}.")
    capped = context_length if window is None else min(context_length, window)
    return full_layers * context_length + (num_layers - full_layers) * capped


def experts_woken(batch_size: int) -> float:
    """Distinct experts of a layer of DeepSeek-V3 that a step of batch_size sequences reads, under even routing."""
    return expected_distinct(EXPERTS_V3.num_experts, EXPERTS_V3.experts_per_token, batch_size)


def expert_bytes_read(batch_size: int) -> float:
    """Bytes of experts in all layers that one step of batch_size sequences reads."""
    return EXPERTS_V3.layers * EXPERTS_V3.parameters_each * experts_woken(batch_size)
