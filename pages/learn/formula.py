"""The whole formula on a Post-it: each factor a control with its own picture, the sum by hand, what is left out."""

from core.models.head_sharing import PRESETS, Layout, LayoutError
from pages.learn.screens.lesson import Stage, run, thousands

LAYERS = (12, 16, 24, 28, 32, 40, 48, 60, 64, 80)
KV_HEADS = (1, 2, 4, 8, 16, 32, 40, 64)
WIDTHS = (64, 96, 128, 192, 256)
BYTES = (1, 2)
TOKENS = (1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


def factors(stage: Stage) -> None:
    """Six controls in two rows, the cells that they fill, and the product beside one GPU."""
    one, two, three = stage.controls(1, 1, 1)
    layers = one.select_slider("L, layers", LAYERS, 40, key=stage.key("l"), bind="query-params")
    heads = two.select_slider("G, KV heads", KV_HEADS, 40, key=stage.key("g"), bind="query-params")
    head_dim = three.select_slider("head_dim", WIDTHS, 128, key=stage.key("d"), bind="query-params")
    one, two, three = stage.controls(1, 1, 1)
    width = one.select_slider("Bytes a number", BYTES, 2, key=stage.key("b"), bind="query-params")
    tokens = two.select_slider(
        "Tokens", TOKENS, 4_096, format_func=thousands, key=stage.key("tokens"), bind="query-params"
    )
    batch = three.select_slider("Sequences", BATCHES, 1, key=stage.key("batch"), bind="query-params")
    stage.picture(
        "factors",
        num_layers=layers,
        num_kv_heads=heads,
        head_dim=head_dim,
        width=width,
        context_length=tokens,
        batch=batch,
    )
    try:
        layout = Layout(
            num_query_heads=heads, num_kv_heads=heads, head_dim=head_dim, num_layers=layers, bytes_per_element=width
        )
    except LayoutError as refused:
        stage.right.error(str(refused))
        return
    stage.picture("against_memory", cache_bytes=layout.kv_bytes_per_token * tokens * batch)


def by_hand(stage: Stage) -> None:
    """The same product for a real model, built up factor by factor."""
    one, two, three = stage.controls(3, 2, 2)
    names = [preset.name for preset in PRESETS]
    model = one.selectbox("Model", names, names.index("Llama-2 13B"), key=stage.key("model"), bind="query-params")
    tokens = two.select_slider(
        "Tokens", TOKENS, 4_096, format_func=thousands, key=stage.key("hand_tokens"), bind="query-params"
    )
    batch = three.select_slider("Sequences", BATCHES, 16, key=stage.key("hand_batch"), bind="query-params")
    stage.picture("by_hand", model=model, context_length=tokens, batch=batch)


run(
    "formula",
    {"factors": factors, "by-hand": by_hand, "absent": lambda stage: stage.picture("presets")},
)
