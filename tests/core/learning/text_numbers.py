"""Every figure that stands typed in a text, as digits or as a word, and what makes each of them true.

Most figures of the texts are placeholders that core fills. What is left stands here: names, values that a sentence
supposes, and counts and factors with the check that holds them to core, to the evidence or to the page that shows them.
"One" is left out: it is an article and a pronoun more often than a figure, and one KV head is MQA by definition.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator

import yaml

from core.evidence.studies import all_dots
from core.evidence.studies import published as evidence
from core.figures.lesson_levers import levers
from core.hardware.accelerators import find_accelerator
from core.learning import arithmetic as sums
from core.learning import faq, glossary, lessons, quiz
from core.learning.drills import TOLERANCE, config_questions
from core.learning.figures import CAPSTONE, CAPSTONE_CHOICES, LLAMA_NODE, node_sequences
from core.learning.techniques import eviction, quantisation
from core.learning.techniques import texts as techniques
from core.learning.techniques.published import published
from core.models.attention import kind_of
from core.models.head_sharing import Layout, divisors
from core.models.registry import load_registry
from core.serving.memory_plan import plan
from core.serving.tensor_parallel import copies_per_kv_head
from core.units import GB, GIB, KIB, MIB
from core.uptraining.conversion import METHODS

WORDS = (
    "two three four five six seven eight nine ten eleven twelve fifteen sixteen twenty thirty-two thirty forty fifty "
    "hundred thousand million billion half halves halved third quarters quarter eighth tenth twice double doubles "
    "doubled doubling percent"
)
NUMBER = re.compile(rf"(?i)\d[\d,.]*\d|\d|[⁰¹²³⁴-⁹]+|\b(?:{'|'.join(WORDS.split())})\b")
PLACEHOLDER = re.compile(r"\{[a-z0-9_]+\}")

# Models, devices, libraries: each must stand in the registry, the evidence, the published figures, the devices' names
# or the files of the drill.
NAMES = (
    "Llama-2-13B", "Llama-2-7B", "Llama-2 70B", "Llama-2 13B", "Llama-2 7B", "LLaMA-7B", "Llama-3-8B", "Llama-2",
    "Llama 2", "Llama 3", "LLaMA-2",
    "Mistral-7B", "Mistral 7B v0.1", "Mistral 7B", "Falcon-7B", "Falcon-40B", "Gemma 2B", "Gemma 3", "GPT-2",
    "DeepSeek-V2", "DeepSeek-V3", "T5-XXL", "T5-Large", "TPUv3", "H2O",
    "A100 80 GB", "H100 80 GB", "H100",
)  # fmt: skip
SPELLED = {  # as the sources write it
    "LLaMA-7B": "Llama-1 7B",
    "Gemma 3": "Gemma-3",
    "Llama-3-8B": "Llama-3 8B",
    "H100 80 GB": "H100",
    "A100 80 GB": "A100",
}


def is_a_choice_of_g(match: re.Match[str]) -> bool:
    """The number is a G that some H of the lessons can have."""
    return any(int(match[1]) in divisors(heads) for heads in (32, 40, 64))


def is_a_width(match: re.Match[str]) -> bool:
    return int(match[1]) in (2, 4, 8, 16)


def is_a_size(match: re.Match[str]) -> bool:
    """A nominal size in billions: of the 13B shape, of the 70B, of a study, or of a published row."""
    studied = {round(study.billion_parameters) for study in evidence().comparisons if study.billion_parameters}
    rows = " ".join(row["model"] for row in published()["mla"]["rows"])
    size = int(match[1])
    return size in {round(sums.PARAMETERS_13B / GB), 70} | studied or f"{size}B" in rows


# What may stand in any text: a pattern, and what is checked of each place where it matches.
SUPPOSED: tuple[tuple[str, Callable[[re.Match[str]], bool]], ...] = (
    (r"\bG = (\d+)\b", is_a_choice_of_g),
    (r"\bGQA-(\d+)\b", is_a_choice_of_g),
    (r"\b(\d+)[ -]bits?\b", is_a_width),
    (r"\b(\d+)B\b", is_a_size),
)


def finding(id: str) -> str:
    """Statement and caveat of a published finding."""
    found = next(finding for finding in evidence().findings if finding.id == id)
    return f"{found.statement} {found.caveat}"


def held(heads: int, ranks: int) -> float:
    """KV heads that each GPU keeps."""
    return heads * copies_per_kv_head(heads, ranks) / ranks


def sequences(num_kv_heads: int) -> int:
    return node_sequences(num_kv_heads)


def steps(key: str) -> int:
    return len(lessons.lesson(key).steps)


def fits(num_kv_heads: int, kv_bits: int) -> bool:
    return plan(CAPSTONE.where(num_kv_heads=num_kv_heads, kv_bits=kv_bits)).fits


def on_registry(name: str) -> dict[str, object]:
    return next(dict(model.config) for model in load_registry() if model.name == name)


def steady_order() -> bool:
    """In every study with both, MQA is worse than its GQA."""
    pairs = []
    for study in evidence().comparisons:
        dots = {dot.num_kv_heads: dot.change for dot in all_dots() if dot.study.id == study.id and dot.num_kv_heads}
        grouped = [change for heads, change in dots.items() if heads > 1]
        if 1 in dots and grouped:
            sign = 1 if study.unit == "points" else -1
            pairs.append(all(sign * dots[1] < sign * change for change in grouped))
    return len(pairs) >= 5 and all(pairs)


def all_of_mla_rose() -> bool:
    """At the larger of DeepSeek-V2's two sizes."""
    _, _, mha, mla = published()["mla"]["rows"]
    return all(mla[task] > mha[task] for task in ("bbh", "mmlu", "ceval", "cmmlu"))


