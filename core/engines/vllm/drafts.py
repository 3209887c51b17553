"""The layers that a drafting model adds to vLLM's plan: they draw on the target's pool, in the target's groups.

States v1/worker/gpu/spec_decode/ and config/speculative.py of vLLM 0.33.0. A plain draft and an EAGLE head bring the
layers of their own config.json, in blocks of the target's size; MTP builds the layers that the target's file announces,
each attending fully as the target's own do. The layers stand behind the target's, so that they lengthen its groups: a
recurrent layer keeps a state more for each speculated token (states.py).
"""

from dataclasses import replace

from core.engines.plan import EngineError
from core.engines.stage_layers import stage_layers
from core.engines.vllm.caches import LayerCache
from core.engines.vllm.classes import Served, registry
from core.engines.vllm.layers import Frame, attention_of, has_state, layer_caches, windows_of
from core.engines.vllm.model import Model, model_of
from core.engines.vllm.own import OWN
from core.engines.vllm.rows import TURBOQUANT
from core.models.rules.facts import UnsupportedConfig
from core.models.rules.text_part import text_part
from core.models.spec import ModelSpec

HEADS = ("eagle", "eagle3")


def draft_caches(frame: Frame) -> tuple[LayerCache, ...]:
    """What the draft of the settings keeps on one rank; empty without one. Raises EngineError for one not stated."""
    method, draft = frame.settings.draft_method, frame.settings.draft
    if method is None:
        return ()
    if draft is None:
        return _of_mtp(frame)
    model = _head_of(draft.model) if method in HEADS else model_of(draft.model)
    if model.text_class in OWN or any(has_state(layer) for layer in model.spec.layers):
        raise EngineError(
            f"draft is a {model.spec.model_type}: what vLLM 0.33 keeps for such a draft is not stated here. Give one "
            "whose layers attend."
        )
    windows = _windows(model, frame)
    _check_beside(frame, model, windows)
    # a plain draft's layers are numbered from 0, and TurboQuant leaves layers out by their number
    beside = replace(frame, model=model, skipped=frame.skipped if method == "draft_model" else frozenset())
    return layer_caches(beside, None, windows)


def _check_beside(frame: Frame, draft: Model, windows: tuple[int | None, ...]) -> None:
    """Raises EngineError for a draft that vLLM 0.33 does not serve beside the target."""
    settings = frame.settings
    plain = settings.draft_method == "draft_model"
    if settings.pipeline_parallel > 1 and plain:
        raise EngineError(
            "draft_method is 'draft_model': vLLM 0.33 cuts such a draft over the stages too and cannot run its part. "
            "Set pipeline_parallel to 1, or draft by eagle3 or mtp."
        )
    if settings.pipeline_parallel > 1 and settings.draft_method == "eagle":
        _check_names(frame, len(draft.spec.layers))
    own, others = frame.model.number("vocab_size"), draft.number("vocab_size")
    if plain and own is not None and others is not None and own != others:
        raise EngineError(
            f"The draft's vocabulary has {others:,} tokens and the model's {own:,}: vLLM 0.33 takes a draft_model of "
            "the same alone. Give another draft."
        )
    if frame.cache_type in TURBOQUANT and any(window is not None for window in windows):
        raise EngineError(
            f"cache_type is {frame.cache_type!r}: vLLM 0.33 has none for the draft's windows. Choose auto or fp8."
        )


def _check_names(frame: Frame, layers: int) -> None:
    """An EAGLE head counts its layers on from those of its stage (llama_eagle.py), whose names they must not take."""
    stages = frame.settings.pipeline_parallel
    first, last = stage_layers(len(frame.model.spec.layers), stages, last_takes_more=False)[-1]
    if any(first <= last - first + number < last for number in range(layers)):
        raise EngineError(
            f"draft_method is 'eagle': over {stages} stages its layers take names of the model's in vLLM 0.33. Set "
            "pipeline_parallel to 1, or draft by eagle3 or mtp."
        )


def _windows(draft: Model, frame: Frame) -> tuple[int | None, ...]:
    """A draft's layers are built under the target's CacheConfig, whose one window they take unless their class passes
    each its own: a draft of Mistral 7B v0.1 slides whatever its file says, and one whose file slides does not."""
    of_target = set(windows_of(frame.model)) if frame.slides else set()
    inherited = of_target.pop() if len(of_target) == 1 else None
    own = windows_of(draft)
    listed = draft.part is not None and bool(draft.part.raw.get("layer_types"))
    if len(set(own)) < 2 and not listed:
        return (inherited,) * len(own)
    return tuple(inherited if window is None else window for window in own)


def _head_of(spec: ModelSpec) -> Model:
    """An EAGLE head names a class of its own (LlamaForCausalLMEagle3), whose layers are those of its model_type."""
    try:
        part = text_part(spec.config) if spec.config else None
    except UnsupportedConfig as problem:
        raise EngineError(str(problem)) from problem
    known = registry().architectures.get(spec.model_type, "")
    return Model(spec=spec, part=part, served=Served(architecture=known, text_class=known, native=True))


# model_type -> the key that says how many layers predict further tokens (SpeculativeConfig.hf_config_override)
MTP_LAYERS = {
    "deepseek_v3": "num_nextn_predict_layers",
    "deepseek_v32": "num_nextn_predict_layers",
    "ernie4_5_moe": "num_nextn_predict_layers",
    "glm4_moe": "num_nextn_predict_layers",
    "glm4_moe_lite": "num_nextn_predict_layers",
    "glm_moe_dsa": "num_nextn_predict_layers",
    "qwen3_5_moe_text": "mtp_num_hidden_layers",
    "qwen3_5_text": "mtp_num_hidden_layers",
    "qwen3_next": "num_nextn_predict_layers",
}


def mtp_layers(model: Model) -> int:
    """How many layers the target's file announces for MTP. Raises EngineError where vLLM 0.33 builds none."""
    key = MTP_LAYERS.get(model.spec.model_type)
    if key is None:
        raise EngineError(
            f"draft_method is 'mtp': what vLLM 0.33 builds of it for model_type {model.spec.model_type!r} is not "
            f"stated here; it is for {', '.join(sorted(MTP_LAYERS))}. Read it in its log."
        )
    number = model.number(key)
    if number is None and model.spec.model_type == "qwen3_next":  # Qwen3NextMTP's own default
        number = 1
    if number is None:
        raise EngineError(f"draft_method is 'mtp', but the file's {key} announces no layer for it. Name another draft.")
    return number


def _of_mtp(frame: Frame) -> tuple[LayerCache, ...]:
    """Each layer keeps what the model's last layer that attends to every token keeps, an index beside it too."""
    model = frame.model
    number, tokens = mtp_layers(model), frame.settings.speculative_tokens
    if tokens > number and tokens % number:
        raise EngineError(
            f"speculative_tokens is {tokens}: vLLM 0.33 needs a multiple of the {number} layers that draft here."
        )
    full = [
        place
        for place, layer in enumerate(model.spec.layers)
        if (inner := attention_of(layer)) is not None and inner.window is None
    ]
    if not full:
        raise EngineError("draft_method is 'mtp', and no layer attends to every token. Read vLLM's log.")
    alone = replace(model, spec=replace(model.spec, layers=(model.spec.layers[full[-1]],)))
    return layer_caches(replace(frame, model=alone, skipped=frozenset()), None) * number
