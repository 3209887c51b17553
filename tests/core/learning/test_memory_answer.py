"""How much memory a model takes, from the registry: the figures by hand, and which models a question names."""

import pytest

from core.learning.memory_answer import context_asked, memory_answers
from core.models.registry import load_registry

REGISTRY = load_registry()


def named(question: str) -> list[str]:
    return [answer.model for answer in memory_answers(question, REGISTRY)]


def test_llama_3_8b_by_hand() -> None:
    (answer,) = memory_answers("How much memory does Llama-3 8B need?", REGISTRY)
    # 8,030,261,248 parameters x 2 bytes = 16.06 GB; 2 x 32 layers x 8 heads x 128 x 2 bytes = 131,072 a token,
    # x 32,768 tokens = 4,294,967,296 = 4.0 GiB
    assert answer.sentence == (
        "**Llama-3 8B**: 8.0 B parameters weigh 16.1 GB at 16 bits; a sequence of 32,768 tokens caches "
        "4.3 GB (4.0 GiB) at 16 bits, 131,072 bytes a token."
    )


@pytest.mark.parametrize(
    ("question", "models"),
    [
        ("how big is llama 3 8b?", ["Llama-3 8B"]),
        ("Does Falcon-7B fit on a 24 GB card?", ["Falcon-7B"]),
        ("how much VRAM for deepseek-v2-lite", ["DeepSeek-V2-Lite"]),
        ("memory of Mistral 7B", ["Mistral-7B v0.1", "Mistral-7B v0.3"]),  # v0.2 is an Instruct
        ("memory of Mistral-7B v0.3", ["Mistral-7B v0.3"]),
        ("how much memory for Mistral-Small 24B", ["Mistral-Small 24B (3.1, 2503)"]),
        ("compare the memory of Phi-2 and GPT-2.", ["Phi-2", "GPT-2"]),
        ("Why did Llama-3 8B choose G = 8?", []),  # not about memory
        ("how much memory does a cache take", []),  # names no model
        ("how much memory for Llama-9 900B", []),
        # another model's name begins with a registered one's
        ("how much memory does DeepSeek-R1-Distill-Qwen 7B need?", []),
        ("memory of DeepSeek-V3.1", []),
        ("memory of DeepSeek-Coder 6.7B", []),
        ("how much memory for Jamba 1.5 Large", []),
        ("memory of Jamba", ["Jamba v0.1"]),
        ("memory of Command-R+", ["Command-R+"]),
        ("memory of command r plus", ["Command-R+"]),
        ("memory of Command-R", ["Command-R v01"]),
        ("memory of Command R 08-2024", []),
        ("memory of GPT-2 XL", []),
        ("memory of BLOOM 560M", []),
        ("memory of Phi-4-mini 3.8B", []),
        ("memory of GLM-4.5 Air", []),
        ("Does Falcon-7B 24 GB fit?", ["Falcon-7B"]),  # a number with its unit is of the question
        ("Does Llama-3 8B 4 bit fit?", ["Llama-3 8B"]),
    ],
)
def test_which_models_a_question_names(question: str, models: list[str]) -> None:
    assert sorted(named(question)) == sorted(models)


def test_a_window_and_states_are_said() -> None:
    (windowed,) = memory_answers("memory of Mistral-7B v0.1", REGISTRY)
    assert "caches 536.9 MB (512.0 MiB) at 16 bits." in windowed.sentence  # 131,072 x 4,096 tokens of the window
    assert "bytes a token" not in windowed.sentence  # one more token adds nothing there
    (hybrid,) = memory_answers("memory of Qwen3-Next 80B-A3B", REGISTRY)
    assert "of states whatever its length" in hybrid.sentence


def test_every_model_of_the_registry_gets_a_sentence() -> None:
    for model in REGISTRY:
        (answer,) = memory_answers(f"how much memory does {model.name} take", [model])
        assert answer.sentence.startswith(f"**{model.name}**: ")
        assert "tokens caches" in answer.sentence


def test_the_context_that_is_asked_for_is_answered() -> None:
    (answer,) = memory_answers("kv cache in GiB for 128k tokens Llama 3.1 8B", REGISTRY)
    # 131,072 bytes a token x 131,072 tokens = 17,179,869,184 = 16 GiB
    assert (
        "a sequence of 131,072 tokens caches 17.2 GB (16.0 GiB) at 16 bits, 131,072 bytes a token." in answer.sentence
    )
    assert answer.context_length == 131_072
    (short,) = memory_answers("memory of Llama-3 8B at 1 token", REGISTRY)
    assert "a sequence of 1 token caches 131.1 kB" in short.sentence


@pytest.mark.parametrize(
    ("question", "tokens"),
    [
        ("how big is the cache of Llama-3 8B at 32k", 32_768),
        ("Llama-3 8B, 100k context", 100_000),
        ("Llama-3 8B with 8,192 tokens", 8_192),
        ("Llama-3 8B, context of 4096", 4_096),
        ("a context length of 64K for Llama-3 8B", 65_536),
        ("Llama-3 8B at 1M tokens", 1_048_576),
        ("how much memory does Llama-3 8B need?", None),
        ("memory of BLOOM 560M", None),  # a size
        ("Does Falcon-7B fit on a 24 GB card?", None),
        ("memory of Llama-3 8B at 0 tokens", None),
        ("memory of Llama-3 8B at 9999999M tokens", None),  # no job holds them
        (f"memory of Llama-3 8B at {'9' * 350} tokens", None),
    ],
)
def test_which_context_a_question_names(question: str, tokens: int | None) -> None:
    assert context_asked(question) == tokens
