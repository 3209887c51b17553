"""Which model classes SGLang 0.5.23 serves, and which of its own lists a class stands on.

The table core/data/sglang_classes.json.gz holds the names in sglang/srt/models and what each configuration class says
by itself (write_classes.py beside this file makes it). The lists below are those of configs/model_config.py and of
arg_groups in sglang/srt: SGLang decides by the class name in `architectures`, hardly ever by the file's other keys.
"""

import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parents[2] / "data" / "sglang_classes.json.gz"

# model_config.py, is_hybrid_swa_model: these alone get a window pool; any other class holds its windows whole
SINK_CLASSES = frozenset(
    {"GptOssForCausalLM", "GraniteSWAForCausalLM", "GraniteMoeSWAForCausalLM", "IQuestQ1ForCausalLM"}
)
MIMO_V2 = frozenset({"MiMoV2ForCausalLM", "MiMoV2FlashForCausalLM"})
WINDOW_POOL = (
    SINK_CLASSES
    | MIMO_V2
    | {
        "BeamForCausalLM",
        "Llama4ForConditionalGeneration",
        "DeepseekV4ForCausalLM",
        "Step3p5ForCausalLM",
        "Step3p7ForConditionalGeneration",
        "Gemma4ForCausalLM",
        "Gemma4ForConditionalGeneration",
        "Gemma4UnifiedForConditionalGeneration",
        "LagunaForCausalLM",
        "MellumForCausalLM",
        "MuseGlimmerForCausalLM",
        "MuseSparkForConditionalGeneration",
        "MuseGlimmerForConditionalGeneration",
        "InklingForConditionalGeneration",
        "UnlimitedOCRForCausalLM",
    }
)
# arg_groups/model_overrides: classes that switch the window pool off whatever their file says
WINDOW_POOL_OFF = frozenset(
    {
        "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",
        "Gemma3ForConditionalGeneration",
        "Gemma3nForCausalLM",
        "Gemma3nForConditionalGeneration",
        "Olmo2ForCausalLM",
    }
)
# model_config.py, _derive_model_shapes: these keep the latent; any other class with a latent keeps every head
LATENT = frozenset(
    {
        "DeepseekV2ForCausalLM",
        "DeepseekV3ForCausalLM",
        "DeepseekV32ForCausalLM",
        "Glm4MoeLiteForCausalLM",
        "GlmMoeDsaForCausalLM",
        "Glm5NextForConditionalGeneration",
        "LongcatFlashForCausalLM",
        "HYV4ForCausalLM",
        "DotsVLMForCausalLM",
        "Dots3NoteForCausalLM",
        "MistralLarge3ForCausalLM",
        "KimiK25ForConditionalGeneration",
        "GigaChat35ForCausalLM",
        "MiniCPM3ForCausalLM",
        "KimiVLForConditionalGeneration",
        "KimiLinearForCausalLM",
        "KimiK3LinearForCausalLM",
        "KimiK3ForConditionalGeneration",
        "BailingMoeV2_5ForCausalLM",
        "BailingMoeV3ForCausalLM",
        "BailingMoeV3VLForConditionalGeneration",
        "SarvamMLAForCausalLM",
    }
)
BAILING_V3 = frozenset({"BailingMoeV3ForCausalLM", "BailingMoeV3VLForConditionalGeneration"})
# model_config.py, is_deepseek_dsa: with index_topk in the file these have an indexer
SPARSE = frozenset(
    {
        "DeepseekV3ForCausalLM",
        "DeepseekV32ForCausalLM",
        "MistralLarge3ForCausalLM",
        "PixtralForConditionalGeneration",
        "GlmMoeDsaForCausalLM",
        "Glm5NextForConditionalGeneration",
        "LongcatFlashForCausalLM",
        "Dots3NoteForCausalLM",
        "HYV4ForCausalLM",
    }
)
POOLED_INDEX = frozenset({"qwen4_exp", "qwen4_exp_text"})  # model types
MINIMAX_SPARSE = frozenset({"MiniMaxM3SparseForCausalLM", "MiniMaxM3SparseForConditionalGeneration"})
# arg_groups/overrides.py: hybrids whose states are in the prefix cache, and those that can snapshot them in extra slots
STATES_IN_PREFIX_CACHE = frozenset(
    {
        "KimiLinearForCausalLM",
        "KimiK3ForConditionalGeneration",
        "BailingMoeV2_5ForCausalLM",
        "BailingMoeV3ForCausalLM",
        "BailingMoeV3VLForConditionalGeneration",
        "Qwen3NextForCausalLM",
        "Qwen3_5MoeForConditionalGeneration",
        "InternS2PreviewForConditionalGeneration",
        "InternS2MobiusForConditionalGeneration",
        "Qwen3_5ForConditionalGeneration",
        "Qwen3_5MoeForCausalLM",
        "Qwen3_5ForCausalLM",
        "Qwen4ExpForConditionalGeneration",
        "MiniCPMV4_6ForConditionalGeneration",
        "MiniCPMV4_7ForConditionalGeneration",
        "NemotronHForCausalLM",
        "NemotronHPuzzleForCausalLM",
        "NemotronH_Omni_Reasoning_V3",
        "FalconH1ForCausalLM",
        "JetNemotronForCausalLM",
        "JetVLMForConditionalGeneration",
        "Lfm2ForCausalLM",
        "Lfm2MoeForCausalLM",
        "ZayaForCausalLM",
        "Glm5NextForConditionalGeneration",
        "GraniteMoeHybridForCausalLM",
        "GigaChat35ForCausalLM",
        "InklingForConditionalGeneration",
    }
)
NO_EXTRA_SLOTS = frozenset(
    {
        "InternS2MobiusForConditionalGeneration",
        "JetNemotronForCausalLM",
        "JetVLMForConditionalGeneration",
        "Lfm2ForCausalLM",
        "Lfm2MoeForCausalLM",
        "ZayaForCausalLM",
        "GigaChat35ForCausalLM",
    }
)
PURE_STATES = frozenset({"MambaForCausalLM", "Mamba2ForCausalLM", "FalconMambaForCausalLM"})
UNCHUNKED = frozenset(  # model_config.py, is_multimodal_chunked_prefill_supported
    {
        "Grok1VForCausalLM",
        "Grok1AForCausalLM",
        "LlavaLlamaForCausalLM",
        "MllamaForConditionalGeneration",
        "MossVLForConditionalGeneration",
    }
)
LOOPED = frozenset({"IQuestLoopCoderForCausalLM", "NanbeigeForCausalLM"})


@lru_cache(maxsize=1)
def table() -> dict[str, Any]:
    """{"served": names of model classes, "classes": model_type -> defaults, aliases, text part, rope treatment}."""
    with gzip.open(TABLE, "rt", encoding="utf-8") as file:
        loaded: dict[str, Any] = json.load(file)
    loaded["served"] = frozenset(loaded["served"])
    return loaded
