"""Fewer KV heads is the cheapest fix: five levers side by side, stacked, and why heads come first."""

from pages.learn.screens.lesson import Stage, run, thousands

WINDOWS = (1_024, 2_048, 4_096, 8_192, 16_384, 32_768)


def settings(stage: Stage) -> dict[str, int]:
    """One control a lever; the same on both steps, so that a setting stays as it was made."""
    heads, bits, window, kept, batch = stage.controls(1, 1, 1, 1, 1)
    return {
        "num_kv_heads": heads.select_slider(
            "G of 40", (1, 2, 4, 5, 8, 10, 20, 40), 8, key=stage.key("g"), bind="query-params"
        ),
        "bits": bits.select_slider("Bits", (2, 4, 8, 16), 8, key=stage.key("bits"), bind="query-params"),
        "window": window.select_slider(
            "Window", WINDOWS, 4_096, format_func=thousands, key=stage.key("window"), bind="query-params"
        ),
        "kept_percent": kept.select_slider(
            "Keep, %", (10, 20, 50, 80, 100), 20, key=stage.key("kept"), bind="query-params"
        ),
        "batch": batch.select_slider("Batch", (1, 2, 4, 8, 16), 8, key=stage.key("batch"), bind="query-params"),
    }


run(
    "levers",
    {
        "side": lambda stage: stage.picture("levers_side_by_side", **settings(stage)),
        "stack": lambda stage: stage.picture("levers_stacked", **settings(stage)),
        "cheapest": lambda stage: stage.picture("levers_side_by_side", **settings(stage)),
    },
)
