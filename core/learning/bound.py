"""When decoding stops being bound by memory: arithmetic intensity of a step's parts against an accelerator's ridge.

A read of the cache serves every query token of the step: k drafted tokens (speculation, multi-token prediction) do k
times the arithmetic for the same bytes. At b bytes an element, attention over G KV heads does 2 k (H / G) / b FLOPs a
byte. MLA in its absorbed form lets all query heads read one latent: 2 H (latent + rotary) + 2 H latent FLOPs for
(latent + rotary) b bytes, times k (DeepSeek-V2, arXiv 2405.04434, section 2.1; Zadouri et al. 2025, arXiv 2505.21487,
Table 1: about 2 H at 2 bytes). Weights are read once for the whole batch, k tokens each, and for a prefill chunk.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.learning.techniques.latent import DEEPSEEK_V2
from core.models.attention import LatentAttention

FILE = Path(__file__).parents[1] / "data" / "many_queries.json"
QUERIES = (1, 2, 4, 8)
HEADS = 40
KV_HEADS = (40, 8, 1)


def grouped_intensity(num_query_heads: int, num_kv_heads: int, queries: int, bytes_per_element: float = 2) -> float:
    """FLOPs for each byte of keys and values, `queries` tokens reading them together."""
    return 2 * queries * num_query_heads / num_kv_heads / bytes_per_element


def absorbed_intensity(queries: int, layer: LatentAttention = DEEPSEEK_V2, bytes_per_element: float = 2) -> float:
    """The same of MLA with keys and values left in the latent."""
    width = layer.latent_dim + layer.rope_dim
    flops = 2 * layer.num_query_heads * (width + layer.latent_dim)
    return queries * flops / (width * bytes_per_element)


def weight_intensity(batch_size: int, queries: int, chunk: int = 0, bytes_per_element: float = 2) -> float:
    """FLOPs for each byte of dense weights: 2 for every token of the step."""
    return 2 * (batch_size * queries + chunk) / bytes_per_element


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds by G and k on one machine, and what was run."""

    machine: str
    command: str
    tokens: int
    seconds: Mapping[int, Mapping[int, float]]

    def times(self, num_kv_heads: int, queries: int) -> float:
        """How much longer k tokens took than one."""
        return self.seconds[num_kv_heads][queries] / self.seconds[num_kv_heads][1]


@cache
def measured() -> Measured:
    """The recorded run of core.decode.many_queries."""
    record = json.loads(FILE.read_text(encoding="utf-8"))
    seconds = {int(g): {int(k): value for k, value in row.items()} for g, row in record["seconds"].items()}
    return Measured(machine=record["machine"], command=record["command"], tokens=record["tokens"], seconds=seconds)
