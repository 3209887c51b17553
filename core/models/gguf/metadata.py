"""GGUF metadata in, a ModelSpec out: read_metadata, beside read_config.

The layers say what the model attends to, so an old DeepSeek file is latent attention here though llama.cpp keeps every
head of it, and Phi-3 has its window though llama.cpp keeps the whole context: what the server allocates for the same
keys is core.engines.llama_cpp's to say.
"""

from collections.abc import Mapping
from typing import Any

from core.models.attention import (
    CompressedAttention,
    GroupedAttention,
    LatentAttention,
    Layer,
    NoAttention,
    ParallelLayer,
    RecurrentState,
    SharedCache,
)
from core.models.gguf.architectures import HYBRID_BY_FFN, MECHANISM, MULTIPLIED_OUT, NO_CACHE, PARALLEL
from core.models.gguf.hparams import HyperParameters, hyper_parameters
from core.models.gguf.keys import MAX_NUMBER, Keys, whole
from core.models.gguf.tensors import FileKeys
from core.models.rules.facts import DeclaredHeads, ModelDimensions, Provenance, UnsupportedConfig, shown
from core.models.spec import ModelSpec

VOCABULARY = "tokenizer.ggml.tokens"
INDEXED_RATE = 4  # DeepSeek-V4's compressed sparse attention
DECLARED = "attention.head_count_kv"


def read_metadata(metadata: Mapping[str, Any]) -> ModelSpec:
    """Reads the key/value metadata of a GGUF file: plain values by their full keys, arrays as lists.

    Layers behind the trunk (multi-token prediction) are left out, as read_config leaves them out. Raises
    UnsupportedConfig, and nothing else, for whatever it does not understand.
    """
    if not isinstance(metadata, Mapping):
        raise UnsupportedConfig(f"The metadata is {shown(metadata)}: keys with their values are meant.")
    read = hyper_parameters(metadata)
    keys = Keys(metadata, read.architecture)
    return ModelSpec(
        model_type=read.architecture,
        layers=tuple(_layer(read, keys, il) for il in range(read.num_layers)),
        dimensions=_dimensions(metadata, keys, read),
        provenance=tuple(_provenance(read, keys)),
        declared_kv_heads=_declared(keys),
        metadata=metadata,
        tensors=metadata.tensors if isinstance(metadata, FileKeys) else (),
    )


def _declared(keys: Keys) -> DeclaredHeads:
    value = keys.raw(DECLARED)
    return DeclaredHeads(key=None) if value is None else DeclaredHeads(key=keys.name(DECLARED), value=value)


def _layer(read: HyperParameters, keys: Keys, il: int) -> Layer:
    name = read.architecture
    if name in NO_CACHE:
        return NoAttention(reason="it sees the whole input at once and keeps nothing")
    if name == PARALLEL:
        return ParallelLayer(attention=_grouped(read, keys, il), recurrent=_state(read))
    if read.recurrent[il]:
        return _state(read)
    if read.own_layers is not None and il >= read.own_layers:
        source = read.own_layers - (2 if read.slides[il] else 1)
        heads, kv_heads = read.num_query_heads[il], read.num_kv_heads[il]
        return SharedCache(source_layer=max(0, source), num_query_heads=heads, num_kv_heads=kv_heads)
    if read.num_kv_heads[il] == 0 or (name in HYBRID_BY_FFN and read.feed_forward[il]):
        return NoAttention(reason=f"{keys.name(DECLARED)} is 0 for this layer")
    if read.compress_ratios and read.compress_ratios[il]:
        return _compressed(read, keys, il)
    if read.latent or (name in MULTIPLIED_OUT and keys.has("rope.dimension_count")):
        return _latent(read, keys, il)
    return _grouped(read, keys, il)


def _window(read: HyperParameters, keys: Keys, il: int) -> int | None:
    if read.architecture == "phi3":  # in the file, and not used by llama.cpp
        return keys.number("attention.sliding_window", 0) or None
    return read.window or None if read.slides[il] else None