def common_kv_heads() -> Counter[int]:
    return Counter(int(g) for model in load_registry() if (g := model.stated.kv_heads) is not None)


def most_common_g() -> int:
    """Of the registry's models."""
    return common_kv_heads().most_common(1)[0][0]


def often_128() -> bool:
    """More models of the registry have heads of 128 than of any other width."""
    widths = Counter(model.stated.head_dim for model in load_registry() if model.stated.head_dim is not None)
    return widths.most_common(1)[0][0] == 128


ONE_LAYER = Layout(num_query_heads=32, num_kv_heads=1, head_dim=128).kv_bytes_per_token_and_layer
LEVERS = levers(num_kv_heads=8, bits=8, window=4_096, kept_percent=20, batch=8)
NODE = LLAMA_NODE.tensor_parallel
TEN_FULL = 10 * 32_768 / sums.windowed_tokens(32_768, 4_096, 10, 32)
LLAMA_8B = Layout(num_query_heads=32, num_kv_heads=8, head_dim=128, num_layers=32)
SET = True  # a value that the sentence itself sets: an option, a candidate, a situation

# Where a text stands (lesson/step, page/section, faq/id, glossary/term, quiz/id): what is typed, and its check.
ACCOUNTS: dict[str, dict[str, bool]] = {
    "bottleneck": {"two figures of a GPU": find_accelerator("h100-sxm").ridge_flops_per_byte is not None},
    "bottleneck/price": {
        "Two bars": {"w13_read_ms", "w13_flop_ms"} <= set(lessons.lesson("bottleneck").steps[0].placeholders)
    },
    "bottleneck/roof": {
        "one of two roofs": SET,
        "has two parts": sums.step_13b(8, 1, 1).total_bytes == sums.BYTES_13B + sums.step_13b(8, 1, 1).cache_bytes,
        "Double the batch": sums.step_13b(8, 2, 1).weight_flops == 2 * sums.step_13b(8, 1, 1).weight_flops,
    },
    "formula/factors": {
        "Seven factors": len(["2", "L", "G", "head_dim", "bytes", "tokens", "sequences"]) == 7,
        "2 × L × G × head_dim × bytes × tokens × sequences": sums.LAYOUT_13B.with_kv_heads(8).kv_bytes_per_token
        == 2 * 40 * 8 * 128 * 2,
    },
    "formula/by-hand": {
        "two steps": SET,
        "2 × L × G × head_dim × bytes": sums.LAYOUT_13B.kv_bytes_per_token == 2 * 40 * 40 * 128 * 2,
    },
    "formula/absent": {
        "doubles its query heads": SET,
        "It doubles": SET,
        "It halves": SET,
        "serves twice as many": Layout(num_query_heads=64, num_kv_heads=8, head_dim=128).group_size
        == 2 * Layout(num_query_heads=32, num_kv_heads=8, head_dim=128).group_size,
    },
    "levers": {"five ways": len(LEVERS) == 5},
    "levers/side": {"Five levers": len(LEVERS) == 5, "Five bars": len(LEVERS) == 5},
    "levers/stack": {"sold twice": SET, "at two bits": "At 2 bits Falcon-7B (MQA) loses more" in finding("kivi-2bit")},
    "levers/cheapest": {"it halves the bytes": 16 / 8 == 2},
    "slider": {"from 1 to H": kind_of(40, 1) == "MQA" and kind_of(40, 40) == "MHA"},
    "slider/slide": {"three names": {kind_of(40, g) for g in divisors(40)} == {"MQA", "GQA", "MHA"}},
    "slider/moves": {
        "FLOPs per byte fall as 1 / G": sums.step_13b(8, 1, 64).cache_flops / sums.step_13b(8, 1, 64).cache_bytes == 5,
        "rules fall as 1 / G": sums.tokens_at_parity(1, 8) * 2 == sums.tokens_at_parity(1, 4),
        "Three smooth curves": SET,
    },
    "draw": {"three layouts": {kind_of(40, g) for g in divisors(40)} == {"MQA", "GQA", "MHA"}},
    "draw/yours": {"from 1 to H": SET, "three of these": SET},
    "headmath": {"three layouts": SET},
    "headmath/shortcut": {
        "128 numbers, 2 bytes each": ONE_LAYER == 512,
        "Two such layers make 1 KiB": 2 * ONE_LAYER == KIB,
        "L / 2 KiB": 80 * ONE_LAYER == 80 / 2 * KIB,
        "head_dim 64, or with 1 byte each, it is half": 2 * 64 * 2 == 2 * 128 * 1 == ONE_LAYER / 2,
        "KiB a token are MiB per 1,024 tokens": KIB * 1_024 == MIB,
        "GiB per 1,048,576 tokens": KIB * 1_048_576 == GIB,
        "Half a KiB for each layer": ONE_LAYER == KIB / 2,
        "The rest is doubling": SET,
    },
    "headmath/drill": {"all three sizes": SET, "within a tenth": TOLERANCE == 0.1},
    "declares/counts": {
        "Two keys decide": set(next(q for q in config_questions() if q.model == "Llama-2 70B").deciding)
        == {"num_attention_heads", "num_key_value_heads"},
        "a count of 1": kind_of(8, 1) == "MQA",
    },
    "declares/switches": {},
    "spot/drill": {"Twenty seconds": SET},
    "case-mqa": {"four questions": steps("case-mqa") == 1 + 4 + 1},
    "case-mqa/situation": {"Those two": SET, "four questions": steps("case-mqa") == 1 + 4 + 1},
    "case-mqa/quality": {"Third": lessons.lesson("case-mqa").steps[3].slug == "quality"},
    "case-mqa/budget": {
        "One head in 16 bits, two in 8 and four in 4": (1 * 16, 2 * 8, 4 * 4) == (16, 16, 16),
        "Two caveats": SET,
    },
    "case-mqa/answer": {
        "two or more GPUs": copies_per_kv_head(1, 2) == 2,
        "a few billion parameters": SET,
        "two proxies": SET,
    },
    "case-llama": {"8, not 4 or 16": on_registry("Llama-2 70B")["num_key_value_heads"] == 8},
    "case-llama/situation": {
        "on 4, 8 and 16": SET,
        "makes 4 and 16 worse": held(4, NODE) == held(8, NODE) < held(16, NODE),
        "4: half the cache of 8": 4 / 8 == 0.5,
        "each of the 4 heads would be copied to two": copies_per_kv_head(4, NODE) == 2,
        "no GPU keeps less than with 8": held(4, NODE) == held(8, NODE),
        "8: one KV head": held(8, NODE) == 1,
        "16: closer": SET,
        "at twice the cache": held(16, NODE) == 2 * held(8, NODE),
    },
    "case-llama/node": {
        "2 × § × § × 2 =": 2 * 80 * 128 * 2 == 40_960,
        "G = 1, 4 and 8": held(1, NODE) == held(4, NODE) == held(8, NODE) == 1,
        "keeps twice that": held(16, NODE) == 2,
        "§ at 16": sequences(16) == 173,
        "So 8 is the smallest G": min(g for g in divisors(64) if copies_per_kv_head(g, NODE) == 1) == 8,
    },
    "case-llama/family": {
        "the 8 as the GPUs": NODE == 8,
        "Llama 3 keeps 8": "Llama 3 keeps G = 8" in finding("llama3-choice"),
        "over 16 GPUs and 8 heads": copies_per_kv_head(8, 16) == 2,
        "four GPUs": copies_per_kv_head(4, 4) == 1 < copies_per_kv_head(2, 4),
        "get four": copies_per_kv_head(4, 4) == 1,
    },
    "case-llama/answer": {
        "4 keeps as many bytes": held(4, NODE) == held(8, NODE),
        "has half the heads": 4 * 2 == 8,
        "16 halves the sequences": sequences(16) * 2 == sequences(8),
        "rules out 4": SET,
        "4-way": copies_per_kv_head(4, 4) == 1,
    },
    "case-mistral": {"which of the two": SET},
    "case-mistral/situation": {"Two knobs on two different factors": SET, "of the two": SET},
    "case-mistral/aged": {
        "Version 0.2": "version 0.2 dropped the window" in finding("mistral-window"),
        "Ten full layers of thirty-two already hold most of the bytes at 32k": TEN_FULL > 0.5,
    },
    "case-falcon/situation": {
        "came out in 2023": any(f.paper == "Falcon-40B model card (TII, 2023)" for f in evidence().findings),
        "the third answer": SET,
    },
    "case-falcon/worth": {"batch 1": SET, "ruled the second one out": SET},
    "case-falcon/shards": {"every power of two up to": 128 == 2**7},
    "case-falcon/bits": {"§ at 2.": SET, "the two models": SET},
    "pick/job": {
        "8, as most models have": most_common_g() == 8,
        "4. | Half of the common choice": 4 / most_common_g() == 0.5,
        "half is enough": SET,
        "1, and nothing else": fits(1, 16) and not fits(2, 16),
    },
    "pick/budget": {"80 GB is a name": (find_accelerator("h100-sxm").memory_bytes or 0) != 80 * GB},
    "pick/cost": {
        "2 × § × § × 2 =": 2 * 40 * 128 * 2 == 20_480,
        "half in 8, a quarter in 4": (8 / 16, 4 / 16) == (0.5, 0.25),
        "Forty GiB": sums.LAYOUT_13B.with_kv_heads(1).kv_bytes_per_token * 32 * 65_536 == 40 * GIB,
    },
    "pick/quality": {
        "those three": len(CAPSTONE_CHOICES) == 3,
        "Two heads in 8 bits have the bytes of one in 16 bits, and are two distinct heads": 2 * 8 == 1 * 16,
    },
    "pick/speed": {"1 / (G × bits)": True, "All three": len({g * bits for g, bits in CAPSTONE_CHOICES}) == 1},
    "uptraining/merge": {"Two others": len(METHODS) == 3},
    "uptraining/recorded": {"two heads of this model": SET},
    "paging/fragmentation": {"next power of two": SET},
    "paging/meaning": {"The two multiply": SET},
    "eviction/policies": {"Four ways": len(eviction.POLICIES) == 4},
    "eviction/published": {"16K inputs": "16K tokens" in published()["snapkv"].source.caveat},
    "quantisation/bits": {
        "for each of the two": quantisation.SCALE_BITS == quantisation.ZERO_BITS == 16,
        "bits + 32 / group": quantisation.stored_bits(4, 32) == 4 + 32 / 32,
        "less than 16": quantisation.stored_bits(16, 32) == 16,
    },
    "quantisation/error": {"the two lines": len(quantisation.AXES) == 2},
    "quantisation/published": {"G = 2 at 8 and G = 4 at 4": 1 * 16 == 2 * 8 == 4 * 4},
    "latent/equal": {"2 × G × head_dim": 2 * 8 * 128 == 8 * 2 * 128, "§ = 2 × § × §": 2 * 2.25 * 128 == 512 + 64},
    "latent/published": {"all four benchmarks rose": all_of_mla_rose()},
    "faq/difference": {"head_dim 128": SET},
    "faq/experts": {  # under even routing: all of Mixtral's 8, of which a token takes 2; 8 of DeepSeek-V3's 256
        "at batch 1": SET,
        "dear at 64": 8 * (1 - (1 - 2 / 8) ** 64) > 7.99,
        "a batch of 64": round(1 - (1 - 8 / 256) ** 64, 2) == 0.87,
    },
    "faq/pick": {"two proxies": SET},
    "faq/window": {
        "The two multiply": SET,
        "version 0.2": "version 0.2 dropped the window" in finding("mistral-window"),
    },
    "faq/still-matters": {"in 2026": SET},
    "glossary/GQA": {"between 1 and H": {kind_of(40, g) for g in divisors(40)[1:-1]} == {"GQA"}},
    "glossary/head_dim": {"often 128": often_128()},
    "glossary/bits": {
        "bf16 and fp16 take 2 bytes, fp8 and int8 one": (16 / 8, 8 / 8) == (2, 1),
        "int4 half of one": 4 / 8 == 0.5,
    },
    "glossary/roofline": {"the two are equal": SET},
    "glossary/FLOP": {"costs two of them": sums.step_13b(8, 1, 1).weight_flops == 2 * sums.PARAMETERS_13B},
    "glossary/uptraining": {"a few percent": "5 % more pretraining" in finding("uptraining-cost")},
    "glossary/perplexity": {
        "a change of 1 % is a change of 0.01 nats": math.isclose(math.log(1.01), 0.01, abs_tol=1e-4),
    },
    "glossary/ablation": {"twice or more": SET},
    "glossary/GB and GiB": {
        "An 80 GB H100": "80 GB" in find_accelerator("h100-sxm").name,
        "GB is 10⁹": GB == 10**9,
        "GiB is 2³⁰": GIB == 2**30,
        "81,559 MiB": find_accelerator("h100-sxm").memory_bytes == 81_559 * MIB,
    },
    "quiz/what-g-is": {
        "H = 32": SET,
        "the 8 say": SET,
        "Eight query heads share": LLAMA_8B.group_size != 8,
        "eight key heads and eight value heads": LLAMA_8B.num_kv_heads == 8,
        "eight attention layers": SET,
    },
    "quiz/batch": {
        "double the batch": SET,
        "twice the cache": sums.step_13b(8, 2, 64).cache_bytes == 2 * sums.step_13b(8, 1, 64).cache_bytes,
        "The weights twice": sums.step_13b(8, 2, 64).weight_bytes == sums.step_13b(8, 1, 64).weight_bytes,
        "Twice of both": SET,
    },
    "quiz/formula": {"2 × L × G × head_dim × tokens": SET},
    "quiz/llama-token": {
        "with 32 layers": on_registry("Llama-3 8B")["num_hidden_layers"] == 32,
        "head_dim 128": LLAMA_8B.head_dim == 128,
        "2 × 32 × 8 × 128 × 2 bytes": LLAMA_8B.kv_bytes_per_token == 2 * 32 * 8 * 128 * 2,
    },
    "quiz/mqa-name": {"H / 2": SET},
    "quiz/spot": {"num_attention_heads 40": SET},
    "quiz/levers": {
        "from 8 to 4, or": SET,
        "from 8 to 4.": SET,
        "16 bits to 8. Which": SET,
        "16 bits to 8.": SET,
        "the two halvings": 4 * 16 == 8 * 8,
    },
    "quiz/tensor-parallel": {"over 8 GPUs": NODE == 8, "An eighth": held(1, 8) == 1 > 1 / 8},
    "quiz/llama-70b": {
        "served on 8 GPUs": NODE == 8,
        "copied to two GPUs": copies_per_kv_head(4, 8) == 2,
        "Eight is the largest": SET,
        "multiples of eight": SET,
    },
    "quiz/mistral": {
        "4,096 tokens": on_registry("Mistral-7B v0.1")["sliding_window"] == 4_096,
        "At 2,000 tokens": 2_000 < 4_096,
        "Half": SET,
        "Three quarters": SET,
    },
    "quiz/hybrid-g": {"layer of four": SET},
    "quiz/capstone": {
        "32 sequences": CAPSTONE.batch_size == 32,
        "64k tokens": CAPSTONE.context_length == 64 * KIB,
        "80 GB GPU": "80 GB" in CAPSTONE.device.name,
        "bf16 cache": CAPSTONE.kv_bits == 16,
        "Only G = 1": fits(1, 16) and not fits(2, 16),
        "G up to 4": not fits(4, 16),
        "G = 2 needs 8 bits": fits(2, 8) and not fits(2, 16),
        "G = 4 needs 4 bits": fits(4, 4) and not fits(4, 8),
    },
}


