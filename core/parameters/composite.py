"""Types that nest a language model: its own rule, the vision tower, and the projector between.

Some of them transformers builds as their text part alone when asked for a causal language model (Llama 4, Qwen3.5):
those have no tower here. Read from transformers 5.23.0, models/<type>/modeling_<type>.py and the class that its
AutoModelForCausalLM, else AutoModelForImageTextToText, picks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.parameters.tally import Tally, linear
from core.parameters.values import NotByRule, Values

Projector = Callable[[Values, Values, Values], int]


@dataclass(frozen=True, kw_only=True)
class Composite:
    """projector gives its parameters from the outer, the text's and the tower's values; None: the text alone counts.

    either_ties: the embeddings are also tied where the text's object alone says so. flat: files without text_config
    keep the text's values at the top level. optional: no vision_config, no tower.
    """

    projector: Projector | None
    either_ties: bool = False
    flat: bool = False
    optional: bool = False


def two_layers(outer: Values, text: Values, vision: Values, bias: str | bool = "multimodal_projector_bias") -> int:
    """LLaVA's: from the features of one tower layer, or several side by side, to the text's width, and once more."""
    layer = outer.get("vision_feature_layer")
    features = 1 if type(layer) is int else len(outer.numbers("vision_feature_layer"))
    hidden, with_bias = text.size("hidden_size"), outer.flag(bias)
    return linear(vision.size("hidden_size") * features, hidden, with_bias) + linear(hidden, hidden, with_bias)


def _llava_next(outer: Values, text: Values, vision: Values) -> int:
    return two_layers(outer, text, vision) + text.size("hidden_size")  # a vector for the end of a row of patches


def _vipllava(outer: Values, text: Values, vision: Values) -> int:
    features = len(outer.numbers("vision_feature_layer")) or 1
    return two_layers(outer, text, vision, True) + 2 * features * vision.size("hidden_size")


def _mistral3(outer: Values, text: Values, vision: Values) -> int:
    width = vision.size("hidden_size")
    return two_layers(outer, text, vision) + width + width * outer.size("spatial_merge_size") ** 2 * width


def _gemma3(outer: Values, text: Values, vision: Values) -> int:
    return vision.size("hidden_size") * text.size("hidden_size") + vision.size("hidden_size")


def _paligemma(outer: Values, text: Values, vision: Values) -> int:
    return linear(vision.size("hidden_size"), outer.size("projection_dim"), True)


def _pixel_shuffle(outer: Values, text: Values, vision: Values) -> int:
    """SmolVLM and Idefics 3: scale_factor^2 neighbours as one, one matrix."""
    return vision.size("hidden_size") * outer.size("scale_factor") ** 2 * text.size("hidden_size")


def _aligned(outer: Values, text: Values, vision: Values) -> int:
    """Command A Vision and Aya Vision: a SwiGLU between, whose second matrix takes half."""
    wide = vision.size("hidden_size") * outer.size("downsample_factor") ** 2
    middle = outer.whole(
        outer.get("alignment_intermediate_size", text.size("hidden_size")), "alignment_intermediate_size"
    )
    return linear(wide, middle, True) + linear(middle // 2, text.size("hidden_size"), True)


def _aya(outer: Values, text: Values, vision: Values) -> int:
    return _aligned(outer, text, vision) + 2 * vision.size("hidden_size") * outer.size("downsample_factor") ** 2


def _lfm2_vl(outer: Values, text: Values, vision: Values) -> int:
    wide, bias = vision.size("hidden_size") * outer.size("downsample_factor") ** 2, outer.flag("projector_bias")
    middle = outer.size("projector_hidden_size")
    norm = 2 * wide if outer.flag("projector_use_layernorm") else 0
    return norm + linear(wide, middle, bias) + linear(middle, text.size("hidden_size"), bias)


def _gemma4(outer: Values, text: Values, vision: Values) -> int:
    if outer.get("audio_config", None) is not None:
        raise NotByRule("audio_config is given")
    return vision.size("hidden_size") * text.size("hidden_size")


def _minimax_m3(outer: Values, text: Values, vision: Values) -> int:
    """Each patch to the text's width, then spatial_merge_size^2 of them as one, two matrices with biases each time."""
    hidden, middle = text.size("hidden_size"), outer.size("projector_hidden_size")
    merged = hidden * vision.size("spatial_merge_size") ** 2
    return sum(
        linear(wide, middle, True) + linear(middle, hidden, True) for wide in (vision.size("hidden_size"), merged)
    )


