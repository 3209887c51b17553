"""Which class of vLLM serves a config, and what of a model's attention that class honours.

The registry of vLLM 0.33.0 (vllm/model_executor/models/registry.py) as data: core/data/vllm_classes.json lists the
classes of its own, those that it serves through transformers' code, and those that it dropped with the last version
that served them. What a class does with windows, latents and cache types stands in its model code; it is written down
here by class name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.engines.plan import EngineError

TABLE = Path(__file__).resolve().parent.parent.parent / "data" / "vllm_classes.json"
# Classes that pass each layer its own window. Every other native class knows one window for all layers, and only where
# the file lists no kinds of layers or nothing but sliding ones (EngineArgs.create_engine_config).
OWN_WINDOWS = frozenset(
    {
        "AfmoeForCausalLM", "ApertusForCausalLM", "BeamForCausalLM", "Cohere2ForCausalLM",
        "Cohere2MoeForCausalLM", "CohereCompassForCausalLM", "CohereForCausalLM", "DomynEdgeForCausalLM",
        "DoryForCausalLM", "Exaone4ForCausalLM", "ExaoneMoEForCausalLM", "ExaoneMoeForCausalLM",
        "FlintForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM", "Gemma3nForCausalLM", "Gemma4ForCausalLM",
        "GptOssForCausalLM", "GraniteForCausalLM", "GraniteMoeForCausalLM", "GraniteMoeSWAForCausalLM",
        "GraniteMoeSharedForCausalLM", "GraniteSWAForCausalLM", "IQuestCoderForCausalLM",
        "InternLM3ForCausalLM", "LLaMAForCausalLM", "LagunaForCausalLM", "Llama4ForCausalLM",
        "LlamaForCausalLM", "MiMoV2FlashForCausalLM", "MiMoV2ForCausalLM", "Ministral3ForCausalLM",
        "MistralForCausalLM", "MuseGlimmerForCausalLM", "MuseSparkForConditionalGeneration",
        "NemotronHForCausalLM", "NemotronHPuzzleForCausalLM", "Phi3ForCausalLM", "Plamo3ForCausalLM",
        "Rnj1ForCausalLM", "Step3p5ForCausalLM", "Step5ForCausalLM", "TeleChat3ForCausalLM",
    }
)  # fmt: skip
# These count the query's own token beside the window: commandr.py, cohere2_moe.py, domyn_edge.py.
ONE_MORE_TOKEN = frozenset({"Cohere2ForCausalLM", "Cohere2MoeForCausalLM", "CohereForCausalLM", "DomynEdgeForCausalLM"})
# falcon.py gives its attention no cache settings: --kv-cache-dtype changes nothing.
CACHE_TYPE_IGNORED = frozenset({"FalconForCausalLM"})
# FlashAttention 2, which alibi needs, has no fp8 cache.
ALIBI = frozenset({"BloomForCausalLM"})
# No layer of these attends: prefix caching is off unless it is asked for (ModelConfig.is_prefix_caching_supported).
ATTENTION_FREE = frozenset({"FalconMambaForCausalLM", "Mamba2ForCausalLM", "MambaForCausalLM"})
# zamba2.py caches keys and values of every query head, whatever num_key_value_heads says.
EVERY_HEAD = frozenset({"Zamba2ForCausalLM"})
# The language model of multimodal files whose model_type names no causal class of transformers.
TEXT_CLASSES = {
    "bailing_hybrid": "BailingMoeV3ForCausalLM",
    "glm5_next_text": "Glm5NextForCausalLM",
    "minimax_m3_vl_text": "MiniMaxM3SparseForCausalLM",
    "muse_glimmer_text": "MuseGlimmerForCausalLM",
    "qwen4_exp_text": "Qwen4ExpForCausalLM",
}
# Classes on Qwen2Model (qwen2.py), which refuses kinds of layers that differ unless max_window_layers counts them all.
QWEN2_MODELS = frozenset({"MiMoForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"})
# Classes of vLLM whose caches are not stated here, refused rather than guessed. Beside each: why.
NOT_STATED = frozenset(
    {
        "AliceAIForCausalLM",  # Kimi's delta layers under Qwen's keys, a type that the reader does not know
        "CohereAsrForConditionalGeneration",  # an encoder's keys and values beside the decoder's
        "DeepseekV41ForCausalLM",  # rings of compressor states (CircularBufferSpec) and widths of its own
        "DiffusionGemmaForBlockDiffusion",  # denoises blocks of text
        "Dots3NoteForCausalLM",  # windows of latents, and latents padded to a width of their own
        "FlintForCausalLM",  # FlashInfer alone serves it, which the planner has no GPU for
        "InklingForCausalLM",  # its files are of type inkling_model, whose defaults the reader does not know
        "NemotronParseForConditionalGeneration",  # an encoder's keys and values beside the decoder's
        "PanguProMoEV2ForCausalLM",  # sink tokens before the context, keys and values of two widths
        "RadioMBartPrefixForCausalLM",  # a causal decoder in a file of BART's keys, which the reader refuses
        "Step5ForCausalLM",  # serves only files with a sparse index, whose tails are rings
        "Step5ForConditionalGeneration",  # the same beside a vision tower
        "UnlimitedOCRForCausalLM",  # its window is of generated tokens alone, and the reader refuses it
        "WhisperForConditionalGeneration",  # an encoder's keys and values beside the decoder's
    }
)
# openpangu.py gives its layers other caches where the file sets one of these: sinks before the context, windows by
# layer, a latent, or attention both ways.
PANGU_KEYS = ("param_sink_number", "interleaved_sliding_window", "kv_lora_rank")
PANGU = {
    "OpenPanguVLForConditionalGeneration": PANGU_KEYS,
    "PanguEmbeddedForCausalLM": PANGU_KEYS,
    "PanguUltraMoEForCausalLM": PANGU_KEYS[:2],
}
# Classes without SupportsPP, which vLLM does not serve in stages (ModelConfig.verify_with_parallel_config).
NO_STAGES = frozenset(
    {
        "AliceAIForCausalLM",
        "AriaForConditionalGeneration",
        "DomynEdgeForCausalLM",
        "DoryForCausalLM",
        "FireRedASR2ForConditionalGeneration",
        "Gemma3nForCausalLM",
        "Gemma3nForConditionalGeneration",
        "HrmTextForCausalLM",
        "IQuestLoopCoderForCausalLM",
        "Idefics3ForConditionalGeneration",
        "Mamba2ForCausalLM",
        "NemotronH_Nano_Omni_Reasoning_V3",
        "NemotronH_Nano_VL_V2",
        "NemotronH_Omni_Reasoning_V3",
        "NemotronH_Super_Omni_Reasoning_V3",
        "PaddleOCRVLForConditionalGeneration",
        "Phi4MMForCausalLM",
        "SmolVLMForConditionalGeneration",
        "Zamba2ForCausalLM",
    }
)
# Its tied head is looked for on stages that do not have it (ernie45_moe.py).
NO_STAGES_TIED = frozenset({"Ernie4_5_MoeForCausalLM"})
# Classes that repeat no KV head over ranks: muse_spark/common/layers.py (MuseSpark1xQKVOGateParallelLinear).
NO_REPEATED_HEADS = frozenset({"MuseSparkForConditionalGeneration"})
# DeepSeek sparse attention: an indexer beside the latent of a layer.
INDEXED = frozenset({"DeepseekV32ForCausalLM", "GlmMoeDsaForCausalLM"})
# Attention sinks, which FlashInfer's nvfp4 cache does not bear on an H100.
SINKS = frozenset({"GptOssForCausalLM"})
# Latents that the class multiplies out before it caches them, for every query head (minicpm3.py).
LATENT_MULTIPLIED_OUT = frozenset({"MiniCPM3ForCausalLM"})


@dataclass(frozen=True, kw_only=True)
class Registry:
    """The table as read."""

    version: str
    native: frozenset[str]
    wrappers: frozenset[str]  # multimodal classes: their language model is a class of its own
    through_transformers: frozenset[str]
    not_served: Mapping[str, str] = field(default_factory=dict)  # class -> why
    dropped: Mapping[str, str] = field(default_factory=dict)  # class -> last version that served it
    plugin: frozenset[str] = frozenset()
    architectures: Mapping[str, str] = field(default_factory=dict)  # model_type -> class, where a file names none


@lru_cache(maxsize=1)
def registry() -> Registry:
    """The classes of vLLM 0.33.0."""
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return Registry(
        version=table["version"],
        native=frozenset(table["native"]),
        wrappers=frozenset(table["wrappers"]),
        through_transformers=frozenset(table["through_transformers"]),
        not_served=table["not_served"],
        dropped=table["dropped"],
        plugin=frozenset(table["plugin"]),
        architectures=table["architectures"],
    )


@dataclass(frozen=True, kw_only=True)
class Served:
    """How vLLM serves a config."""

    architecture: str  # the class that the file names
    text_class: str  # the class of its language model: the same but for multimodal models
    native: bool  # vLLM's own code; else transformers' code with vLLM's attention


def served(config: Mapping[str, Any], text_type: str) -> Served:
    """The class that serves this config. Raises EngineError for one that vLLM 0.33 does not serve, by name."""
    table = registry()
    named = _named(config) or table.architectures.get(str(config.get("model_type"))) or ""
    if not named:
        named = table.architectures.get(text_type, "")
    if not named:
        return Served(architecture="", text_class="", native=True)
    if named in NOT_STATED:
        raise EngineError(
            f"architectures names {named!r}: what vLLM 0.33.0 caches for it is not stated here. Read it in its log."
        )
    _check_pangu(named, config)
    if named in table.wrappers:
        text_class = TEXT_CLASSES.get(text_type) or table.architectures.get(text_type, named)
        return Served(architecture=named, text_class=text_class, native=True)
    if named in table.native:
        return Served(architecture=named, text_class=named, native=True)
    if named in table.not_served:
        raise EngineError(_refusal(named, table.not_served[named]))
    if named in table.through_transformers:
        return Served(architecture=named, text_class=named, native=False)
    if named in table.dropped:
        raise EngineError(_refusal(named, f"it was served until {table.dropped[named]}"))
    if named in table.plugin:
        raise EngineError(_refusal(named, "it needs a plugin"))
    raise EngineError(_refusal(named, "it is neither a class of its own nor one that its transformers backend takes"))


def _check_pangu(named: str, config: Mapping[str, Any]) -> None:
    """Raises EngineError for a key that gives openPangu's layers a cache that is not stated here."""
    keys = [key for key in PANGU.get(named, ()) if config.get(key)]
    if named in PANGU and config.get("is_causal") is False:
        keys.append("is_causal")
    if keys:
        raise EngineError(
            f"{keys[0]} is {config[keys[0]]!r}: what vLLM 0.33.0 caches for {named!r} with it is not stated here. "
            "Read it in its log."
        )


def _refusal(named: str, why: str) -> str:
    return f"architectures names {named!r}, which vLLM 0.33.0 does not serve: {why}. Choose another engine or model."


def _named(config: Mapping[str, Any]) -> str | None:
    listed = config.get("architectures")
    if isinstance(listed, list | tuple) and listed and isinstance(listed[0], str):
        return str(listed[0])
    return None
