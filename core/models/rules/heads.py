"""Query heads, KV heads and head widths of ordinary attention, for every layer.

The rule that most classes share: H from num_attention_heads, G from num_key_value_heads (null or absent: as many as
query heads, or the class's own number), the width from head_dim, else hidden_size / H. Classes that say it otherwise
(Falcon, GPT-BigCode, MPT, DBRX, …) have their rule here, by model_type.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.models.rules.facts import DeclaredHeads
from core.models.rules.fields import ConfigPart, Found, rule
from core.models.rules.other_code import GROK, SANTACODER, borrows, other_code

KV = "num_key_value_heads"


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Heads and widths of one layer, each with its origin."""

    query: Found
    kv: Found
    key_width: Found
    value_width: Found
    declared: DeclaredHeads
    broadcast: bool = False  # transformers stores a copy per query head


def declared_by(part: ConfigPart, name: str) -> DeclaredHeads:
    """The raw key and value that declared G, or 'absent'."""
    key = part.key(name)
    return DeclaredHeads(key=None) if key is None else DeclaredHeads(key=part.path + key, value=part.raw[key])


def heads_of(part: ConfigPart) -> Heads:
    """Heads of the layers of this model. Raises UnsupportedConfig where the file leaves them open."""
    if borrows(part, GROK):
        return grok(part)
    if borrows(part, SANTACODER):
        return santacoder(part)
    return own_values(part) if part.model_class.own_keys else RULES.get(part.model_type, standard)(part)


def standard(part: ConfigPart) -> Heads:
    """num_attention_heads, num_key_value_heads, head_dim."""
    query = part.integer("num_attention_heads")
    kv = kv_heads(part, query)
    width = key_width(part, query)
    declared = declared_by(part, KV) if _knows(part, KV) else DeclaredHeads(key=None)
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared)


def kv_heads(part: ConfigPart, query: Found, name: str = "num_key_value_heads") -> Found:
    """G: the key, else as many as query heads where the class fills it so."""
    if name == KV and not _knows(part, name):
        return _each_its_own(part, query)
    found = part.optional_integer(name)
    if found is None:
        if part.key(name) is not None and not part.model_class.kv_null_is_heads:
            part.refuse(name, "null says nothing, and the class does not fill it in")
        said = f"{name} is null" if part.key(name) else f"The file has no {name}"
        return rule(query.value, f"{said}: as many KV heads as query heads (MHA).", query, part.found(name))
    if query.value % found.value:
        part.refuse(name, f"it does not divide the {query.value} query heads")
    return found


def _knows(part: ConfigPart, name: str) -> bool:
    return name in part.model_class.defaults or name in part.overrides


def _each_its_own(part: ConfigPart, query: Found) -> Found:
    """A class without a key for KV heads, whatever the file says of them; refused where it is for other code."""
    name = part.model_class.name or part.model_type
    stray, whose = _stray(part, query.value), other_code(part)
    if stray is not None and whose is not None:
        problem = f"{name} knows no key for KV heads, and {whose}: the model's own code may read it"
        part.refuse(stray, problem, "Take it out if that code makes nothing of it, or ask for this model to be added.")
    ignored = "" if stray is None else f" It makes nothing of {part.path}{stray}."
    return rule(query.value, f"{name} knows no key for KV heads: each query head has its own.{ignored}", query)


def _stray(part: ConfigPart, query_heads: int) -> str | None:
    """The key by which the file states fewer KV heads than query heads, though its class knows none for it."""
    if part.raw.get(KV) not in (None, query_heads):
        return KV
    if part.raw.get("multi_query") is True:
        return "multi_query"
    return "attention_head_type" if part.raw.get("attention_head_type") == "multiquery" else None


# Classes of transformers 5.24 that build with head_dim 0, which is none: "head_dim or hidden_size // heads"
ZERO_IS_NONE = {"minimax", "mistral", "mixtral", "moshi", "qwen3_vl_moe_text", "starcoder2"}


def key_width(part: ConfigPart, query: Found) -> Found:
    """head_dim where the class reads it, else hidden_size / query heads (which must be whole)."""
    if part.model_class.head_dim != "computed" and part.model_class.head_dim != "absent":
        found = part.optional_integer("head_dim", minimum=0 if part.model_type in ZERO_IS_NONE else 1)
        if found is not None and found.value:
            return found
    return divided(part, "hidden_size", query)


def divided(part: ConfigPart, name: str, query: Found) -> Found:
    """Width / heads, refused where it is no whole number."""
    width = part.integer(name)
    if width.value % query.value:
        part.refuse(name, f"it does not divide by the {query.value} query heads, and no head_dim is given")
    value = width.value // query.value
    return rule(value, f"{name} / query heads = {width.value:,} / {query.value:,} = {value:,}.", width, query)


