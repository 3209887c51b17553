"""Layers that are run several times, each pass with a cache of its own (Dory and Inkling-2-Loop of transformers 5.24).

transformers appends copies of the looped layers' caches behind those of the model's own layers; so does this reader.
Weights are counted once: the copies keep what the layer keeps and add no layer to the model.
"""

from core.models.attention import Layer
from core.models.rules.fields import ConfigPart, Found, rule


def with_loops(part: ConfigPart, layers: list[Layer]) -> list[Layer]:
    """The layers and behind them a copy of every looped one for each further pass."""
    if part.model_type == "dory":
        return _repeated(part, layers, *_dory(part, len(layers)))
    if part.model_type == "inkling2_loop_text":
        return _repeated(part, layers, *_inkling(part))
    return layers


def _repeated(part: ConfigPart, layers: list[Layer], first: Found, end: Found, passes: Found) -> list[Layer]:
    if first.value >= len(layers):
        return layers  # the loop lies behind the last layer: the class then runs every layer once
    if not 0 <= first.value <= end.value <= len(layers):
        name = next((key.rsplit(".")[-1] for key in (*end.keys, *first.keys)), "num_hidden_layers")
        part.refuse(name, f"the looped layers {first.value} to {end.value} do not lie among the {len(layers)} layers")
    looped = layers[first.value : end.value]
    if len(layers) + len(looped) * (passes.value - 1) > 10_000:
        part.refuse(passes.keys[0].rsplit(".")[-1] if passes.keys else "num_hidden_layers", "more than 10,000 caches")
    sentence = f"Layers {first.value} to {end.value - 1} run {passes.value} times, each pass with its own cache."
    part.note("looped_layers", rule(len(looped), sentence, first, end, passes))
    return [*layers, *looped * (passes.value - 1)]


def _dory(part: ConfigPart, layers: int) -> tuple[Found, Found, Found]:
    """n_input_layers, then the recurrent ones, then n_output_layers; last_loop keeps one cache for all passes."""
    halved = 2 if dory_lists_blocks(part) else 1
    first, last = (part.integer(name, minimum=0) for name in ("n_input_layers", "n_output_layers"))
    number = part.optional_integer("n_recurrent_layers", minimum=0)
    start, after = first.value // halved, last.value // halved
    recurrent = layers - start - after if number is None else number.value // halved
    if start + recurrent + after != layers:
        part.refuse("n_input_layers", f"with recurrent and output layers they have to make the {layers} layers")
    passes, mode = part.integer("n_recurrent_loops"), part.found("recurrent_kv_cache_mode")
    if mode is not None and mode.value not in ("per_loop", "last_loop"):
        part.refuse("recurrent_kv_cache_mode", '"per_loop" or "last_loop" is expected')
    if mode is not None and mode.value == "last_loop":
        passes = rule(1, "recurrent_kv_cache_mode last_loop: the last pass alone keeps a cache.", mode)
    return rule(start, "", first), rule(start + recurrent, "", number, last), passes


def dory_lists_blocks(part: ConfigPart) -> bool:
    """Whether layer_types names attention and MLP blocks in turn: then every count of layers counts both."""
    listed = part.value("layer_types")
    return part.model_type == "dory" and isinstance(listed, list | tuple) and "mlp" in listed


def _inkling(part: ConfigPart) -> tuple[Found, Found, Found]:
    """loop_config's numbers win over the flat keys, as in Inkling2LoopTextConfig."""
    nested = part.nested("loop_config", {})
    names = {
        "core_start": "loop_layer_index_start",
        "core_end": "loop_layer_index_end",
        "num_passes": "loop_num_passes",
    }
    first, end, passes = (
        nested.integer(inner) if inner in nested.raw else part.integer(flat) for inner, flat in names.items()
    )
    return first, end, passes