def texts() -> Iterator[tuple[str, str]]:
    """Where a text stands, and all of its text with placeholders as §."""
    for where, text in texts_as_written():
        yield where, PLACEHOLDER.sub("§", " ".join(text.split()))


def texts_as_written() -> Iterator[tuple[str, str]]:
    """The same with the placeholders' names."""
    for lesson in lessons.lessons():
        yield lesson.key, f"{lesson.title} | {lesson.promise}"
        for step in lesson.steps:
            asked = step.question
            told = [asked.text, *(part for a in asked.answers for part in (a.text, a.reply))] if asked else []
            yield f"{lesson.key}/{step.slug}", " | ".join([step.title, step.text, step.note, *told])
    for topic in techniques.topics():
        yield topic.key, f"{topic.title} | {topic.promise}"
        for section in topic.sections:
            yield f"{topic.key}/{section.slug}", f"{section.title} | {section.text}"
    for entry in yaml.safe_load(faq.PATH.read_text(encoding="utf-8")):
        yield f"faq/{entry['id']}", f"{entry['question']} | {entry['answer']}"
    for entry in yaml.safe_load(glossary.PATH.read_text(encoding="utf-8")):
        yield f"glossary/{entry['term']}", entry["text"]
    for entry in yaml.safe_load(quiz.PATH.read_text(encoding="utf-8")):
        yield f"quiz/{entry['id']}", " | ".join([entry["question"], *map(str, entry["options"]), entry["why"]])