def falcon(part: ConfigPart) -> Heads:
    """new_decoder_architecture: num_kv_heads counts. Else multi_query: one KV head whatever num_kv_heads says."""
    query = part.integer("num_attention_heads")
    width = divided(part, "hidden_size", query)
    new, multi = _flag(part, "new_decoder_architecture", False), _flag(part, "multi_query", True)
    if multi.value and not new.value:
        sentence = "multi_query is true and new_decoder_architecture false: one KV head, whatever num_kv_heads says."
        kv = rule(1, sentence, multi, new)
        return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared_by(part, "multi_query"))
    kv = kv_heads(part, query, "num_kv_heads") if part.value("num_kv_heads") is not None else _falcon_mha(part, query)
    if new.value and kv.source == "config":
        kv = replace(kv, sentence=f"new_decoder_architecture is true: num_kv_heads {kv.value} counts, multi_query not.")
    return Heads(
        query=query,
        kv=kv,
        key_width=width,
        value_width=width,
        declared=declared_by(part, "num_kv_heads"),
        broadcast=bool(new.value),
    )


def _flag(part: ConfigPart, name: str, default: bool) -> Found:
    """A boolean of a class that also takes null, which counts as false."""
    if part.key(name) is not None and part.value(name) is None:
        return rule(False, f"{name} is null, which counts as false.", part.found(name))
    return part.boolean(name, default=default)


def _falcon_mha(part: ConfigPart, query: Found) -> Found:
    return rule(query.value, "No key gives KV heads and none says multi-query: as many KV heads as query heads.", query)


def grok(part: ConfigPart) -> Heads:
    """Grok-2, model_type "git": num_key_value_heads and head_dim as SGLang's srt/models/grok.py reads them."""
    window = part.raw.get("sliding_window_size")
    if type(window) is int and window > 0:
        part.refuse("sliding_window_size", "which layers of Grok keep a window is not known", "Set it to -1.")
    query, kv = part.integer("num_attention_heads"), part.integer(KV)
    if query.value % kv.value:
        part.refuse(KV, f"it does not divide the {query.value} query heads")
    width = part.optional_integer("head_dim") or divided(part, "hidden_size", query)
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared_by(part, KV))


def santacoder(part: ConfigPart) -> Heads:
    """bigcode/santacoder, model_type "gpt2": attention_head_type of configuration_gpt2_mq.py, one KV head or all."""
    query = part.integer("num_attention_heads")
    kind = part.found("attention_head_type")
    if kind is None or kind.value not in ("multiquery", "multihead"):
        part.refuse("attention_head_type", "multiquery or multihead is expected")
    one = kind.value == "multiquery"
    sentence = f"attention_head_type is {kind.value}: {'one KV head' if one else 'as many KV heads as query heads'}."
    kv, width = rule(1 if one else query.value, sentence, kind, query), divided(part, "hidden_size", query)
    declared = declared_by(part, "attention_head_type")
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared)


def gpt_bigcode(part: ConfigPart) -> Heads:
    """multi_query, a boolean: one KV head or all."""
    query = part.integer("num_attention_heads")
    multi = part.boolean("multi_query")
    sentence = f"multi_query is {str(multi.value).lower()}: {'one KV head' if multi.value else 'MHA'}."
    kv = rule(1 if multi.value else query.value, sentence, multi, query)
    width = divided(part, "hidden_size", query)
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared_by(part, "multi_query"))


def mpt(part: ConfigPart) -> Heads:
    """attn_config.attn_type: multihead -> H, multiquery -> 1, grouped_query -> kv_n_heads.

    The last two are llm-foundry's (MPTForCausalLM, with an auto_map); transformers' own MptForCausalLM ignores
    multiquery and keeps every head.
    """
    query = part.integer("num_attention_heads")
    width = divided(part, "hidden_size", query)
    attention = part.nested("attn_config", {"attn_type": "multihead_attention"})
    kind = attention.found("attn_type")
    assert kind is not None
    if kind.value == "multihead_attention":
        kv, declared = rule(query.value, "attn_type is multihead_attention.", kind, query), "attn_type"
    elif kind.value == "multiquery_attention":
        kv, declared = _mpt_multiquery(part, query, kind), "attn_type"
    elif kind.value == "grouped_query_attention":
        kv, declared = kv_heads(attention, query, "kv_n_heads"), "kv_n_heads"
    else:
        attention.refuse(
            "attn_type", "multihead_attention, multiquery_attention or grouped_query_attention is expected"
        )
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared_by(attention, declared))


def _mpt_multiquery(part: ConfigPart, query: Found, kind: Found) -> Found:
    architectures = part.raw.get("architectures")
    named = architectures if isinstance(architectures, list) else []
    if "MPTForCausalLM" in named or "auto_map" in part.raw:
        return rule(1, "attn_type is multiquery_attention in llm-foundry's own code: one KV head.", kind)
    if "MptForCausalLM" in named:
        return rule(query.value, "transformers' MptForCausalLM ignores attn_type and keeps every head.", kind, query)
    return part.refuse(
        "attn_config",
        "attn_type multiquery_attention is one KV head in llm-foundry's code and all heads in transformers'",
        "Add architectures, which says whose code it is.",
    )


