"""MHA to GQA: H key (or value) heads become G, each made from the H / G consecutive heads of its group.

mean    the group's heads averaged, the method that Ainslie et al. 2023 (arXiv 2305.13245, section 2.1) recommend
first   the group's first head kept, the others dropped
random  a fresh start with the spread of the old weights: nothing is kept of what was learned
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "mean": "mean of the group",
        "first": "first head of the group",
        "random": "random start",
    }
)


def merge_heads(
    weight: NDArray[np.float32], *, num_query_heads: int, num_kv_heads: int, method: str, seed: int
) -> NDArray[np.float32]:
    """A key or value projection with G heads, made from one with H.

    weight: (H × head_dim, hidden), rows of one head together; the result is (G × head_dim, hidden). seed is used by
    'random' alone. Raises ValueError where G does not divide H, H does not divide the rows, or method is not known.
    """
    rows, hidden = weight.shape
    if num_kv_heads < 1 or num_query_heads % num_kv_heads:
        raise ValueError(f"G = {num_kv_heads} does not divide H = {num_query_heads}: choose a divisor")
    if rows % num_query_heads:
        raise ValueError(f"{rows} rows cannot be split over H = {num_query_heads} heads: give H × head_dim rows")
    head_dim, group_size = rows // num_query_heads, num_query_heads // num_kv_heads
    groups = weight.reshape(num_kv_heads, group_size, head_dim, hidden)
    if method == "mean":
        merged = groups.mean(axis=1)
    elif method == "first":
        merged = groups[:, 0]
    elif method == "random":
        merged = np.random.default_rng(seed).normal(0.0, float(weight.std()), groups[:, 0].shape).astype(np.float32)
    else:
        raise ValueError(f"conversion method '{method}' is not one of {', '.join(METHODS)}")
    return np.ascontiguousarray(merged.reshape(num_kv_heads * head_dim, hidden), dtype=np.float32)


def head_similarity(weight: NDArray[np.float32], *, num_query_heads: int) -> NDArray[np.float64]:
    """Cosine of every pair of heads' weights, (H, H): near 0 means that averaging two heads keeps little of either."""
    heads = weight.reshape(num_query_heads, -1).astype(np.float64)
    units = heads / np.maximum(np.linalg.norm(heads, axis=1, keepdims=True), 1e-12)
    similarity: NDArray[np.float64] = units @ units.T
    return similarity
