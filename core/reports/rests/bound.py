"""When memory stops binding: the ridge and every intensity with its numbers, and what the measurement ran."""

from core.hardware.accelerators import Accelerator
from core.learning.bound import (
    HEADS,
    KV_HEADS,
    QUERIES,
    absorbed_intensity,
    grouped_intensity,
    measured,
    weight_intensity,
)
from core.learning.techniques.latent import DEEPSEEK_V2
from core.reports.closing import Rests, Sourced

FORMS = (
    Sourced(
        says="In the absorbed form of MLA all query heads read one latent.",
        source="DeepSeek-V2, section 2.1. https://arxiv.org/abs/2405.04434",
    ),
    Sourced(
        says="Arithmetic intensity of decoding by layout: about 2 H of MLA at 2 bytes.",
        source="Zadouri, Strauss, Dao 2025, Table 1. https://arxiv.org/abs/2505.21487",
    ),
)


def bound_rests(device: Accelerator, batch_size: int, chunk: int) -> Rests:
    """One row a layout at k = 1 and at the largest k, then the weights."""
    ran = measured()
    return Rests(
        said="A read of the cache can serve several query tokens: then the same bytes carry k times the arithmetic. "
        "Batch and prefill chunks help the weights' reading alone; k helps the cache's too.",
        formulas=(_ridge(device), *_grouped(), *_latent(), *_weights(batch_size, chunk)),
        evidence=(
            *(Sourced(says=f"{device.name}: {what}", source=source) for what, source in _sheet(device)),
            *FORMS,
            Sourced(says=f"Seconds of k query tokens on {ran.machine}", source=f"recorded by {ran.command}"),
        ),
        assumed=(
            "Keys, values and weights take 2 bytes an element; reads reach the bandwidth of the data sheet, products "
            "its dense rate.",
            f"The cache's rows are of {HEADS} query heads; the measured ones of {ran.tokens:,} tokens at 32 bits.",
        ),
    )


def _ridge(device: Accelerator) -> tuple[str, str, str]:
    rate, read = device.bf16_dense_flops or 0, device.bandwidth_bytes_per_s or 1
    return f"Ridge of {device.name}", f"{rate / 1e12:,.1f} TFLOP/s / {read / 1e12:g} TB/s", _per_byte(rate / read)


def _grouped() -> list[tuple[str, str, str]]:
    return [
        (f"G = {g}, k = {k}", f"2 × {k} × {HEADS} / {g} / 2 B", _per_byte(grouped_intensity(HEADS, g, k)))
        for g in KV_HEADS
        for k in (QUERIES[0], QUERIES[-1])
    ]


def _latent() -> list[tuple[str, str, str]]:
    width = DEEPSEEK_V2.latent_dim + DEEPSEEK_V2.rope_dim
    heads = DEEPSEEK_V2.num_query_heads
    return [
        (f"MLA absorbed, k = {k}", f"{k} × 2 × {heads} × ({width} + {DEEPSEEK_V2.latent_dim}) / ({width} × 2 B)",
         _per_byte(absorbed_intensity(k)))
        for k in (QUERIES[0], QUERIES[-1])
    ]  # fmt: skip


def _weights(batch_size: int, chunk: int) -> list[tuple[str, str, str]]:
    return [
        (f"Weights, k = {k}", f"2 × ({batch_size} × {k} + {chunk:,}) / 2 B",
         _per_byte(weight_intensity(batch_size, k, chunk)))
        for k in (QUERIES[0], QUERIES[-1])
    ]  # fmt: skip


def _per_byte(value: float) -> str:
    return f"{value:,.4g} FLOPs a byte"


def _sheet(device: Accelerator) -> list[tuple[str, str]]:
    """What the data sheet says, with where."""
    found = [("bandwidth", device.sources.bandwidth), ("dense rate of 16 bits", device.sources.bf16)]
    return [(what, source) for what, source in found if source]
