"""What llama.cpp makes of a GGUF header: layers, heads, widths, windows and states, as its loader sets them.

States load_hparams and load_arch_hparams of llama.cpp build 11434 (src/llama-model.cpp, src/models/*.cpp,
src/llama-hparams.cpp). llama.cpp's own names stand in the comments. Two readers use it: read_metadata, which says what
the model attends to, and core.engines.llama_cpp, which says what the server allocates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.models.gguf.architectures import (
    DRAFTS,
    HYBRID,
    HYBRID_BY_FFN,
    HYBRID_BY_INTERVAL,
    HYBRID_BY_KV_HEADS,
    INDEXED,
    KNOWN,
    LATENT,
    PARALLEL,
    RECURRENT,
    SLIDING,
)
from core.models.gguf.keys import MAX_LAYERS, Keys
from core.models.rules.facts import UnsupportedConfig, shown

Flags = tuple[bool, ...]
Numbers = tuple[int, ...]
GEMMA3N_OWN_LAYERS = 20  # n_layer_kv_from_start, hard-coded in src/models/gemma3n.cpp
KIMI_STATES = ("kimi-linear", "kimi-k3", "bailingmoe3", "glm5-next")  # Kimi delta attention (kda.head_dim)
GLM_5_2_CONTEXT = 1_048_576  # from this context_length on, absent indexer types mean GLM-5.2's
GLM_5_2_INDEXERS = (True, True) + (True, False, False, False) * 19  # src/models/glm-dsa.cpp


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Elements of one head: n_embd_head_k/v on full layers, and on sliding ones where those differ."""

    key: int
    value: int
    key_sliding: int
    value_sliding: int


@dataclass(frozen=True, kw_only=True)
class Index:
    """The keys that sparse attention selects by (an indexer): one head of its own beside the layer's cache."""

    key_dim: int
    layers: Flags
    pooled_rows: int = 1  # rows of key_dim that one cell holds


@dataclass(frozen=True, kw_only=True)
class States:
    """Elements of one sequence's state in one recurrent layer: n_embd_r (convolution, shift) and n_embd_s."""

    convolution: int = 0
    recurrent: int = 0


@dataclass(frozen=True, kw_only=True)
class HyperParameters:
    """llama_hparams, as far as a cache depends on them. Tuples hold one entry for each of num_layers_all layers."""

    architecture: str
    num_layers: int  # n_layer(): without the draft layers at the end
    num_layers_all: int  # n_layer_all
    num_query_heads: Numbers
    num_kv_heads: Numbers
    widths: Widths
    window: int | None  # n_swa where the class slides, None where it does not (swa_type NONE)
    slides: Flags  # is_swa
    recurrent: Flags  # is_recr
    feed_forward: Numbers  # n_ff: nemotron_h's attention layers are those without one
    latent: bool  # is_mla(): no values are kept
    own_layers: int | None = None  # n_layer_kv_from_start: layers behind reuse an earlier cache
    index: Index | None = None
    states: States = field(default_factory=States)
    router_layer: bool = False  # graniteswitch: one more layer of one head at the end
    compress_ratios: Numbers = ()  # deepseek4
    trained_context: int = 0  # n_ctx_train

    def key_width(self, layer: int) -> int:
        """n_embd_k_gqa: elements of one cell's keys."""
        return self.num_kv_heads[layer] * (self.widths.key_sliding if self.slides[layer] else self.widths.key)

    def value_width(self, layer: int) -> int:
        """n_embd_v_gqa."""
        return self.num_kv_heads[layer] * (self.widths.value_sliding if self.slides[layer] else self.widths.value)


