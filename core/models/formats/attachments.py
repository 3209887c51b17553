"""Files that add to a model and hold no shape of their own: named, and refused with the model that they belong to."""

from collections.abc import Mapping
from typing import Any, NoReturn

from core.models.formats.meaning import Translation
from core.models.rules.facts import UnsupportedConfig, shown


def recognises_peft(raw: Mapping[str, Any]) -> bool:
    """adapter_config.json of PEFT."""
    return "peft_type" in raw


def refuse_peft(raw: Mapping[str, Any]) -> Translation:
    """Raises UnsupportedConfig: an adapter changes weights, and its model keeps the cache."""
    kind = raw.get("peft_type")
    caches = " Its virtual tokens take room in the cache as prompt tokens do." if kind in ("PREFIX_TUNING", "P_TUNING",
        "PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "CPT") else ""  # fmt: skip
    _refuse("peft_type", kind, f"a PEFT adapter, whose cache is the base model's.{caches}", raw)


def recognises_heads(raw: Mapping[str, Any]) -> bool:
    """Medusa and MLP speculator heads."""
    return "medusa_num_heads" in raw or raw.get("model_type") in ("medusa", "mlp_speculator")


def refuse_heads(raw: Mapping[str, Any]) -> Translation:
    """Raises UnsupportedConfig: such heads read the last hidden state and attend to nothing."""
    key = "medusa_num_heads" if "medusa_num_heads" in raw else "model_type"
    _refuse(key, raw.get(key), "drafting heads that attend to nothing and keep no cache of their own.", raw)


def recognises_quantisation(raw: Mapping[str, Any]) -> bool:
    """hf_quant_config.json of ModelOpt: quantization without a shape."""
    inner = raw.get("quantization")
    said = isinstance(inner, Mapping) and ("kv_cache_quant_algo" in inner or "quant_algo" in inner)
    return said and not {"model_type", "architecture", "num_hidden_layers", "dim"} & raw.keys()


def refuse_quantisation(raw: Mapping[str, Any]) -> Translation:
    """Raises UnsupportedConfig: the file says how, not what."""
    raise UnsupportedConfig(
        "quantization is there without a model: this is hf_quant_config.json, which holds no shape. Give it beside the "
        "model's config.json."
    )


def recognises_base(raw: Mapping[str, Any]) -> bool:
    """A file that only names the model that it belongs to."""
    return "base_model_name_or_path" in raw and "model_type" not in raw


def refuse_base(raw: Mapping[str, Any]) -> Translation:
    """Raises UnsupportedConfig."""
    _refuse("base_model_name_or_path", raw.get("base_model_name_or_path"), "settings beside a base model.", raw)


def _refuse(key: str, value: object, problem: str, raw: Mapping[str, Any]) -> NoReturn:
    base = raw.get("base_model_name_or_path")
    advice = f"Give its base model instead: {shown(base)[1:-1]}." if isinstance(base, str) and base else (
        "Give the config.json of the model that it belongs to."
    )  # fmt: skip
    raise UnsupportedConfig(f"{key} is {shown(value)}: {problem} {advice}")
