"""Decoders built of BERT's layers: embeddings of words, positions and segments, biases everywhere, a head with a
transform before it.

Read from transformers 5.23.0, models/<type>/modeling_<type>.py.
"""

from collections.abc import Callable, Mapping

from core.parameters.gpt import square_attention
from core.parameters.tally import Tally, linear, plain
from core.parameters.values import NotByRule, Values


def bert(t: Tally, c: Values) -> None:
    """BERT, RoBERTa and those that differ in names alone."""
    hidden = c.size("hidden_size")
    _embeddings(t, c, hidden, positions=True)
    _layers(t, c)


def ernie(t: Tally, c: Values) -> None:
    bert(t, c)
    t.add("positions", c.size("task_type_vocab_size") * c.size("hidden_size") if c.flag("use_task_id") else 0)


def electra(t: Tally, c: Values) -> None:
    """ELECTRA and RoFormer: embeddings of a width of their own."""
    hidden, narrow = c.size("hidden_size"), c.size_or_none("embedding_size") or c.size("hidden_size")
    _embeddings(t, c, narrow, positions=True)
    t.add("other", linear(narrow, hidden, True) if narrow != hidden else 0)
    _layers(t, c)


def roformer(t: Tally, c: Values) -> None:
    """Positions are fixed sines, which its class keeps as a parameter of head_dim."""
    hidden, narrow = c.size("hidden_size"), c.size_or_none("embedding_size") or c.size("hidden_size")
    _embeddings(t, c, narrow, positions=False)
    t.add("positions", c.size("max_position_embeddings") * (hidden // c.size("num_attention_heads")))
    t.add("other", linear(narrow, hidden, True) if narrow != hidden else 0)
    _layers(t, c)


def big_bird(t: Tally, c: Values) -> None:
    """With the pooler, which its decoder class keeps."""
    hidden = c.size("hidden_size")
    _embeddings(t, c, hidden, positions=True)
    _layers(t, c, bias=c.flag("use_bias"))
    t.add("other", linear(hidden, hidden, True))


def xlm_roberta_xl(t: Tally, c: Values) -> None:
    """Norms before the blocks: none behind the embeddings, one at the end."""
    bert(t, c)


def prelayernorm(t: Tally, c: Values) -> None:
    bert(t, c)
    t.add("norms", 2 * c.size("hidden_size"))


def roc_bert(t: Tally, c: Values) -> None:
    """RoCBert: embeddings of sound and shape of a sign beside its own."""
    hidden = c.size("hidden_size")
    bert(t, c)
    sound, shape = c.size("pronunciation_embed_dim"), c.size("shape_embed_dim")
    t.add("other", c.size("pronunciation_vocab_size") * sound + c.size("shape_vocab_size") * shape)
    if c.flag("concat_input"):
        more = (sound if c.flag("enable_pronunciation") else 0) + (shape if c.flag("enable_shape") else 0)
        t.add("other", linear(hidden + more, hidden, True))


def _embeddings(t: Tally, c: Values, width: int, *, positions: bool) -> None:
    t.add("embedding", c.size("vocab_size") * width)
    rows = c.size("type_vocab_size") + (c.size("max_position_embeddings") if positions else 0)
    t.add("positions", rows * width)
    t.add("norms", 2 * width)


def _layers(t: Tally, c: Values, bias: bool = True) -> None:
    hidden, layers = c.size("hidden_size"), c.layers()
    if c.flag_or("add_cross_attention", False):
        raise NotByRule("add_cross_attention is true")
    if hidden % c.size("num_attention_heads"):
        raise NotByRule("heads do not divide hidden_size")
    square_attention(t, hidden, layers, bias, True)
    t.add("dense_ffn", layers * plain(hidden, c.size("intermediate_size"), True))
    t.add("norms", 2 * layers * 2 * hidden)


def bert_head(t: Tally, c: Values, tied: bool) -> None:
    """A transform of hidden x hidden with a norm, then the words' matrix and its bias; untied, two biases."""
    hidden, width, vocab = c.size("hidden_size"), t.parts["embedding"] // c.size("vocab_size"), c.size("vocab_size")
    t.add("other", linear(hidden, width, True) + vocab * (1 if tied else 2))
    t.add("norms", 2 * width)
    t.add("head", 0 if tied else vocab * width)


def electra_head(t: Tally, c: Values, tied: bool) -> None:
    """As BERT's, with one bias in any case."""
    bert_head(t, c, tied)
    t.add("other", 0 if tied else -c.size("vocab_size"))


BODIES: Mapping[str, Callable[[Tally, Values], None]] = {
    "bert": bert,
    "roberta": bert,
    "camembert": bert,
    "xlm-roberta": bert,
    "data2vec-text": bert,
    "ernie": ernie,
    "electra": electra,
    "roformer": roformer,
    "big_bird": big_bird,
    "xlm-roberta-xl": xlm_roberta_xl,
    "roberta-prelayernorm": prelayernorm,
    "roc_bert": roc_bert,
}
HEADS = {name: electra_head if name == "electra" else bert_head for name in BODIES}
