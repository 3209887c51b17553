"""Which kind each layer is: full, sliding, chunked, latent-with-indexer, linear, none.

A file may list them (`layer_types`); otherwise the class of that model_type derives them from a period, a list of
indices or a fixed pattern. Those rules are written down here once per class, as `__post_init__` of transformers 5.24
has them; tests compare every one with the installed class.
"""

from collections.abc import Callable
from dataclasses import replace

from core.models.rules.attention_patterns import (
    Every,
    all_of,
    cohere2_moe,
    dots3,
    dots3_listed,
    exaone4,
    flint,
    from_last,
    gpt_neo,
    llama4,
    mimo,
    minimax_m3,
    qwen2_moe,
    smollm3,
    window_alone,
    window_from,
    window_if_set,
)
from core.models.rules.compressed import deepseek_v4_kinds
from core.models.rules.fields import ConfigPart
from core.models.rules.hybrid_patterns import (
    by_indices,
    deci,
    inkling,
    jamba,
    kimi_linear,
    lara_mini,
    lfm3,
    listed_only,
    minimax_list,
    nemotron_h,
    olmo_hybrid,
    recurrent_gemma,
    zamba,
    zamba2,
)
from core.models.rules.kinds import (
    CONV,
    FULL,
    HYBRID,
    HYBRID_SLIDING,
    INDEXED,
    LINEAR,
    OLDER_NAMES,
    Kinds,
    listed_kinds,
)
from core.models.rules.other_code import listed_by_other_code
from core.models.rules.own_keys import own_kinds

PATTERNS: dict[str, Callable[[ConfigPart, int], Kinds]] = {
    "afmoe": Every(period=4, key="global_attn_every_n_layers"),
    "axk2": all_of(INDEXED),
    "bailing_hybrid": Every(period=8, key="layer_group_size", common=LINEAR),
    "bamba": by_indices("attn_layer_indices", FULL, LINEAR),
    "beam": Every(period=6, last_is_rare=True),
    "cohere2": Every(period=4, key="sliding_window_pattern"),
    "cohere2_moe": cohere2_moe,
    "cohere_compass_text": all_of(FULL),
    "cwm": Every(period=4, offset=0),
    "deci": deci,
    "deepseek_v32": all_of(INDEXED),
    "deepseek_v4": deepseek_v4_kinds,
    "dory": Every(period=4),
    "dots1": window_from,
    "dots3_note_text": dots3,
    "exaone4": exaone4,
    "exaone_moe": exaone4,
    "falcon_h1": all_of(HYBRID),
    "falcon_mamba": all_of(LINEAR),
    "flint": flint,
    "gemma2": Every(period=2),
    "gemma3_text": Every(period=6, key="sliding_window_pattern"),
    "gemma3n_text": Every(period=5),
    "gemma4_text": Every(period=6, last_is_rare=True),
    "gemma4_unified_text": Every(period=6, last_is_rare=True),
    "diffusion_gemma_text": Every(period=6, last_is_rare=True),
    "glm_moe_dsa": all_of(INDEXED),
    "glm5_next_text": Every(period=4, rare=INDEXED, common=LINEAR),
    "gpt_neo": gpt_neo,
    "gpt_oss": Every(period=2),
    "granite_swa": Every(period=4, offset=0),
    "granitemoe_swa": Every(period=4, offset=0),
    "granitemoehybrid": all_of(LINEAR),
    "hy_v4": all_of(INDEXED),
    "hy_v4_vl_text": all_of(INDEXED),
    "inkling2_loop_text": Every(period=6, rare=HYBRID, common=HYBRID_SLIDING),
    "inkling2_text": Every(period=6, rare=HYBRID, common=HYBRID_SLIDING),
    "inkling_text": inkling,
    "jamba": jamba,
    "kimi_linear": kimi_linear,
    "kolibri1": Every(period=5),
    "laguna": all_of(FULL),
    "lara_mini": lara_mini,
    "lfm2": by_indices("full_attn_idxs", FULL, CONV),
    "lfm2_moe": listed_only,
    "lfm3": lfm3,
    "llama4_text": llama4,
    "mamba": all_of(LINEAR),
    "mamba2": all_of(LINEAR),
    "mellum": all_of(FULL),
    "mimo_v2_flash": mimo,
    "minimax_m1": minimax_list,
    "minimax_text_01": minimax_list,
    "minimax": Every(period=2, rare=LINEAR, common=FULL),
    "minimax_m3_vl_text": minimax_m3,
    "ministral": window_alone,
    "mistral_large4_text": all_of(INDEXED),
    "modernbert-decoder": Every(period=3, key="global_attn_every_n_layers", offset=0),
    "muse_glimmer_text": from_last,
    "muse_spark_text": from_last,
    "nemotron-nas": deci,
    "nemotron_h": nemotron_h,
    "olmo3": Every(period=4),
    "olmo_hybrid": olmo_hybrid,
    "qwen2": window_from,
    "qwen2_5_omni_text": window_from,
    "qwen2_5_vl_text": window_from,
    "qwen2_moe": qwen2_moe,
    "qwen2_vl_text": window_from,
    "qwen3": window_from,
    "qwen3_5_moe_text": Every(period=4, key="full_attention_interval", common=LINEAR),
    "qwen3_5_text": Every(period=4, key="full_attention_interval", common=LINEAR),
    "qwen3_next": Every(period=4, key="full_attention_interval", common=LINEAR),
    "qwen4_exp_text": Every(period=4, key="full_attention_interval", rare=INDEXED, common=LINEAR),
    "recurrent_gemma": recurrent_gemma,
    "smollm3": smollm3,
    "step3p5": all_of(FULL),
    "vaultgemma": Every(period=2),
    "xlstm": all_of(LINEAR),
    "zamba": zamba,
    "zamba2": zamba2,
    "zaya": all_of(HYBRID),
}
LAST_IS_FULL = {"diffusion_gemma_text", "gemma4_text", "gemma4_unified_text"}  # whatever their list says
COMPUTED = {  # model types whose layer_types is computed and cannot be set, or whose own rule reads the list
    "bamba", "deepseek_v4", "falcon_h1", "falcon_mamba", "jamba", "mamba", "mamba2", "recurrent_gemma", "xlstm",
    "zamba", "zamba2",
}  # fmt: skip


