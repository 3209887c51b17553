"""DeepSeek-V4: which layers compress their context, and at what rate (DeepseekV4Config of transformers 5.23).

Every layer keeps a window of tokens with one vector each, which serves as key and as value. Beside it, compressed
sparse layers keep an entry for every few tokens (4 by the class) and an index key for each entry; heavily compressed
layers keep an entry for many tokens (128) and no index. A file names the layers by layer_types, or by compress_ratios
with 0, 4 and 128; the rates themselves are compress_rates, or compress_rate_csa and compress_rate_hca.
"""

from core.models.attention import CompressedAttention, GroupedAttention
from core.models.rules.fields import ConfigPart, Found, rule
from core.models.rules.kinds import COMPRESSED, HEAVILY_COMPRESSED, SLIDING, Kinds

OF_RATIO = {0: SLIDING, 4: COMPRESSED, 128: HEAVILY_COMPRESSED}
USUAL_RATES = {COMPRESSED: 4, HEAVILY_COMPRESSED: 128}
SCALARS = {COMPRESSED: "compress_rate_csa", HEAVILY_COMPRESSED: "compress_rate_hca"}


def deepseek_v4_kinds(part: ConfigPart, layers: int) -> Kinds:
    """layer_types, else compress_ratios, else two heavily compressed layers and then both kinds in turn."""
    listed = part.value("layer_types")
    if listed is not None:
        return _named(part, listed, layers)
    ratios = part.integers("compress_ratios")
    if ratios is not None:
        if len(ratios) < layers or set(ratios) - set(OF_RATIO):
            part.refuse("compress_ratios", f"at least {layers} entries of 0, 4 or 128 are expected, one per layer")
        origin = rule("", "0 keeps a window alone, 4 and 128 compress beside it.", part.found("compress_ratios"))
        return Kinds(kinds=tuple(OF_RATIO[ratio] for ratio in ratios[:layers]), origin=origin)
    kinds = [HEAVILY_COMPRESSED if index < 2 or index % 2 == 0 else COMPRESSED for index in range(layers)]
    return Kinds(kinds=tuple(kinds), origin=rule("", f"{part.model_class.name} has this pattern fixed."))


def _named(part: ConfigPart, listed: object, layers: int) -> Kinds:
    names = set(OF_RATIO.values())
    if not isinstance(listed, list | tuple) or len(listed) < layers:
        part.refuse("layer_types", f"at least {layers} entries are expected, one per layer")
    if any(not isinstance(kind, str) or kind not in names for kind in listed[:layers]):
        part.refuse("layer_types", f"its entries have to be {', '.join(sorted(names))}")
    origin = rule("", "layer_types in the file names the kind of each layer.", part.found("layer_types"))
    return Kinds(kinds=tuple(listed[:layers]), origin=origin)


def deepseek_v4_layer(part: ConfigPart, kind: str) -> CompressedAttention | GroupedAttention:
    """One layer, its figures noted. A layer without compression keeps key and value apart, two equal vectors."""
    query, width, window = (part.integer(name) for name in ("num_attention_heads", "head_dim", "sliding_window"))
    one = rule(1, f"{part.model_class.name} projects to one KV head, whatever num_key_value_heads says.")
    for figure, found in (("num_query_heads", query), ("num_kv_heads", one), ("head_dim", width)):
        part.note(figure, found)
    if kind == SLIDING:
        return GroupedAttention(
            num_query_heads=query.value,
            num_kv_heads=1,
            head_dim=width.value,
            value_dim=width.value,
            window=window.value,
        )
    rate = _rate(part, kind)
    part.note("compress_rate", rate)
    indexed = kind == COMPRESSED
    key_dim, topk = (part.integer(name) if indexed else None for name in ("index_head_dim", "index_topk"))
    for figure, number in (("index_key_dim", key_dim), ("index_topk", topk)):
        if number is not None:
            part.note(figure, number)
    return CompressedAttention(
        num_query_heads=query.value,
        head_dim=width.value,
        window=window.value,
        compress_rate=rate.value,
        index_key_dim=None if key_dim is None else key_dim.value,
        index_topk=None if topk is None else topk.value,
    )


def _rate(part: ConfigPart, kind: str) -> Found:
    """Tokens of one entry: the scalar key wins over compress_rates, which replaces the class's own whole."""
    if part.raw.get(SCALARS[kind]) is not None:
        return part.integer(SCALARS[kind])
    if part.raw.get("compress_rates") is not None:
        return part.nested("compress_rates", {}).integer(kind)
    sentence = f"{part.model_class.name} makes one entry of {USUAL_RATES[kind]} tokens."
    return rule(USUAL_RATES[kind], sentence)
