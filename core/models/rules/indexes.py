"""Sparse attention: which layers keep an index key for every token, how wide it is, and how many tokens it chooses.

An indexer scores every cached token with a small key of its own and lets the layer attend to the best ones. The keys
grow with the context like the cache itself. Some classes run the indexer on some layers only ("full") and let the
others ("shared") attend to the tokens that the layer before chose: those keep no index keys. Written from the modeling
files of transformers 5.23 and 5.24, where `update_indexer` (MiniMax-M3: `update_index`) is called.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.models.rules.facts import shown
from core.models.rules.fields import ConfigPart, Found, rule
from core.models.rules.kinds import FULL, INDEXED, SPARSE, Kinds

NO, OWN, REUSED = "no index", "own index", "reused index"


@dataclass(frozen=True, kw_only=True)
class Index:
    """What the index of one layer keeps and chooses; None for a layer without one."""

    key_dim: Found | None = None  # elements of the index key of one token; None where the layer keeps none
    topk: Found | None = None  # tokens that a step attends to
    in_float32: bool = False  # whatever the type of the model


def index_uses(part: ConfigPart, kinds: Kinds) -> list[str]:
    """For each layer NO, OWN or REUSED."""
    rule_of = USES.get(part.model_type)
    return [NO] * len(kinds.kinds) if rule_of is None else rule_of(part, kinds)


def index_of(part: ConfigPart, use: str) -> Index:
    """The index of a layer of this use, its figures noted."""
    if use == NO:
        return Index()
    key_dim, topk = WIDTHS.get(part.model_type, _plain)(part)
    if use == OWN:
        part.note("index_key_dim", key_dim)
    part.note("index_topk", topk)
    in_float32 = use == OWN and part.model_type in IN_FLOAT32
    return Index(key_dim=key_dim if use == OWN else None, topk=topk, in_float32=in_float32)


def _of_kinds(*indexed: str) -> Callable[[ConfigPart, Kinds], list[str]]:
    def uses(part: ConfigPart, kinds: Kinds) -> list[str]:
        return [OWN if kind in indexed else NO for kind in kinds.kinds]

    return uses


def _by_types(part: ConfigPart, kinds: Kinds) -> list[str]:
    """indexer_types, else index_topk_pattern ('FSSF'), else a period: GLM-5, Mistral Large 4 (their configuration
    files)."""
    layers = len(kinds.kinds)
    types = _listed(part, "indexer_types", layers) or _listed(part, "index_topk_pattern", layers)
    if types is None:
        period = max(_number(part, "index_topk_freq", 1), 1)
        offset = _number(part, "index_skip_topk_offset", 2)
        types = ["full" if max(index - offset + 1, 0) % period == 0 else "shared" for index in range(layers)]
    return _uses(part, types, kinds)


def _hy_v4(part: ConfigPart, kinds: Kinds) -> list[str]:
    """indexer_types, else full on layer 0 and on 1, 5, 9, …"""
    layers = len(kinds.kinds)
    types = _listed(part, "indexer_types", layers)
    usual = ["full" if index == 0 or index % 4 == 1 else "shared" for index in range(layers)]
    return _uses(part, usual if types is None else types, kinds)


def _uses(part: ConfigPart, types: list[str], kinds: Kinds) -> list[str]:
    uses = [REUSED if kind == "shared" else OWN for kind in types]
    attends = [kind in (FULL, INDEXED) for kind in kinds.kinds]
    first = next((use for use, here in zip(uses, attends, strict=True) if here), OWN)
    if first == REUSED:
        key = next((key for key in ("indexer_types", "index_topk_pattern", "index_topk_freq") if key in part.raw), "")
        part.refuse(key or "indexer_types", "the first layer that attends has no earlier layer's index to share")
    return [use if here else NO for use, here in zip(uses, attends, strict=True)]


def _listed(part: ConfigPart, name: str, layers: int) -> list[str] | None:
    """A list of 'full' and 'shared', or a word of the letters F and S; more entries than layers are left unread."""
    listed = part.value(name)
    if listed is None:
        return None
    letters = {"F": "full", "S": "shared"}
    if name == "index_topk_pattern" and isinstance(listed, str):
        listed = [letters.get(letter, "") for letter in listed]
    if not isinstance(listed, list | tuple) or len(listed) < layers:
        part.refuse(name, f"{layers} entries are expected, one per layer")
    for kind in listed[:layers]:
        if kind not in ("full", "shared"):
            part.refuse(name, f'its entry {shown(kind)} is neither "full" nor "shared"')
    return list(listed[:layers])


def _number(part: ConfigPart, name: str, default: int) -> int:
    return default if name not in part.raw else int(part.integer(name, minimum=0).value)


def _plain(part: ConfigPart) -> tuple[Found, Found]:
    """One key of index_head_dim a token; index_topk tokens chosen."""
    return part.integer("index_head_dim"), part.integer("index_topk")


def _pooled(part: ConfigPart) -> tuple[Found, Found]:
    """GLM-5.3-Flash packs key, gate scores and a mark of validity; whole pools are chosen, and the tail beside them."""
    width, topk, pool = part.integer("index_head_dim"), part.integer("index_topk"), part.integer("index_kpool")
    tail = pool.value - 1 if part.boolean("index_kpool_always_select_tail").value else 0
    key = rule(2 * width.value + 1, "A key, its gate scores and one mark: 2 x index_head_dim + 1.", width)
    return key, rule(topk.value + tail, "index_topk tokens in whole pools, and the pool that is not full.", topk, pool)


def _qwen4(part: ConfigPart) -> tuple[Found, Found]:
    """Qwen4-Exp: the raw key of every token is kept and pooled anew at each step; the class takes one key head."""
    if part.integer("indexer_kv_heads").value != 1:
        part.refuse("indexer_kv_heads", f"{part.model_class.name} takes 1 alone")
    width, budget = part.integer("indexer_head_dim"), part.integer("indexer_budget")
    ratio = part.integer("indexer_compress_ratio")
    sentence = "indexer_budget tokens in whole blocks, and the block that is not full."
    return width, rule(budget.value + ratio.value - 1, sentence, budget, ratio)


def _minimax_m3(part: ConfigPart) -> tuple[Found, Found]:
    """MiniMax-M3: blocks are chosen. What sparse_attention_config says wins over the flat keys."""
    nested = part.nested("sparse_attention_config", {})
    width = nested.optional_integer("sparse_index_dim") or part.integer("index_head_dim")
    block = nested.optional_integer("sparse_block_size") or part.integer("index_block_size")
    blocks = nested.optional_integer("sparse_topk_blocks") or part.integer("index_topk_blocks")
    return width, rule(block.value * blocks.value, "Tokens of the chosen blocks: block size x blocks.", block, blocks)


USES: dict[str, Callable[[ConfigPart, Kinds], list[str]]] = {
    "axk2": _of_kinds(FULL, INDEXED),
    "deepseek_v32": _of_kinds(FULL, INDEXED),
    "dots3_note_text": _of_kinds(INDEXED),
    "glm5_next_text": _by_types,
    "glm_moe_dsa": _by_types,
    "hy_v4": _hy_v4,
    "hy_v4_vl_text": _hy_v4,
    "minimax_m3_vl_text": _of_kinds(SPARSE),
    "mistral_large4_text": _by_types,
    "qwen4_exp_text": _of_kinds(FULL, INDEXED),
}
IN_FLOAT32 = {"dots3_note_text"}  # its index keys are rotated by angles in float32, which makes them float32
WIDTHS: dict[str, Callable[[ConfigPart], tuple[Found, Found]]] = {
    "glm5_next_text": _pooled,
    "minimax_m3_vl_text": _minimax_m3,
    "qwen4_exp_text": _qwen4,
}