def _gemma3n(outer: Values, text: Values, vision: Values) -> int:
    """A table of soft tokens, two norms and a map to the text's width for pictures, the same for sound, and the sound's
    own tower."""
    from core.parameters.towers import gemma3n_audio  # noqa: PLC0415  a language model alone has none

    audio = outer.nested("audio_config")
    maps = sum(
        (part.size("vocab_size") + 2) * part.size("hidden_size") + part.size("hidden_size") * text.size("hidden_size")
        for part in (vision, audio)
    )
    return maps + gemma3n_audio(audio)


def _kimi_k3(outer: Values, text: Values, vision: Values) -> int:
    """Neighbouring patches as one, a square matrix, one to the text's width and a norm behind; no biases."""
    merge = vision.numbers("merge_kernel_size")
    if vision.get("mm_projector_type") != "patchmergerv2" or len(merge) != 2:
        raise NotByRule(f"{vision.path}mm_projector_type, merge_kernel_size: the rule does not follow them")
    wide = vision.size("mm_hidden_size") * merge[0] * merge[1]
    return wide * wide + wide * text.size("hidden_size") + text.size("hidden_size")


def _in_tower(outer: Values, text: Values, vision: Values) -> int:
    return 0


TEXT_ALONE = Composite(projector=None)
COMPOSITES: Mapping[str, Composite] = {
    "llama4": TEXT_ALONE,
    "qwen3_5": TEXT_ALONE,
    "qwen3_5_moe": TEXT_ALONE,
    "qwen4_exp": TEXT_ALONE,
    "kimi_k3": Composite(projector=_kimi_k3, optional=True),
    "llava": Composite(projector=two_layers, either_ties=True),
    "llava_next": Composite(projector=_llava_next),
    "llava_next_video": Composite(projector=_llava_next),
    "llava_onevision": Composite(projector=_llava_next, either_ties=True),
    "vipllava": Composite(projector=_vipllava),
    "mistral3": Composite(projector=_mistral3),
    "gemma3": Composite(projector=_gemma3),
    "gemma3n": Composite(projector=_gemma3n),
    "gemma4": Composite(projector=_gemma4, optional=True),
    "paligemma": Composite(projector=_paligemma),
    "idefics3": Composite(projector=_pixel_shuffle),
    "smolvlm": Composite(projector=_pixel_shuffle),
    "cohere2_vision": Composite(projector=_aligned),
    "aya_vision": Composite(projector=_aya),
    "lfm2_vl": Composite(projector=_lfm2_vl),
    "qwen2_vl": Composite(projector=_in_tower, either_ties=True, flat=True),
    "qwen2_5_vl": Composite(projector=_in_tower, either_ties=True, flat=True),
    "qwen3_vl": Composite(projector=_in_tower),
    "qwen3_vl_moe": Composite(projector=_in_tower),
    "minimax_m3_vl": Composite(projector=_minimax_m3, either_ties=True),
    "glm4v": Composite(projector=_in_tower, either_ties=True),
    "glm4v_moe": Composite(projector=_in_tower, either_ties=True),
    "glm5_next": Composite(projector=_in_tower),
    "glm46v": Composite(projector=_in_tower, either_ties=True),
}


def text_of(outer: Values, rule: Composite) -> Values:
    """The text's values: nested, or at the top level of an older file."""
    if rule.flat and outer.get("text_config", None) is None:
        part = outer.fields.parts["text_config"]
        inner = Values(outer.raw, part.model_type, outer.path)
        declared = {key: value for key, value in outer.raw.items() if key in inner.fields.defaults}
        return Values(declared, part.model_type, outer.path)
    return outer.nested("text_config")


def add_tower(t: Tally, outer: Values, text: Values, rule: Composite) -> None:
    """What a type adds to its language model."""
    if rule.projector is None:
        return
    if rule.optional and outer.get("vision_config", None) is None:
        if outer.get("audio_config", None) is not None:
            raise NotByRule("audio_config is given")
        return
    vision = outer.nested("vision_config")
    if isinstance(vision.raw.get("model_type"), str) and vision.model_type != vision.raw["model_type"]:
        known = {outer.model_type, vision.model_type}  # older files name the outer type there
        if vision.raw["model_type"] not in known:
            raise NotByRule(f"{vision.path}model_type is {vision.raw['model_type']!r}")
    from core.parameters.towers import tower  # noqa: PLC0415  a language model alone has none

    t.add("towers", rule.projector(outer, text, vision) + tower(vision))


def is_tied(outer: Values, text: Values, rule: Composite) -> bool:
    said = outer.flag_or("tie_word_embeddings", True)
    if rule.projector is None:
        return text.flag_or("tie_word_embeddings", True)
    return said or (rule.either_ties and text.flag_or("tie_word_embeddings", False))
