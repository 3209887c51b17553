"""The tables of the technique pages as rows, for the page, for its CSV and for its report."""

from core.learning.techniques.published import published
from core.learning.techniques.quantisation import BITS, stored_bits
from core.models.head_sharing import Layout

TOKEN = Layout(num_query_heads=32, num_kv_heads=32, head_dim=128, num_layers=32)
KV_HEADS = (32, 8, 4, 1)
SCORES = {"BBH": "bbh", "MMLU": "mmlu", "C-Eval": "ceval", "CMMLU": "cmmlu"}


def stored_rows(group: int) -> list[dict[str, float]]:
    """Of each width: bits with their scales in groups of that many elements, and bytes of a token of TOKEN by G."""
    rows = []
    for width in (16, *BITS):
        stored = stored_bits(width, group)
        by_g = {f"G = {g} (bytes a token)": TOKEN.with_kv_heads(g).kv_bytes_per_token * stored / 16 for g in KV_HEADS}
        rows.append({"Bits": width, "With scales (bits)": stored, **by_g})
    return rows


def stored_sentence(group: int) -> str:
    """What the rows are of."""
    return f"Bytes of one token, for {TOKEN.num_layers} layers and head_dim {TOKEN.head_dim}, with groups of {group}."


def mla_rows() -> list[dict[str, str | int | float]]:
    """DeepSeek-V2's own comparison: elements that a token leaves in the cache, and scores in percent."""
    return [
        {
            "Model": row["model"],
            "Attention": row["kind"],
            "Cached elements per token": row["kv_elements_per_token"],
            **{f"{name} (%)": row[key] for name, key in SCORES.items()},
        }
        for row in published()["mla"]["rows"]
    ]


MLA_SENTENCE = "MLA keeps a small part of MHA's cache and scores at or above it on most benchmarks."
