"""What a server leaves for the cache: its share of the card less weights, activations, graphs, what lies outside torch.

Each part is a line. Where no formula tells, the line carries the range that servers logged in public, with the issue
that it was read in; nothing is then taken for more exact than its range.
"""

from dataclasses import dataclass

from core.engines.plan import EngineError
from core.models.spec import ModelSpec

GIB = 2**30
ACTIVATION_BYTES, LOGIT_BYTES = 2, 4
VLLM_UTILISATION = 0.92  # vLLM 0.33.0, CacheConfig.gpu_memory_utilization
PROFILED_SEQUENCES = 256  # max_num_seqs of vLLM 0.6 to 0.8, whose profile run samples a row of logits for each
OUTSIDE_TORCH = (0.30, 0.33)  # GiB, vllm#15815 and vllm#14452: NCCL, the CUDA context's growth, libraries
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
    """Peak of activations of one step of `tokens` tokens, dense or latent layers with one FFN width.

    Inside a layer the residual stream and its norm are alive with gate, up and their product; the logits of the
    profiled sequences come on top (they are alive with the last layer's). Raises EngineError for unknown widths.
    """
    widths = spec.dimensions
    if widths.intermediate_size is None or widths.vocab_size is None or widths.num_experts is not None:
        raise EngineError(
            f"The activations of this {spec.model_type} model are not computed: its config gives no single FFN width. "
            "Read the peak in the server's log."
        )
    ffn = -(-widths.intermediate_size // tensor_parallel) * (3 if widths.gated_ffn else 2)
    inside = tokens * (2 * widths.hidden_size + ffn) * ACTIVATION_BYTES
    logits = sequences * widths.vocab_size * LOGIT_BYTES
    return BudgetLine(
        name="activations",
        formula="tokens x (2 hidden + 3 FFN / TP) x 2, and 256 rows of logits x 4",
        low_bytes=inside,
        high_bytes=inside + logits,
        source="computed",
    )
