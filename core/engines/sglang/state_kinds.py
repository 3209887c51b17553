"""The states that one recurrent layer keeps on one rank, by kind (configs/mamba_utils.py of SGLang 0.5.23)."""

from dataclasses import dataclass

from core.engines.plan import EngineError

CONV_BYTES = 2


def share(name: str, total: int, ranks: int) -> int:
    """total / ranks, where SGLang asserts that nothing is left over. Raises EngineError."""
    if total % ranks:
        raise EngineError(
            f"sglang: tensor_parallel {ranks} does not divide the {total} {name} of the recurrent layers, and SGLang "
            "stops there. Choose a tensor_parallel that does."
        )
    return total // ranks


@dataclass(frozen=True, kw_only=True)
class HeadState:
    """Mamba, Mamba-2, gated delta rule, lightning attention: a convolution over channels and a matrix per head."""

    channels: int  # of the convolution, without those of the groups
    groups: int  # each has two rows of state_dim channels
    heads: int
    head_dim: int
    state_dim: int
    kernel: int
    state_bytes: int = 4

    def bytes_per_layer(self, ranks: int) -> int:
        """(channels + 2 groups x state) / ranks x (kernel - 1) x 2 + heads / ranks x head x state x 4 or 2 bytes.

        Groups that the ranks do not divide are copied until each rank has one (extra_groups_for_head_shards).
        """
        groups = self.groups if self.groups % ranks == 0 else ranks
        conv = share("convolution channels", self.channels + 2 * groups * self.state_dim, ranks) * (self.kernel - 1)
        state = share("heads", self.heads, ranks) * self.head_dim * self.state_dim
        return conv * CONV_BYTES + state * self.state_bytes


@dataclass(frozen=True, kw_only=True)
class DeltaState:
    """Kimi delta attention: three convolutions of heads x head_dim and a square matrix per head."""

    heads: int
    head_dim: int
    kernel: int

    def bytes_per_layer(self, ranks: int) -> int:
        """(kernel - 1) x 3 x heads x head / ranks x 2 + heads / ranks x head x head x 4 bytes."""
        conv = (self.kernel - 1) * 3 * share("channels", self.heads * self.head_dim, ranks)
        return conv * CONV_BYTES + share("heads", self.heads, ranks) * self.head_dim**2 * 4


@dataclass(frozen=True, kw_only=True)
class ShortConvolution:
    """LFM2: a convolution over the model's width, and no matrix."""

    channels: int
    kernel: int

    def bytes_per_layer(self, ranks: int) -> int:
        """channels / ranks x (kernel - 1) x 2 bytes."""
        return share("convolution channels", self.channels, ranks) * (self.kernel - 1) * CONV_BYTES


@dataclass(frozen=True, kw_only=True)
class CompressedConvolution:
    """ZAYA: padding of two convolutions over queries and keys, split over the ranks, and one hidden state, whole."""

    channels: int
    padding: int
    hidden: int

    def bytes_per_layer(self, ranks: int) -> int:
        """(channels / ranks x padding + hidden) x 2 bytes."""
        return (share("convolution channels", self.channels, ranks) * self.padding + self.hidden) * CONV_BYTES


@dataclass(frozen=True, kw_only=True)
class StreamConvolution:
    """Inkling: convolutions over keys and values of both kinds of layer and over the stream, in every layer."""

    full_heads: int
    full_head_dim: int
    window_heads: int
    window_head_dim: int
    hidden: int
    kernel: int

    def bytes_per_layer(self, ranks: int) -> int:
        """(kernel - 1) x 2 x (keys of a full layer + of a window layer + hidden) x 2 bytes."""
        full = max(1, self.full_heads // ranks) * self.full_head_dim
        window = max(1, self.window_heads // ranks) * self.window_head_dim
        return (self.kernel - 1) * 2 * (full + window + self.hidden) * CONV_BYTES


Kind = HeadState | DeltaState | ShortConvolution | CompressedConvolution | StreamConvolution
