"""How many layers keep a cache: num_hidden_layers, bounded, and the classes that count otherwise."""

from core.models.rules.fields import MAX_LAYERS, ConfigPart, Found, rule
from core.models.rules.hybrid_patterns import NEMOTRON_LETTERS
from core.models.rules.loops import dory_lists_blocks


def layer_count(part: ConfigPart) -> Found:
    """The number of layers. Raises UnsupportedConfig for none, or more than MAX_LAYERS: a file may claim a billion."""
    found = _count(part)
    if found.value > MAX_LAYERS:
        name = next((key.removeprefix(part.path) for key in found.keys), "num_hidden_layers")
        part.refuse(name, f"more than {MAX_LAYERS:,} layers")
    return found


def _count(part: ConfigPart) -> Found:
    if part.model_type == "longcat_flash":
        if part.raw.get("num_hidden_layers") is not None:  # the class derives num_layers from it
            halves = part.integer("num_hidden_layers", minimum=2)
            return rule(2 * (halves.value // 2), "num_hidden_layers counts both attention layers of a block.", halves)
        blocks = part.integer("num_layers")
        return rule(2 * blocks.value, f"Each of the {blocks.value} blocks holds two attention layers.", blocks)
    if part.model_type == "hrm_text":
        return _hrm(part)
    if part.model_type == "nemotron_h":
        return _nemotron_h(part)
    if dory_lists_blocks(part):
        blocks = part.integer("num_hidden_layers", minimum=2)
        return rule(blocks.value // 2, "layer_types names attention and MLP blocks in turn: two make a layer.", blocks)
    if part.model_type == "xlstm":
        return part.optional_integer("num_hidden_layers") or part.integer("num_blocks")
    return part.integer("num_hidden_layers")


def _hrm(part: ConfigPart) -> Found:
    """HRM runs one stack of layers many times, and each pass keeps its own cache."""
    given = part.optional_integer("num_layers_per_stack")
    stack = given or part.integer("num_hidden_layers")
    high, low = part.integer("H_cycles"), part.integer("L_cycles")
    total = stack.value * high.value * (low.value + 1)
    sentence = f"{stack.value} layers are run {high.value} x ({low.value} + 1) times, each pass with its own cache."
    return rule(total, sentence, stack, high, low)


def _nemotron_h(part: ConfigPart) -> Found:
    """The list or the pattern of layer kinds counts; num_hidden_layers only repeats it."""
    for key in ("layer_types", "layers_block_type"):
        listed = part.raw.get(key)
        if isinstance(listed, list):
            return Found(
                value=len(listed), source="rule", keys=(part.path + key,), sentence=f"{key} has {len(listed)} entries."
            )
    pattern = part.value("hybrid_override_pattern")
    if isinstance(pattern, str) and pattern and not set(pattern) - set(NEMOTRON_LETTERS):
        sentence = f"hybrid_override_pattern has {len(pattern)} letters, one per layer."
        return Found(value=len(pattern), source="rule", keys=_keys(part, "hybrid_override_pattern"), sentence=sentence)
    if pattern is not None:
        part.refuse("hybrid_override_pattern", f"letters {' '.join(NEMOTRON_LETTERS)} are expected")
    return rule(4, "NemotronHConfig takes four layers where the file lists none.")


def _keys(part: ConfigPart, name: str) -> tuple[str, ...]:
    return (part.path + name,) if name in part.raw else ()