def _grouped(read: HyperParameters, keys: Keys, il: int) -> GroupedAttention:
    heads, kv_heads, widths = read.num_query_heads[il], read.num_kv_heads[il], read.widths
    if not 1 <= kv_heads <= heads:
        raise UnsupportedConfig(
            f"{keys.name(DECLARED)} is {kv_heads} for {heads} query heads in layer {il}: 1 to {heads} are meant. "
            "Read the header again."
        )
    sliding = read.slides[il]
    return GroupedAttention(
        num_query_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=widths.key_sliding if sliding else widths.key,
        value_dim=widths.value_sliding if sliding else widths.value,
        window=_window(read, keys, il),
        **_index(read, keys, il),
    )


def _index(read: HyperParameters, keys: Keys, il: int) -> dict[str, Any]:
    """Index keys of sparse attention, on the layers that own an indexer."""
    if read.index is None or read.compress_ratios or not read.index.layers[il]:
        return {}
    chosen = keys.number("attention.indexer.top_k", 0)
    return {"index_key_dim": read.index.key_dim} | ({"index_topk": chosen} if chosen else {})


def _compressed(read: HyperParameters, keys: Keys, il: int) -> CompressedAttention:
    """DeepSeek-V4: one key that is the value too; layers that compress 4 to 1 choose among the entries by an index."""
    rate = read.compress_ratios[il]
    indexed = rate == INDEXED_RATE and read.index is not None
    return CompressedAttention(
        num_query_heads=read.num_query_heads[il],
        head_dim=read.key_width(il),
        window=read.window or 0,
        compress_rate=rate,
        index_key_dim=read.index.key_dim if indexed and read.index else None,
        index_topk=keys.number("attention.indexer.top_k", 0) or None if indexed else None,
    )


def _latent(read: HyperParameters, keys: Keys, il: int) -> LatentAttention:
    """Newer files hold latent + rotary as key_length; older ones, MiniCPM3 and PLM the heads multiplied out."""
    latent = keys.required("attention.kv_lora_rank")
    row = read.widths.key
    if read.slides[il]:
        latent, row = keys.number("attention.kv_lora_rank_swa", latent), read.widths.key_sliding
    if read.latent and row < latent:
        raise UnsupportedConfig(
            f"{keys.name('attention.key_length')} is {row}, less than the {latent} of kv_lora_rank that it contains. "
            "Read the header again."
        )
    return LatentAttention(
        num_query_heads=read.num_query_heads[il],
        latent_dim=latent,
        rope_dim=row - latent if read.latent else keys.required("rope.dimension_count"),
        window=_window(read, keys, il),
        expanded_key_dim=keys.required("attention.key_length_mla") if read.latent else read.widths.key,
        expanded_value_dim=keys.required("attention.value_length_mla") if read.latent else read.widths.value,
        **_index(read, keys, il),
    )


def _state(read: HyperParameters) -> RecurrentState:
    elements = read.states.convolution + read.states.recurrent
    mechanism = MECHANISM[read.architecture]
    return RecurrentState(mechanism=mechanism, state_elements=elements, float32_elements=elements)


def _dimensions(metadata: Mapping[str, Any], keys: Keys, read: HyperParameters) -> ModelDimensions:
    experts = keys.number("expert_count", 0) or None
    width = keys.raw("expert_feed_forward_length") if experts else None
    if isinstance(width, list | tuple) or width is None:
        width = max(read.feed_forward) or None
    return ModelDimensions(
        hidden_size=keys.number("embedding_length", 0),
        vocab_size=_vocabulary(metadata, keys),
        intermediate_size=None if width is None else whole(keys.name("expert_feed_forward_length"), width),
        max_context_length=read.trained_context or None,
        num_experts=experts,
    )


