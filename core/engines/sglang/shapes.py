"""A model's layout in SGLang's pools, as data: rows, layers, states, and the settings that the class decides."""

from dataclasses import dataclass

from core.engines.sglang.states import States


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one layer keeps of one token."""

    elements: int  # of one KV head, keys and values; of the whole latent where heads is None
    heads: int | None = None  # None: a latent, the same on every rank
    scaled: int | None = None  # bytes of a row with scales, where cache type fp8_e4m3 stores such

    def row_bytes(self, ranks: int, element_bytes: int, cache_type: str) -> int:
        """Bytes on one rank: max(1, heads / ranks) x elements x bytes of an element."""
        if self.scaled is not None and cache_type == "fp8_e4m3":
            return self.scaled
        heads = 1 if self.heads is None else max(1, self.heads // ranks)
        return heads * self.elements * element_bytes


@dataclass(frozen=True, kw_only=True)
class Compressed:
    """DeepSeek-V4: a window of latents in every layer, and latents compressed over 4 or 128 tokens."""

    layers: int
    by_four: int
    by_128: int
    nope_dim: int
    rope_dim: int
    index_dim: int


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One model in SGLang's pools."""

    architecture: str
    context_length: int  # the server's default limit, which the most requests at once depend on
    layers: int  # in the pool of all tokens
    row: Row
    index_bytes: int = 0  # of one token, all layers: the indexer's keys, 8 bits each and their scales
    index_bytes_of_a_layer: int = 0
    index_elements: int = 0  # the same where they take the model's type, or 8 bits with cache type fp8_e4m3
    window_layers: int = 0  # in the window pool
    window_row: Row | None = None
    window: int | None = None
    window_ratio: float = 0.8  # swa_full_tokens_ratio
    state_ratio: float = 0.9  # mamba_full_memory_ratio
    states: States | None = None
    slots_per_request: int = 1  # with prefix caching
    state_chunk: int | None = None  # tokens between snapshots of a state
    prefix_caching: bool = True  # False where the class switches it off
    page: int = 1  # where the job names none
    fixed_page: bool = False  # the class sets its page whatever the job names
    single_page: bool = False  # with prefix caching the states allow pages of one token alone
    pages: tuple[int, ...] = ()  # the only ones that the class's attention kernel takes, if not any
    chunked_prefill: bool = True
    cache_types: tuple[str, ...] = ("auto", "bfloat16", "fp8_e4m3", "fp8_e5m2")
    compressed: Compressed | None = None
    mtp_layers: int | None = None  # that its MTP is reckoned with; None where none is stated
