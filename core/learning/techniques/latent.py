"""MLA against GQA in elements: one latent vector and one rotary key for all heads, against G pairs.

DeepSeek-V2 (arXiv 2405.04434, section 2.1): a token keeps kv_lora_rank + qk_rope_head_dim elements a layer, and
keys and values of every head are computed from them. Split over ranks, GQA's heads divide; the latent is whole on each.
"""

from dataclasses import dataclass

from core.models.attention import GroupedAttention, LatentAttention
from core.serving.tensor_parallel import check_split, copies_per_kv_head

DEEPSEEK_V2 = LatentAttention(num_query_heads=128, latent_dim=512, rope_dim=64)
DEEPSEEK_V2_HEAD_DIM = 128


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one rank keeps of one token and layer. num_kv_heads is None for MLA."""

    name: str
    kind: str
    num_kv_heads: int | None
    elements: float


def latent_elements(layer: LatentAttention = DEEPSEEK_V2) -> int:
    """Elements a token and layer: latent_dim + rope_dim."""
    return layer.cached_elements(1)


def equivalent_kv_heads(layer: LatentAttention = DEEPSEEK_V2, head_dim: int = DEEPSEEK_V2_HEAD_DIM) -> float:
    """The G whose cache is as large: (latent_dim + rope_dim) / (2 × head_dim)."""
    return latent_elements(layer) / (2 * head_dim)


def shares(*, num_query_heads: int, num_kv_heads: int, head_dim: int, tensor_parallel: int) -> tuple[Share, ...]:
    """MHA, GQA with that G, MQA and DeepSeek-V2's MLA, on each of tensor_parallel ranks.

    Raises ValueError (SizingError) where heads do not divide over the ranks.
    """
    found = []
    for kind, g in (("MHA", num_query_heads), ("GQA", num_kv_heads), ("MQA", 1)):
        check_split(num_query_heads, g, tensor_parallel)
        layer = GroupedAttention(num_query_heads=num_query_heads, num_kv_heads=g, head_dim=head_dim, value_dim=head_dim)
        copies = copies_per_kv_head(g, tensor_parallel)
        elements = layer.cached_elements(1) * copies / tensor_parallel
        found.append(Share(name=f"{kind}, G = {g}", kind=kind, num_kv_heads=g, elements=elements))
    found.append(Share(name="MLA, 512 + 64", kind="MLA", num_kv_heads=None, elements=latent_elements()))
    return tuple(found)
