"""One colour per idea, on every page, in both themes; told apart without red against green."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """CSS colours. Text drawn on a filled mark uses on_fill; text on the page uses text or muted."""

    queries: str
    keys_values: str
    weights: str
    cache: str
    reserve: str
    mha: str
    gqa: str
    mqa: str
    mla: str
    recurrent: str
    text: str
    muted: str
    panel: str
    ghost: str
    line: str
    background: str
    on_fill: str
    fits: str
    exceeds: str

    def kind(self, kind: str) -> str:
        """Colour of an attention kind by its name (MHA, GQA, MQA, MLA); anything else is drawn as recurrent state."""
        by_name = {"MHA": self.mha, "GQA": self.gqa, "MQA": self.mqa, "MLA": self.mla}
        return by_name.get(kind, self.recurrent)


LIGHT = Palette(
    queries="#2a6ab0", keys_values="#c8620f", weights="#7d8ea3", cache="#c8620f", reserve="#c3ccd7",
    mha="#7a4fa3", gqa="#0b7f77", mqa="#b5336f", mla="#8a6a00", recurrent="#64748b",
    text="#1b2430", muted="#5a6676", panel="#f3f5f9", ghost="#e1e6ed", line="#8b97a6",
    background="#ffffff", on_fill="#ffffff", fits="#0b6e4f", exceeds="#b3261e",
)  # fmt: skip

DARK = Palette(
    queries="#5b9fe0", keys_values="#f0964a", weights="#8fa1b8", cache="#f0964a", reserve="#4b5868",
    mha="#b794e0", gqa="#3fc1b5", mqa="#ee83b4", mla="#d9b33f", recurrent="#94a3b8",
    text="#e8edf3", muted="#a4b0bf", panel="#1a212c", ghost="#2c3643", line="#7f8c9c",
    background="#10151d", on_fill="#10151d", fits="#4fd1a5", exceeds="#ff8a80",
)  # fmt: skip


def mixed(colour: str, background: str, share: float) -> str:
    """colour as it looks at an opacity of share on background: both "#rrggbb", mixed by channel.

    Drawn so, a mark has one colour in a browser, in an SVG and in a PNG.
    """
    over, under = (bytes.fromhex(value.removeprefix("#")) for value in (colour, background))
    return "#" + bytes(round(share * a + (1 - share) * b) for a, b in zip(over, under, strict=True)).hex()


def palette(theme: str | None) -> Palette:
    """The palette of 'light' or 'dark'; anything else reads as light, as Streamlit's own default does."""
    return DARK if theme == "dark" else LIGHT


def theme_of(colours: Palette) -> str:
    """The theme whose palette that is."""
    return "dark" if colours == DARK else "light"
