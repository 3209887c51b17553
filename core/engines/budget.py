"""What a server leaves for the cache: its share of the card less weights, activations, graphs, what lies outside torch.

Each part is a line. Where no formula tells, the line carries the range that servers logged in public, with the issue
that it was read in; nothing is then taken for more exact than its range.
"""

from dataclasses import dataclass

from core.engines.plan import EngineError
from core.models.spec import ModelSpec

GIB = 2**30
ACTIVATION_BYTES = 2
# of one logit at the sampler's peak: logits in two types, sorted with their indices, probabilities, sums. 1.26 GiB were
# logged for 256 rows of 152,064 (vllm#15815: 35 bytes) and of 128,256 (vllm#10511: 41), alike at TP 1 and 2
SAMPLER_BYTES = (35, 41)
VLLM_UTILISATION = 0.92  # vLLM 0.33.0, CacheConfig.gpu_memory_utilization
PROFILED_SEQUENCES = 256  # max_num_seqs of vLLM 0.6 to 0.8, whose profile run samples a row of logits for each
OUTSIDE_TORCH = (0.30, 0.33)  # GiB, vllm#15815 and vllm#14452: NCCL, the CUDA context's growth, libraries
# SGLang 0.5.23 (arg_groups/memory_hook.py): card MiB up to which (tokens of a prefill chunk, most sequences of a decode
# graph with fewer than 4 ranks, with 4 and more)
SGLANG_CARDS = (
    (20 * 1024, 2048, 8, 8), (35 * 1024, 4096, 48, 160), (60 * 1024, 4096, 32, 160), (90 * 1024, 8192, 256, 512),
    (160 * 1024, 8192, 256, 512), (2**62, 16384, 512, 512),
)  # fmt: skip
MIB = 2**20
GRAPHS = (0.1, 0.7)  # GiB, taken off since vLLM 0.21
SEEN = "vllm#15815, vllm#14452"


@dataclass(frozen=True, kw_only=True)
class BudgetLine:
    """One part of the card's memory. Where only experience tells, low and high differ and source says who saw it."""

    name: str
    formula: str
    low_bytes: int
    high_bytes: int
    source: str


@dataclass(frozen=True, kw_only=True)
class ServerBudget:
    """Lines that are taken off share_bytes, in the order in which a server logs them."""

    share_bytes: int
    lines: tuple[BudgetLine, ...]

    @property
    def left_bytes(self) -> tuple[int, int]:
        """Least and most that is left for the cache; 0 where nothing is."""
        least = self.share_bytes - sum(line.high_bytes for line in self.lines)
        most = self.share_bytes - sum(line.low_bytes for line in self.lines)
        return max(least, 0), max(most, 0)


def vllm_budget(
    spec: ModelSpec,
    *,
    visible_bytes: int,
    weight_bytes: int,
    batched_tokens: int,
    utilisation: float = VLLM_UTILISATION,
    tensor_parallel: int = 1,
    graphs: bool = True,
) -> ServerBudget:
    """vLLM on one rank. visible_bytes is what torch sees of the card, batched_tokens the tokens of the profile run.

    Raises EngineError for a share that is none, or widths that the config does not say.
    """
    if not 0 < utilisation <= 1:
        raise EngineError(f"vllm: utilisation is {utilisation!r}: it is a share of the card. Give one above 0 up to 1.")
    outside = BudgetLine(
        name="outside torch",
        formula="seen, no formula",
        low_bytes=round(OUTSIDE_TORCH[0] * GIB),
        high_bytes=round(OUTSIDE_TORCH[1] * GIB),
        source=SEEN,
    )
    lines = [
        BudgetLine(
            name="weights",
            formula="as loaded, one rank's",
            low_bytes=weight_bytes,
            high_bytes=weight_bytes,
            source="given",
        ),
        outside,
        activation_line(spec, tokens=batched_tokens, tensor_parallel=tensor_parallel),
    ]
    if graphs:
        low, high = (round(gib * GIB) for gib in GRAPHS)
        lines.append(
            BudgetLine(
                name="CUDA graphs", formula="seen, no formula", low_bytes=low, high_bytes=high, source="vLLM 0.21"
            )
        )
    return ServerBudget(share_bytes=int(visible_bytes * utilisation), lines=tuple(lines))


def activation_line(
    spec: ModelSpec, *, tokens: int, tensor_parallel: int = 1, sequences: int = PROFILED_SEQUENCES
) -> BudgetLine:
    """Peak of activations of one step of `tokens` tokens: the larger of a layer's and the sampler's.

    Inside a layer the residual stream, its norm and the output are alive with gate, up and their product, or with
    those of every chosen expert: 105.5 MiB for each 1,000 tokens of Llama-3.1-8B, where 104.7 were logged (vllm#10517:
    0.92 GiB over 9,000). The sampler's rows are whole on every rank. Raises EngineError for unknown widths.
    """
    widths = spec.dimensions
    if widths.vocab_size is None:
        raise EngineError(f"The activations of this {spec.model_type} model are not computed: it names no vocab_size.")
    inner, words = _ffn_width(spec, tensor_parallel)
    inside = tokens * (3 * widths.hidden_size + inner) * ACTIVATION_BYTES
    low, high = (min(sequences, tokens) * widths.vocab_size * each for each in SAMPLER_BYTES)
    return BudgetLine(
        name="activations",
        formula=f"the larger of tokens x (3 hidden + {words}) x 2, and sampled rows x vocabulary x 35 to 41",
        low_bytes=max(inside, low),
        high_bytes=max(inside, high),
        source="computed; vllm#10511, vllm#10517, vllm#15815",
    )


