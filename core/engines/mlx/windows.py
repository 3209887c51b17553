"""Which layers slide in mlx-lm 0.32.2, as each class's own make_cache decides.

A class without a make_cache holds every token, whatever windows the model was trained with (Mistral 7B v0.1, Phi-3,
StarCoder2, Qwen2, Gemma-2). Of those with one, some read layer_types, some only a pattern of their own, and where the
file leaves the key out the class's own pattern stands, not transformers'.
"""

from collections.abc import Callable, Mapping
from typing import Any

from core.engines.plan import EngineError

Config = Mapping[str, Any]
Slides = Callable[[Config, int], list[bool]]  # (text config, number of layers) -> which layers slide


def _whole(config: Config, count: int) -> list[bool]:
    return [False] * count


def _by_types(otherwise: Slides) -> Slides:
    """layer_types where the file has them, else the class's own pattern."""

    def slides(config: Config, count: int) -> list[bool]:
        types = config.get("layer_types")
        if types is None:
            return otherwise(config, count)
        if not isinstance(types, list | tuple) or len(types) < count:
            raise EngineError(f"mlx: layer_types does not name each of the {count} layers. Name them all.")
        return [kind == "sliding_attention" for kind in types[:count]]

    return slides


def _every(period: int) -> Slides:
    """All layers but each period-th (olmo3.py, muse_glimmer.py, spark2_5.py: 4)."""
    return lambda config, count: [(index + 1) % period != 0 for index in range(count)]


def _by_pattern(default: int) -> Slides:
    """All but each sliding_window_pattern-th, without a look at layer_types (cohere2.py: 4, gemma3_text.py: 6)."""

    def slides(config: Config, count: int) -> list[bool]:
        period = _whole_number(config, "sliding_window_pattern", default)
        return [index % period != period - 1 for index in range(count)]

    return slides


def _by_letters(config: Config, count: int) -> list[bool]:
    """exaone4.py: sliding_window_pattern as letters, L for a layer that slides; null means that none does."""
    pattern = config.get("sliding_window_pattern")
    if pattern is None:
        return [False] * count
    if not isinstance(pattern, str) or not pattern:
        raise EngineError(
            f"mlx: sliding_window_pattern is {pattern!r}: mlx-lm 0.32.2 reads letters for EXAONE-4. Give 'LLLG'."
        )
    return [pattern[index % len(pattern)] == "L" for index in range(count)]


def _by_hybrid_pattern(config: Config, count: int) -> list[bool]:
    """mimo_v2_flash.py: hybrid_layer_pattern, 1 for a layer that slides."""
    pattern = config.get("hybrid_layer_pattern")
    if not isinstance(pattern, list) or len(pattern) < count:
        raise EngineError(f"mlx: hybrid_layer_pattern does not name each of the {count} layers. Name them all.")
    return [bool(slides) for slides in pattern[:count]]


def _llama4(config: Config, count: int) -> list[bool]:
    """llama4.py: chunks in all layers but each fourth, whatever no_rope_layers says."""
    return [(index + 1) % 4 != 0 for index in range(count)]


# module: (which layers slide, the key of the window, the class's own window where the file leaves it out)
RULES: dict[str, tuple[Slides, str, int | None]] = {
    "afmoe": (_by_types(_every(4)), "sliding_window", 2048),
    "cohere2": (_by_pattern(4), "sliding_window", 4096),
    "exaone4": (_by_letters, "sliding_window", None),
    "exaone_moe": (_by_types(_whole), "sliding_window", None),
    "gemma3_text": (_by_pattern(6), "sliding_window", 512),
    "gemma3n": (_by_types(_every(5)), "sliding_window", None),
    "gemma4_text": (
        _by_types(lambda config, count: _every(_whole_number(config, "sliding_window_pattern", 5))(config, count)),
        "sliding_window",
        512,
    ),
    "gpt_oss": (_by_types(_every(2)), "sliding_window", 128),
    "laguna": (_by_types(_whole), "sliding_window", 512),
    "llama": (_by_types(_whole), "sliding_window", None),
    "llama4": (_llama4, "attention_chunk_size", None),
    "mellum": (_by_types(_whole), "sliding_window", None),
    "mimo_v2_flash": (_by_hybrid_pattern, "sliding_window_size", None),
    "ministral3": (_by_types(_whole), "sliding_window", None),
    "muse_glimmer": (_by_types(_every(4)), "sliding_window", 2048),
    "olmo3": (_by_types(_every(4)), "sliding_window", None),
    "plamo3": (_by_pattern(8), "sliding_window", 2048),
    "recurrent_gemma": (lambda config, count: [True] * count, "attention_window_size", 2048),
    "spark2_5": (_by_types(_every(4)), "sliding_window", None),
    "step3p5": (
        _by_types(lambda config, count: [index % 2 == 0 for index in range(count)]),
        "sliding_window",
        512,
    ),
}


def windows_of(module: str, config: Config, spec_windows: list[int | None]) -> list[int | None]:
    """The window that mlx-lm keeps in each layer, None where it keeps every token; one number for each layer.

    Where the file names no window and the class has none of its own, the window that the model's reader found stands.
    Raises EngineError for a pattern that the class cannot read.
    """
    if module not in RULES:
        return [None] * len(spec_windows)
    slides, key, default = RULES[module]
    found = next((window for window in spec_windows if window is not None), None)
    fallback = default if default is not None else found
    window = _whole_number(config, key, fallback) if config.get(key) is not None or fallback is not None else None
    kept: list[int | None] = []
    for index, sliding in enumerate(slides(config, len(spec_windows))):
        if sliding and window is None:
            raise EngineError(f"mlx: layer {index} slides and {key} is not in the config. Add {key}.")
        kept.append(window if sliding else None)
    return kept


def _whole_number(config: Config, key: str, default: int | None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise EngineError(f"mlx: {key} is {value!r}: it has to be a whole number above 0. Mend the config.")
    return value
