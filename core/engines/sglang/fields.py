"""A config.json as SGLang sees it: the class named, the part of the language model, and each field's value.

SGLang reads attributes of a configuration object. What an attribute says is the file's key, or the same key under the
class's other name, or the class's default; a null in the file stays null. (sglang/srt/utils/hf_transformers of 0.5.23.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.engines.plan import EngineError
from core.engines.sglang.classes import table
from core.models.spec import ModelSpec

TEXT_KEYS = ("thinker_config", "llm_config", "language_config", "text_config")  # the order in which SGLang looks
CONTEXT_KEYS = ("max_sequence_length", "seq_length", "max_seq_len", "model_max_length", "max_position_embeddings")
DEFAULT_CONTEXT = 2048  # get_context_length where the file has none of the keys
LARGEST = 2**48  # no figure of a model is larger; keeps floats exact and products bounded
MOST_LAYERS = 10_000
RENAMED = {  # configuration classes that name another model class than their file does
    ("olmo3", "Olmo3ForCausalLM"): "Olmo2ForCausalLM",
    ("longcat_flash", "LongcatCausalLM"): "LongcatFlashForCausalLM",
    ("longcat_flash", "LongcatFlashNgramForCausalLM"): "LongcatFlashForCausalLM",
}


@dataclass(frozen=True, kw_only=True)
class Fields:
    """One configuration object."""

    model_type: str
    raw: Mapping[str, Any]
    defaults: Mapping[str, Any]
    aliases: Mapping[str, str]
    rope: str | None = None

    def get(self, name: str) -> Any:
        """The attribute's value, None where the file says null or nobody says anything.

        Of two names for one field in a file, the other name wins over the class's own, as it is set later.
        """
        own = self.aliases.get(name, name)
        for key, meant in self.aliases.items():
            if meant == own and key in self.raw:
                return self.raw[key]
        return self.raw[own] if own in self.raw else self.defaults.get(own, self.defaults.get(name))

    def has(self, name: str) -> bool:
        """Whether the object has the attribute at all, null or not."""
        return any(key in held for held in (self.raw, self.defaults) for key in (self.aliases.get(name, name), name))

    def integer(self, name: str, minimum: int = 1) -> int:
        """A whole number that has to be there. Raises EngineError."""
        return whole(name, self.get(name), minimum)

    def optional(self, name: str, minimum: int = 0) -> int | None:
        """A whole number or None. Raises EngineError for anything else."""
        value = self.get(name)
        return None if value is None else whole(name, value, minimum)

    def items(self, name: str) -> list[Any] | None:
        """A list or None. Raises EngineError for anything else."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise EngineError(f"sglang: {name} is {str(value)[:40]!r}, a list is expected. Correct the config.json.")
        return list(value)


def whole(name: str, value: object, minimum: int = 1) -> int:
    """value as a whole number from minimum on. Raises EngineError."""
    largest = MOST_LAYERS if name.endswith("layers") else LARGEST
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= largest:
        shown = "absent" if value is None else repr(value)[:40]
        raise EngineError(
            f"sglang: {name} is {shown} in the config.json; SGLang needs a whole number from {minimum} to {largest:,}."
        )
    return value


@dataclass(frozen=True, kw_only=True)
class Served:
    """A model that SGLang serves by code of its own."""

    architecture: str
    top: Fields
    text: Fields
    spec: ModelSpec


def served(spec: ModelSpec) -> Served:
    """The class and the two configuration objects. Raises EngineError for a class that SGLang does not know."""
    top = _fields(spec.config, str(spec.config.get("model_type") or ""))
    text = _text(spec.config, top)
    return Served(architecture=_architecture(spec, top), top=top, text=text, spec=spec)


def _architecture(spec: ModelSpec, top: Fields) -> str:
    listed = spec.config.get("architectures")
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list | tuple) else []
    if not names:
        raise EngineError(
            "sglang: architectures is absent, and SGLang chooses its code by it. Add the line of the model's own file."
        )
    name = RENAMED.get((top.model_type, names[0]), names[0])
    if name not in table()["served"]:
        raise EngineError(
            f"sglang: {name[:60]} has no code of its own in SGLang 0.5.23, which falls back to transformers' code for "
            "it; what that allocates is not stated here. Ask for vllm or transformers instead."
        )
    if name.endswith(("NextN", "MTP", "Eagle", "Eagle3", "DSpark", "DraftModel", "AssistantModel")):
        raise EngineError(f"sglang: {name} is a draft head, served beside its model. Give the model's config.json.")
    return name


def _fields(raw: Mapping[str, Any], model_type: str) -> Fields:
    entry = table()["classes"].get(model_type, {})
    return Fields(
        model_type=model_type,
        raw=raw,
        defaults=entry.get("defaults", {}),
        aliases=entry.get("aliases", {}),
        rope=entry.get("rope"),
    )


def _text(config: Mapping[str, Any], top: Fields) -> Fields:
    """The language model's own object: nested where the file or the class nests it, else the file itself."""
    entry = table()["classes"].get(top.model_type, {}).get("text", {})
    name = str(_first(config, "architectures"))
    if name.startswith("Llava") and name.endswith("ForCausalLM"):  # the first LLaVA's files are flat
        return top
    named = [key for key in TEXT_KEYS if isinstance(config.get(key), Mapping) or key == entry.get("key")]
    if not named:
        return top
    given = isinstance(config.get(named[0]), Mapping)
    nested: Mapping[str, Any] = config[named[0]] if given else config if entry.get("flat") else {}
    if not given and not entry.get("flat") and "num_hidden_layers" in config:
        raise EngineError(
            f"sglang: {named[0]} is absent, where {top.model_type} keeps its language model; SGLang would serve the "
            "class's own figures. Give the model's whole config.json."
        )
    default = entry.get("model_type") if entry.get("key") == named[0] else None
    own_type = nested.get("model_type") if given and (entry.get("by_name", True) or default is None) else None
    inner = _fields(nested, str(own_type or default or ""))
    if default is not None and inner.model_type == default:  # a composite class may have defaults of its own
        inner = replace(inner, defaults={**inner.defaults, **entry.get("given" if given else "absent", {})})
    return _text(nested, inner) if named[0] == "thinker_config" else inner


def _first(config: Mapping[str, Any], name: str) -> Any:
    value = config.get(name)
    return value[0] if isinstance(value, list | tuple) and value else None


def context_length(text: Fields) -> int:
    """Tokens that the server allows a request by default (get_context_length).

    The rotary factor multiplies the file's length, unless the file names the length before scaling, or the type is
    llama3; classes of transformers name it themselves for YaRN and LongRoPE, classes of SGLang's own do not.
    """
    value = next((text.get(key) for key in CONTEXT_KEYS if text.get(key) is not None), DEFAULT_CONTEXT)
    return max(1, int(_rope_factor(text) * whole("max_position_embeddings", value)))


def _rope_factor(text: Fields) -> float:
    rope = text.get("rope_scaling") or text.get("rope_parameters")
    if not isinstance(rope, Mapping) or "original_max_position_embeddings" in rope or text.rope == "none":
        return 1
    kind, factor = rope.get("rope_type", rope.get("type")), rope.get("factor", 1)
    named = ("llama3",) if text.rope == "raw" else ("llama3", "yarn", "longrope", "su")
    usable = isinstance(factor, int | float) and not isinstance(factor, bool) and 0 < factor < LARGEST
    return 1 if kind in named or not usable else float(factor)