def kinds_follow_the_window(part: ConfigPart) -> bool:
    """Whether neither the file nor the class names kinds of layers: then a layer with a window slides."""
    return part.model_type not in PATTERNS and part.raw.get("layer_types") is None


def changed_by_class(part: ConfigPart, listed: Kinds) -> Kinds:
    """The listed kinds as the class takes them: some classes correct the list of the file."""
    kinds = listed.kinds
    if part.model_type in LAST_IS_FULL and kinds:
        kinds = (*kinds[:-1], FULL)
    if part.model_type == "dots3_note_text":
        kinds = dots3_listed(part, kinds)
    if kinds == listed.kinds:
        return listed
    sentence = f"{listed.origin.sentence} {part.model_class.name} corrects it to what stands here."
    return Kinds(kinds=kinds, origin=replace(listed.origin, sentence=sentence))


def layer_kinds(part: ConfigPart, layers: int) -> Kinds:
    """The kind of each layer: the file's own list, else the rule of the class, else the window alone."""
    key = part.key("layer_types")  # or the alias that the class reads as this list
    listed = None
    if key is not None and part.raw[key] is not None and part.model_type not in COMPUTED:
        listed = changed_by_class(part, listed_kinds(part, key, layers, OLDER_NAMES))
    if part.model_class.own_keys:
        return own_kinds(part, listed, layers)
    if listed is not None:
        return listed
    pattern = minimax_list if listed_by_other_code(part) else PATTERNS.get(part.model_type)
    if pattern is not None:
        return pattern(part, layers)
    return window_if_set(part, layers)