def dbrx(part: ConfigPart) -> Heads:
    """attn_config.kv_n_heads, 1 by the class default."""
    query = part.integer("num_attention_heads")
    attention = part.nested("attn_config", {"kv_n_heads": 1})
    kv = kv_heads(attention, query, "kv_n_heads")
    width = divided(part, "hidden_size", query)
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared_by(attention, "kv_n_heads"))


def jetmoe(part: ConfigPart) -> Heads:
    """JetMoE: KV heads times the experts of a token are the query heads; kv_channels is the width."""
    kv, experts = part.integer("num_key_value_heads"), part.integer("num_experts_per_tok")
    query = rule(kv.value * experts.value, "Query heads are KV heads x num_experts_per_tok.", kv, experts)
    width = part.integer("head_dim")  # the class maps it to kv_channels
    if width.value % 2:  # of one element the class's rotary makes more, as many as the release's rotary is wide
        part.refuse("head_dim", "its rotary embedding turns pairs of elements, so an even number is needed")
    declared = declared_by(part, "num_key_value_heads")
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared)


def zamba(part: ConfigPart) -> Heads:
    """Zamba: attention reads the doubled hidden width, unless attention_head_dim (or head_dim) says otherwise."""
    query = part.integer("num_attention_heads")
    hidden = part.integer("hidden_size")
    computed = 2 * hidden.value // query.value
    width = part.optional_integer("head_dim")
    if width is None:
        width = rule(computed, f"2 x hidden_size / query heads = {computed}.", hidden, query)
    declared = declared_by(part, "num_key_value_heads")
    return Heads(query=query, kv=kv_heads(part, query), key_width=width, value_width=width, declared=declared)


def separate_values(part: ConfigPart) -> Heads:
    """MiMo: values have a width of their own."""
    return replace(standard(part), value_width=part.integer("v_head_dim"))


def own_values(part: ConfigPart) -> Heads:
    """A class that is not known: values as wide as v_head_dim where the file has it, else as keys."""
    heads = standard(part)
    return replace(heads, value_width=part.optional_integer("v_head_dim") or heads.value_width)


def refined_web(part: ConfigPart) -> Heads:
    """The first Falcon code: multi_query true is one KV head, else n_head_kv, else as many as query heads."""
    query = part.integer("num_attention_heads")
    width = divided(part, "hidden_size", query)
    multi = part.boolean("multi_query")
    if multi.value:
        kv = rule(1, "multi_query is true: one KV head.", multi)
        return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared_by(part, "multi_query"))
    kv = kv_heads(part, query, "num_kv_heads") if part.value("num_kv_heads") is not None else _falcon_mha(part, query)
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared_by(part, "num_kv_heads"))


def chatglm(part: ConfigPart) -> Heads:
    """multi_query_attention: true means multi_query_group_num KV heads, which is GQA in spite of the name."""
    query = part.integer("num_attention_heads")
    width = key_width(part, query)
    multi = part.boolean("multi_query_attention")
    if multi.value:
        kv = (
            kv_heads(part, query, "multi_query_group_num")
            if "multi_query_group_num" in part.raw
            else part.refuse("multi_query_group_num", "multi_query_attention is true and needs it")
        )
        declared = declared_by(part, "multi_query_group_num")
    else:
        kv = rule(query.value, "multi_query_attention is not true: as many KV heads as query heads.", multi, query)
        declared = declared_by(part, "multi_query_attention")
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared)


def phi_msft(part: ConfigPart) -> Heads:
    """n_head_kv, null or absent: as many as query heads."""
    query = part.integer("num_attention_heads")
    width = divided(part, "hidden_size", query)
    stated = part.value("num_kv_heads") is not None
    kv = kv_heads(part, query, "num_kv_heads") if stated else _falcon_mha(part, query)
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared_by(part, "num_kv_heads"))


def hf_olmo(part: ConfigPart) -> Heads:
    """n_kv_heads, else multi_query_attention, else as many as query heads."""
    query = part.integer("num_attention_heads")
    width = divided(part, "hidden_size", query)
    multi = part.boolean("multi_query_attention") if part.value("multi_query_attention") is not None else None
    if part.value("n_kv_heads") is not None:
        kv, declared = kv_heads(part, query, "n_kv_heads"), "n_kv_heads"
    elif multi is not None and multi.value:
        kv, declared = rule(1, "multi_query_attention is true: one KV head.", multi), "multi_query_attention"
    else:
        kv, declared = _falcon_mha(part, query), "n_kv_heads"
    return Heads(query=query, kv=kv, key_width=width, value_width=width, declared=declared_by(part, declared))


RULES: dict[str, Callable[[ConfigPart], Heads]] = {
    "RefinedWeb": refined_web,
    "RefinedWebModel": refined_web,
    "chatglm": chatglm,
    "gpt_refact": gpt_bigcode,
    "hf_olmo": hf_olmo,
    "phi-msft": phi_msft,
    "falcon": falcon,
    "jetmoe": jetmoe,
    "mimo_v2_flash": separate_values,
    "zamba": zamba,
    "zamba2": zamba,
    "gpt_bigcode": gpt_bigcode,
    "mpt": mpt,
    "dbrx": dbrx,
}
