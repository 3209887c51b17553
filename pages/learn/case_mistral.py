"""Case: Mistral 7B, GQA-8 and a second knob. The slope, the cap, what the cap gives up, and which of the two lasted."""

from pages.learn.screens.lesson import Stage, run, thousands

TOKENS = (512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072)
WINDOWS = (1_024, 2_048, 4_096, 8_192, 16_384)


def choose_tokens(stage: Stage, start: int) -> dict[str, int]:
    """Length of the sequence and window, side by side; each step begins at its own length."""
    first, second = stage.controls(1, 1)
    key = stage.key(f"tokens_{stage.step.slug}")
    tokens = first.select_slider("Tokens", TOKENS, start, format_func=thousands, key=key, bind="query-params")
    window = second.select_slider(
        "Window", WINDOWS, 4_096, format_func=thousands, key=stage.key("window"), bind="query-params"
    )
    return {"context_length": tokens, "window": window}


def claims(stage: Stage) -> None:
    """Reach of stacked windows."""
    (first,) = stage.controls(1)
    window = first.select_slider(
        "Window", WINDOWS, 4_096, format_func=thousands, key=stage.key("window"), bind="query-params"
    )
    stage.picture("reach", window=window)


def aged(stage: Stage) -> None:
    """A mix of full and windowed layers."""
    job = choose_tokens(stage, 32_768)
    full = stage.right.slider("Layers that keep everything", 0, 32, 10, key=stage.key("full"), bind="query-params")
    stage.picture("mix", full_layers=full, **job)


def answer(stage: Stage) -> None:
    """The four lines again, to hold the answer against any length."""
    stage.said_before()
    stage.picture("windows", **choose_tokens(stage, 32_768))


run(
    "case-mistral",
    {
        "situation": lambda stage: stage.layout(32, 8),
        "lines": lambda stage: stage.picture("windows", **choose_tokens(stage, 32_768)),
        "claims": claims,
        "aged": aged,
        "answer": answer,
    },
)
