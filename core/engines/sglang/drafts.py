"""What a draft takes of SGLang's pools: its layers cost what the target's do, and its states a copy a drafted token.

States _handle_eagle_family (arg_groups/speculative_hook.py), resolve_spec_aux_hidden_state_config
(model_runner_components/spec_aux_hidden_state.py) and the pool configurators of SGLang 0.5.23, with --speculative-
eagle-topk 1. The draft's own pool holds as many tokens as the target's, and is reckoned before as that many layers more
of the target's own width, whatever the draft's heads are; a draft of which the file says no number of layers (the MTP
of Qwen3-Next and of Ernie) is not reckoned at all, and takes what the server leaves free. 48 requests at most run at
once unless the job names a number.
"""

from collections.abc import Mapping
from typing import Any

from core.engines.plan import EngineError
from core.engines.sglang import classes
from core.engines.sglang.fields import Served
from core.models.spec import ModelSpec

METHODS = ("draft_model", "eagle", "eagle3", "mtp")
MOST_DRAFTED = 64
REQUESTS = 48
DRAFT_TEXT_KEYS = ("text_config", "llm_config", "language_config")
# Targets whose MTP layers lie in their own checkpoint, which SGLang reads again as the draft
BUNDLED = frozenset(
    {
        "BailingMoeForCausalLM", "BailingMoeV2ForCausalLM", "BailingMoeV2_5ForCausalLM", "DeepseekV32ForCausalLM",
        "DeepseekV3ForCausalLM", "Glm4MoeForCausalLM", "Glm4MoeLiteForCausalLM", "GlmMoeDsaForCausalLM",
        "HYV3ForCausalLM", "HYV4ForCausalLM", "Qwen4ExpForConditionalGeneration",
    }
)  # fmt: skip
NEXTN = "num_nextn_predict_layers"
OF_THE_CLASS = {"deepseek_v3": 1, "deepseek_v32": 1, "glm4_moe": 1, "nemotron_h": 0}  # the configuration class's own
ONE_LAYER = frozenset({"HYV3ForCausalLM", "HYV4ForCausalLM", "Qwen4ExpForConditionalGeneration"})
# Targets with an MTP class that SGLang sizes by what the target's file says, if anything
BESIDE = frozenset(
    {
        "Ernie4_5_MoeForCausalLM", "ExaoneMoEForCausalLM", "ExaoneMoeForCausalLM", "MiMoForCausalLM",
        "NemotronHForCausalLM", "Qwen3MoeForCausalLM", "Qwen3NextForCausalLM", "Qwen3_5ForCausalLM",
        "Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration",
    }
)  # fmt: skip


def mtp_layers(model: Served) -> int | None:
    """Layers that the MTP of a target is reckoned with; None where SGLang has none, or another way, for the class."""
    name = model.architecture
    if name in ONE_LAYER:
        return 1
    if name not in BUNDLED | BESIDE:
        return None
    announced = model.text.optional(NEXTN)
    if NEXTN not in model.text.raw:
        announced = OF_THE_CLASS.get(model.text.model_type)
    if announced is not None:
        return announced
    return model.text.integer("num_hidden_layers") if name in BUNDLED else 0


def layers_of(draft: ModelSpec) -> int:
    """Layers that a draft of its own is reckoned with. Raises EngineError for one whose windows have a pool apart."""
    listed = draft.config.get("architectures")
    name = listed[0] if isinstance(listed, list | tuple) and listed else ""
    if name in classes.WINDOW_POOL:
        raise EngineError(f"sglang: a draft of class {name} has a window pool of its own, which is not stated here.")
    text: Mapping[str, Any] = next(
        (part for key in DRAFT_TEXT_KEYS if isinstance(part := draft.config.get(key), Mapping)), draft.config
    )
    announced = text.get(NEXTN, OF_THE_CLASS.get(draft.model_type))
    return announced if type(announced) is int and announced > 0 else len(draft.layers)


def check(method: Any, draft: Any, tokens: Any) -> None:
    """Raises EngineError for a draft that cannot be."""
    if method is None:
        if draft is not None or tokens:
            raise EngineError(f"sglang: a draft needs its draft_method, one of {', '.join(METHODS)}. Name it.")
        return
    if method not in METHODS:
        raise EngineError(f"sglang: draft_method is {str(method)[:40]!r}: one of {', '.join(METHODS)} is expected.")
    if not isinstance(tokens, int) or isinstance(tokens, bool) or not 1 <= tokens <= MOST_DRAFTED:
        raise EngineError(f"sglang: speculative_tokens is {str(tokens)[:40]}: give 1 to {MOST_DRAFTED}.")
    if (draft is None) != (method == "mtp"):
        raise EngineError(
            "sglang: mtp drafts with layers of the model itself, so it takes no draft."
            if method == "mtp"
            else f"sglang: {method} drafts with a model of its own: give its ModelSpec as draft."
        )
    if draft is not None and not (isinstance(draft, ModelSpec) and draft.config):
        raise EngineError("sglang: draft is no model with a config.json. Give such a one.")