def architecture_of(metadata: Mapping[str, Any]) -> str:
    """general.architecture. Raises UnsupportedConfig where it is absent, a draft's, or unknown to llama.cpp."""
    name = metadata.get("general.architecture")
    if not isinstance(name, str):
        raise UnsupportedConfig(
            f"general.architecture is {shown(name)}: without it no other key can be read. "
            "Give the header of a model's .gguf file."
        )
    kind = metadata.get("general.type", "model")
    if name == "clip" or kind not in ("model", "imatrix"):
        raise UnsupportedConfig(
            f"general.type is {shown(kind)}, general.architecture {shown(name)}: this file holds no language model but "
            "an adapter or a projector. Give the model's own .gguf file."
        )
    if metadata.get("split.no", 0) != 0:
        raise UnsupportedConfig(
            f"split.no is {shown(metadata['split.no'])}: give the split model's first file, -00001-of-."
        )
    if name in DRAFTS:
        raise UnsupportedConfig(f"{name} is a draft head that shares another model's cache: give that model's file.")
    if name not in KNOWN:
        raise UnsupportedConfig(
            f"general.architecture is {shown(name)}: llama.cpp build 11434 has no such model. Check the file."
        )
    return name


def hyper_parameters(metadata: Mapping[str, Any]) -> HyperParameters:
    """Reads a header as llama.cpp does. Raises UnsupportedConfig, and nothing else, for what it cannot be."""
    architecture = architecture_of(metadata)
    keys = Keys(metadata, architecture)
    total, drafts = _layer_counts(keys)
    heads = keys.per_layer("attention.head_count", total, (0,) * total)
    kv_heads = keys.per_layer("attention.head_count_kv", total, heads)
    feed_forward = keys.per_layer("feed_forward_length", total, (0,) * total)
    widths = _widths(keys, heads[0])
    window, slides = _windows(keys, total, total - drafts)
    recurrent = _recurrent(keys, total, total - drafts, kv_heads, feed_forward)
    if architecture == "lfm2" and keys.number("attention.sliding_window", 0):
        window = keys.number("attention.sliding_window", 0)
        slides = tuple(il < total - drafts and not recurrent[il] for il in range(total))
    found = HyperParameters(
        architecture=architecture,
        num_layers=total - drafts,
        num_layers_all=total,
        num_query_heads=heads,
        num_kv_heads=kv_heads,
        widths=widths,
        window=window,
        slides=slides,
        recurrent=recurrent,
        feed_forward=feed_forward,
        latent=_latent(keys),
        own_layers=_own_layers(keys, total),
        index=_index(keys, total, total - drafts),
        states=_states(keys, heads[0], widths),
        compress_ratios=_compress_ratios(keys, total),
        trained_context=keys.number("context_length", 0),
    )
    return _grown(found, keys)


def _layer_counts(keys: Keys) -> tuple[int, int]:
    total, drafts = keys.required("block_count"), keys.number("nextn_predict_layers", 0)
    if not 1 <= total <= MAX_LAYERS:
        raise UnsupportedConfig(
            f"{keys.name('block_count')} is {total:,}: llama.cpp takes 1 to {MAX_LAYERS} layers. Read the header again."
        )
    if drafts > total:
        raise UnsupportedConfig(
            f"{keys.name('nextn_predict_layers')} is {drafts:,}, more than the {total} layers. Convert the model again."
        )
    return total, drafts


