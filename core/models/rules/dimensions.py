"""The widths that a parameter count needs: read where the file says them, None where it does not."""

from core.models.rules.facts import ModelDimensions, UnsupportedConfig
from core.models.rules.fields import ConfigPart

VOCAB = ("vocab_size", "padded_vocab_size")
FEED_FORWARD = ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim")
CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length")
EXPERTS = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts")
BIASED = ("attention_bias", "qkv_bias", "use_qkv_bias", "attn_bias")
PLAIN_FEED_FORWARD = {
    "bloom", "codegen", "falcon", "gpt-sw3", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_neox_japanese", "gptj",
    "mpt", "nemotron", "openai-gpt", "opt", "persimmon", "phi", "starcoder2", "xglm", "arcee", "nanochat", "biogpt",
}  # fmt: skip


def dimensions_of(part: ConfigPart) -> ModelDimensions:
    """Dimensions of the language model; hidden_size must be there, the rest may be None."""
    hidden = part.integer("hidden_size").value
    feed_forward = _first(part, FEED_FORWARD)
    if feed_forward is None and part.model_type in PLAIN_FEED_FORWARD:
        feed_forward = 4 * hidden  # GPT-2, BLOOM, Falcon and kin: absent or null means four times the width
    return ModelDimensions(
        hidden_size=hidden,
        vocab_size=_first(part, VOCAB),
        intermediate_size=feed_forward,
        gated_ffn=part.model_type not in PLAIN_FEED_FORWARD,
        tied_embeddings=part.value("tie_word_embeddings") is True,
        max_context_length=_first(part, CONTEXT),
        num_experts=_first(part, EXPERTS),
        attention_bias=any(part.value(name) is True for name in BIASED),
    )


def _first(part: ConfigPart, names: tuple[str, ...]) -> int | None:
    for name in names:
        try:
            found = part.optional_integer(name, minimum=0)
        except UnsupportedConfig:
            continue  # not a figure of the cache: a list or a word here does not make the cache unreadable
        if found is not None:
            return int(found.value) or None
    return None
