"""A file that borrows the model_type of a class of transformers for code of its own.

Grok-2 calls itself "git" (the configs in the tests of sgl-project/sglang and sglang-jax), bigcode/santacoder "gpt2",
MiniMax-M2 once "minimax" (MiniMaxM2Config in ModelCloud/GPTQModel, hf_minimax_m2). What they mean their auto_map says,
or an architecture that the class does not have; where neither is there, the class is what transformers builds.
"""

import re
from collections.abc import Mapping

from core.models.rules.class_defaults import model_classes
from core.models.rules.facts import shown
from core.models.rules.fields import ConfigPart

# behind the class's own name
OF_A_CLASS = re.compile(r"(For[A-Z]\w*|(LMHead|DoubleHeads|PreTrained)?Model|Decoder\w*)$")
GROK, SANTACODER = ("git", "Grok1ForCausalLM"), ("gpt2", "GPT2LMHeadCustomModel")


def architectures(part: ConfigPart) -> list[str]:
    """The names that the file lists; what is no name is passed over."""
    listed = part.raw.get("architectures")
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


def borrows(part: ConfigPart, known: tuple[str, str]) -> bool:
    """Whether the file has this model_type and names this architecture."""
    return part.model_type == known[0] and known[1] in architectures(part)


def other_code(part: ConfigPart) -> str | None:
    """The key that says so, with its value; None where the class itself is meant, or nothing says whose code it is."""
    if part.model_type not in model_classes():
        return f"{part.path}model_type is {shown(part.model_type)}"  # a layout of a repository's own code
    if isinstance(part.raw.get("auto_map"), Mapping) and part.raw["auto_map"]:
        return f"{part.path}auto_map is {shown(part.raw['auto_map'])}"
    named = architectures(part)
    if not named or any(_is_of_class(name, part.model_class.name.removesuffix("Config")) for name in named):
        return None
    return f"{part.path}architectures names {shown(named[0])}"


def _is_of_class(architecture: str, prefix: str) -> bool:
    return architecture.lower().startswith(prefix.lower()) and bool(OF_A_CLASS.match(architecture[len(prefix) :]))


def listed_by_other_code(part: ConfigPart) -> bool:
    """MiniMax-M2 as "minimax": its own code reads attn_type_list, which the class ignores."""
    return part.model_type == "minimax" and part.raw.get("attn_type_list") is not None and other_code(part) is not None


def uncounted_code(part: ConfigPart) -> str:
    """Why the parameters of such a file are not added up: the class of its model_type is another; else empty."""
    if not (borrows(part, GROK) or borrows(part, SANTACODER) or listed_by_other_code(part)):
        return ""
    return (
        f"{other_code(part)}: other code than {part.model_class.name} of transformers, whose parameters would be added "
        "up in its place. Give an exact count: Parameters among More inputs of Size, --parameters in a shell, "
        "parameter_count of a job"
    )