def _vocabulary(metadata: Mapping[str, Any], keys: Keys) -> int | None:
    """A.vocab_size, else the number of tokens: the header reader gives an array that it skipped as its length."""
    if keys.has("vocab_size"):
        return keys.number("vocab_size", 0)
    tokens = metadata.get(VOCABULARY)
    length = getattr(tokens, "count", None) if not isinstance(tokens, list | tuple) else len(tokens)
    return length if isinstance(length, int) and length <= MAX_NUMBER else None


def _provenance(read: HyperParameters, keys: Keys) -> list[Provenance]:
    name = keys.name
    notes = [
        Provenance(
            figure="num_layers",
            value=f"{read.num_layers:,}",
            source="config",
            keys=(name("block_count"),),
            sentence=f"{name('block_count')} says {read.num_layers_all} layers, "
            f"{read.num_layers_all - read.num_layers} of them for drafting.",
        )
    ]
    if read.architecture in NO_CACHE:
        return notes
    if any(read.num_kv_heads):
        notes += [_heads_note(read, keys), _width_note(read, keys)]
    if read.window is not None and any(read.slides):
        notes.append(_window_note(read, keys))
    if any(read.recurrent):
        notes.append(_state_note(read, keys))
    return notes


def _heads_note(read: HyperParameters, keys: Keys) -> Provenance:
    seen = sorted(set(read.num_kv_heads) - {0}) or [0]
    said = f"{seen[0]}" if len(seen) == 1 else f"{seen[0]} to {seen[-1]}"
    if keys.has(DECLARED):
        return Provenance(
            figure="num_kv_heads", value=said, source="config", keys=(keys.name(DECLARED),),
            sentence=f"{keys.name(DECLARED)} is {shown(keys.raw(DECLARED))}.",
        )  # fmt: skip
    return Provenance(
        figure="num_kv_heads", value=said, source="rule", keys=(keys.name("attention.head_count"),),
        sentence=f"{keys.name(DECLARED)} is absent, so every query head has its own keys and values.",
    )  # fmt: skip


def _width_note(read: HyperParameters, keys: Keys) -> Provenance:
    name = keys.name("attention.key_length")
    if keys.has("attention.key_length"):
        return Provenance(
            figure="head_dim", value=f"{read.widths.key:,}", source="config", keys=(name,),
            sentence=f"{name} is {read.widths.key:,}, value_length {read.widths.value:,}.",
        )  # fmt: skip
    used = (keys.name("embedding_length"), keys.name("attention.head_count"))
    return Provenance(
        figure="head_dim", value=f"{read.widths.key:,}", source="rule", keys=used,
        sentence=f"{name} is absent: embedding_length / head_count = {read.widths.key:,}.",
    )  # fmt: skip


def _window_note(read: HyperParameters, keys: Keys) -> Provenance:
    sliding = sum(read.slides[: read.num_layers])
    used = [key for key in ("attention.sliding_window", "attention.sliding_window_pattern") if keys.has(key)]
    given = "The file says which" if "attention.sliding_window_pattern" in used else f"{read.architecture} says which"
    return Provenance(
        figure="window", value=f"{read.window:,} on {sliding} of {read.num_layers} layers",
        source="config" if used else "class default", keys=tuple(map(keys.name, used)),
        sentence=f"{given} layers slide; they keep {read.window:,} tokens.",
    )  # fmt: skip


def _state_note(read: HyperParameters, keys: Keys) -> Provenance:
    used = [key for key in ("ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.group_count", "wkv.head_size",
                            "shortconv.l_cache", "kda.head_dim") if keys.has(key)]  # fmt: skip
    elements = read.states.convolution + read.states.recurrent
    return Provenance(
        figure="state", value=f"{elements:,} elements on {sum(read.recurrent[: read.num_layers])} layers",
        source="config", keys=tuple(map(keys.name, used)),
        sentence=f"{MECHANISM[read.architecture]}: {elements:,} elements a layer, in float32.",
    )  # fmt: skip