def _widths(keys: Keys, num_query_heads: int) -> Widths:
    """embedding_length / head_count of layer 0 unless key_length and value_length say; 0 where layer 0 has no heads."""
    key = value = 0
    if num_query_heads:
        embedding = keys.required("embedding_length")
        key = keys.number("attention.key_length", embedding // num_query_heads)
        value = keys.number("attention.value_length", embedding // num_query_heads)
    if keys.architecture == "plamo2":  # read once more, since its first layer may have no heads
        key, value = keys.number("attention.key_length", key), keys.number("attention.value_length", value)
    key_sliding = keys.number("attention.key_length_swa", key)
    value_sliding = keys.number("attention.value_length_swa", value)
    if keys.architecture in ("kimi-k3", "glm5-next"):
        value = keys.number("attention.kv_lora_rank", value)
    return Widths(key=key, value=value, key_sliding=key_sliding, value_sliding=value_sliding)


def _windows(keys: Keys, total: int, trunk: int) -> tuple[int | None, Flags]:
    none = (False,) * total
    if keys.architecture == "deepseek4":
        return keys.required("attention.sliding_window"), (True,) * total
    rule = SLIDING.get(keys.architecture)
    if rule is None or (rule.num_layers is not None and rule.num_layers != trunk):
        return None, none
    found = keys.number("attention.sliding_window", 0)
    if not found and (rule.only_with_key or (rule.key_zero_is_off and keys.has("attention.sliding_window"))):
        return None, none
    if rule.fixed_window:
        window = rule.window or 0
    elif rule.window is None:
        window = keys.required("attention.sliding_window")
    else:
        window = keys.number("attention.sliding_window", rule.window)
    return window, _pattern(keys, total, trunk, rule.period, rule.full_first)


def _pattern(keys: Keys, total: int, trunk: int, period: int | None, full_first: bool) -> Flags:
    """load_swa_pattern: the file's array, else the file's or the class's period."""
    key = "attention.sliding_window_pattern"
    if keys.is_array(key) or period is None:
        return tuple(map(bool, keys.array(key, total)))
    period = keys.number(key, period)
    if period == 0:
        return tuple(il < trunk for il in range(total))
    full = 0 if full_first else period - 1
    return tuple(il < trunk and il % period != full for il in range(total))


def _recurrent(keys: Keys, total: int, trunk: int, kv_heads: Numbers, feed_forward: Numbers) -> Flags:
    name = keys.architecture
    if name in RECURRENT or name == PARALLEL:
        return (True,) * total
    if name in HYBRID_BY_KV_HEADS:
        last = total if name == "glm5-next" else trunk
        return tuple(il < last and kv_heads[il] == 0 for il in range(total))
    if name in HYBRID_BY_FFN:
        return tuple(il < trunk and kv_heads[il] == 0 and feed_forward[il] == 0 for il in range(total))
    if name in HYBRID_BY_INTERVAL:
        if keys.has("attention.recurrent_layers"):
            return tuple(map(bool, keys.per_layer("attention.recurrent_layers", total, ())))
        interval = keys.number("full_attention_interval", HYBRID_BY_INTERVAL[name])
        if interval == 0:
            raise UnsupportedConfig(f"{keys.name('full_attention_interval')} is 0: it has to be 1 or more.")
        return tuple(il < trunk and (il + 1) % interval != 0 for il in range(total))
    return (False,) * total


def _latent(keys: Keys) -> bool:
    """is_mla(): both widths of the multiplied-out heads stand in the file. Older converters wrote neither."""
    if keys.architecture not in LATENT:
        return False
    key = keys.number("attention.key_length_mla", 0)
    value = keys.number("attention.value_length_mla", 0)
    if bool(key) != bool(value):
        raise UnsupportedConfig(
            f"{keys.name('attention.key_length_mla')} is {key}, value_length_mla {value}: a file has both or neither. "
            "Convert the model again."
        )
    return bool(key)


def _own_layers(keys: Keys, total: int) -> int | None:
    if keys.architecture == "gemma3n":
        return GEMMA3N_OWN_LAYERS
    if keys.architecture == "gemma4":
        return max(0, total - keys.number("attention.shared_kv_layers", 0))
    return None


def _index(keys: Keys, total: int, trunk: int) -> Index | None:
    name = keys.architecture
    width = keys.number("attention.indexer.key_length", 0)
    if name == "deepseek4":
        return Index(key_dim=keys.required("attention.indexer.key_length"), layers=(True,) * total)
    if name not in INDEXED or (name == "hy_v4" and not keys.number("attention.indexer.top_k", 0)):
        return None
    if name == "minimax-m3":
        first = keys.number("leading_dense_block_count", 0)
        return Index(key_dim=width, layers=tuple(il >= first for il in range(total)))
    if name == "glm5-next":
        return Index(key_dim=width, layers=_indexer_types(keys, total, trunk), pooled_rows=3)
    if name == "qwen4exp":
        pools = any(keys.per_layer("attention.compress_ratios", total, (0,)))
        trunk_only = tuple(il < trunk for il in range(total))
        return Index(key_dim=width, layers=trunk_only, pooled_rows=2 if pools else 1) if width else None
    return Index(key_dim=width, layers=_indexer_types(keys, total, trunk))


def _indexer_types(keys: Keys, total: int, trunk: int) -> Flags:
    """is_indexer_full: the layers that own an indexer; the others take the selection of the last one that does."""
    name, key = keys.architecture, "attention.indexer.types"
    if name == "deepseek32":
        return tuple(il < trunk for il in range(total))
    if name == "dots3note":
        return tuple(il < trunk and bool(kind) for il, kind in enumerate(keys.array(key, total)))
    default = (name in ("glm-dsa", "glm5-next"),) * trunk
    if name == "glm-dsa" and keys.number("context_length", 0) >= GLM_5_2_CONTEXT:
        default = (GLM_5_2_INDEXERS + (False,) * trunk)[:trunk]
    types = tuple(map(bool, keys.per_layer(key, trunk, default)))
    return types + (False,) * (total - trunk)


def _states(keys: Keys, num_query_heads: int, widths: Widths) -> States:
    """n_embd_r and n_embd_s of src/llama-hparams.cpp, from the keys that the class's own loader reads."""
    name, hidden = keys.architecture, keys.number("embedding_length", 0)
    if name in RECURRENT - {"mamba", "mamba2"}:
        shifts = keys.number("token_shift_count", 2)
        return States(convolution=shifts * hidden, recurrent=hidden * keys.required("wkv.head_size"))
    if name in ("lfm2", "lfm2moe"):
        return States(convolution=hidden * max(0, keys.required("shortconv.l_cache") - 1))
    if name == "minimax-01":
        return States(recurrent=widths.key**2 * num_query_heads)
    if name in KIMI_STATES:
        head, kernel = keys.required("kda.head_dim"), keys.required("ssm.conv_kernel")
        rows = kernel - 1 if kernel else 3
        return States(convolution=3 * rows * num_query_heads * head, recurrent=head * head * num_query_heads)
    if name not in RECURRENT | HYBRID:
        return States()
    kernel, inner = keys.required("ssm.conv_kernel"), keys.required("ssm.inner_size")
    state = keys.required("ssm.state_size")
    groups = 0 if name in ("mamba", "jamba") else keys.required("ssm.group_count")
    return States(convolution=max(0, kernel - 1) * (inner + 2 * groups * state), recurrent=state * inner)


def _compress_ratios(keys: Keys, total: int) -> Numbers:
    if keys.architecture != "deepseek4":
        return ()
    ratios = keys.array("attention.compress_ratios", total)
    if len(keys.raw("attention.compress_ratios")) < total:
        raise UnsupportedConfig(f"{keys.name('attention.compress_ratios')} is shorter than the {total} layers.")
    return ratios


def _grown(found: HyperParameters, keys: Keys) -> HyperParameters:
    """nanbeige's loops and graniteswitch's router: layers that block_count does not count."""
    trunk = found.num_layers
    if keys.architecture == "graniteswitch":
        return replace(
            found,
            num_layers_all=trunk + 1,
            num_query_heads=(*found.num_query_heads[:trunk], 1),
            num_kv_heads=(*found.num_kv_heads[:trunk], 1),
            feed_forward=(*found.feed_forward[:trunk], 0),
            slides=(*found.slides[:trunk], False),
            recurrent=(*found.recurrent[:trunk], False),
            router_layer=True,
        )
    loops = keys.number("num_loops", 1) if keys.architecture == "nanbeige" else 1
    if loops == 1:
        return found
    if loops < 1 or trunk * loops > MAX_LAYERS:
        raise UnsupportedConfig(f"{keys.name('num_loops')} is {loops:,}: at most {MAX_LAYERS} layers are loaded.")
    return replace(
        found,
        num_layers=trunk * loops,
        num_layers_all=trunk * loops,
        num_query_heads=found.num_query_heads[:trunk] * loops,
        num_kv_heads=found.num_kv_heads[:trunk] * loops,
        feed_forward=found.feed_forward[:trunk] * loops,
        slides=found.slides[:trunk] * loops,
        recurrent=found.recurrent[:trunk] * loops,
    )