def _ffn_width(spec: ModelSpec, tensor_parallel: int) -> tuple[int, str]:
    """Elements that one token has in the widest FFN on one rank, and how they are counted."""
    widths = spec.dimensions
    if widths.num_experts is None and widths.intermediate_size is not None:
        each = -(-widths.intermediate_size // tensor_parallel)
        return (3 * each, "3 FFN / TP") if widths.gated_ffn else (2 * each, "2 FFN / TP")
    config = spec.config.get("text_config") or spec.config
    chosen, wide = config.get("num_experts_per_tok"), config.get("moe_intermediate_size", widths.intermediate_size)
    if not isinstance(chosen, int) or not isinstance(wide, int):
        raise EngineError(
            f"The activations of this {spec.model_type} model are not computed: its config names no FFN width, or not "
            "how many experts a token has (num_experts_per_tok). Read the peak in the server's log."
        )
    each = -(-wide // tensor_parallel)  # fused_moe keeps gate and up, or the output, and the product of every expert
    return chosen * (max(2 * each, widths.hidden_size) + each), "experts x (max(2 FFN / TP, hidden) + FFN / TP)"


def sglang_static_fraction(
    *, visible_bytes: int, tensor_parallel: int = 1, chunk: int | None = None, latent: bool = False
) -> float:
    """SGLang 0.5.23's mem_fraction_static where it is not given: the share of the card for weights and cache.

    (card - reserved) / card in MiB, to three digits (arg_groups/memory_hook.py): 512, 1.5 a token of the prefill
    chunk (2,048 at least), 128 a rank, 2 a sequence of the largest decode graph, 8 a prefill graph (1,536 in all for
    MLA), and at least 10 GiB on a card above 60 GiB. Data-parallel attention, expert parallelism and images reserve
    more. Raises EngineError where nothing is left.
    """
    if visible_bytes < 1 or tensor_parallel < 1 or (chunk is not None and chunk < 1):
        raise EngineError("sglang: the card, tensor_parallel and the chunk are above 0. Give the card's bytes.")
    card = visible_bytes / MIB
    _, own, few, many = next(row for row in SGLANG_CARDS if card < row[0])
    tokens, most = chunk or own, few if tensor_parallel < 4 else many
    graphs = 1536 if latent else 8 * _prefill_graphs(tokens)
    reserved = 512 + 1.5 * max(tokens, 2048) + 128 * tensor_parallel + 2 * most + graphs
    if card > 60 * 1024:
        reserved = max(reserved, 10 * 1024)
    fraction = round((card - reserved) / card, 3)
    if fraction <= 0:
        raise EngineError(f"sglang reserves {reserved:,.0f} MiB, and the card has {card:,.0f}. Take a larger card.")
    return fraction


def _prefill_graphs(most: int) -> int:
    """How many sizes SGLang captures up to a chunk (cuda_graph_hook.py, generate_prefill_cuda_graph_batch_sizes)."""
    steps = ((4, 33, 4), (48, 257, 16), (288, 513, 32), (576, 1025, 64), (1280, 4097, 256), (4608, most + 1, 512))
    return sum(1 for start, stop, step in steps for size in range(start, stop, step) if size <= most)


def sglang_budget(
    spec: ModelSpec,
    *,
    visible_bytes: int,
    weight_bytes: int,
    static_fraction: float | None = None,
    tensor_parallel: int = 1,
    chunk: int | None = None,
) -> ServerBudget:
    """SGLang on one rank: the static share of the card less the weights; all else lives in the rest of the card.

    static_fraction is --mem-fraction-static, or SGLang's own rule. Raises EngineError for a share that is none.
    """
    if static_fraction is None:
        latent = any(layer.kind == "MLA" for layer in spec.layers)
        static_fraction = sglang_static_fraction(
            visible_bytes=visible_bytes, tensor_parallel=tensor_parallel, chunk=chunk, latent=latent
        )
    if not 0 < static_fraction <= 1:
        raise EngineError(f"sglang: static_fraction is {static_fraction!r}: it is a share above 0 up to 1.")
    weights = BudgetLine(
        name="weights",
        formula="as loaded, one rank's",
        low_bytes=weight_bytes,
        high_bytes=weight_bytes,
        source="given",
    )
    return ServerBudget(share_bytes=int(visible_bytes * static_fraction), lines=(weights,))
