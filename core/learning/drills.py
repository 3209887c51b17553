"""Two drills, pure and seeded: the cache size in your head, and the layout that a config.json declares.

The first asks for the KV cache of one model shape as MHA, GQA and MQA. The shortcut that it teaches: work out one KV
head (that is MQA), then multiply by G and by H. The second shows the attention keys of a real config.json and asks for
the kind and G. The same seed always gives the same question, so a question is a link.
"""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from core.learning.typed_answers import AnswerNotUnderstood, parse_bytes
from core.models.attention import GroupedAttention
from core.models.formats.yaml_text import read_own
from core.models.head_sharing import divisors
from core.models.spec import ModelDimensions, ModelSpec
from core.units import format_binary, format_both

TOLERANCE = 0.10  # head arithmetic: rounding 1,024 to 1,000 once or twice stays inside
LARGEST_SEED = 999_999
LEVELS = {
    "token": "One token",
    "sequence": "One sequence",
    "batch": "A whole batch",
}

CONFIGS = Path(__file__).parents[1] / "data" / "lessons" / "configs.yaml"
CONFIG_EXAMPLES = {  # by the steps of "How a config declares G": models of CONFIGS
    "counts": ("Llama-2 70B", "Llama-2 7B", "Gemma 2B", "Llama-4 Scout", "DBRX", "Qwen3 32B"),
    "switches": ("Falcon-7B", "Falcon-40B", "StarCoder", "ChatGLM3-6B", "MPT-7B"),
    "silence": ("GPT-2", "OPT-13B", "GPT-NeoX-20B"),
    "latent": ("DeepSeek-V3", "DeepSeek-V2-Lite", "Kimi-K2"),
}
CONFIG_FIELDS = {"model", "repository", "config", "kind", "num_kv_heads", "deciding", "why"}

LAYER_CHOICES = (16, 24, 32, 40, 48, 60, 64, 80)
HEAD_CHOICES = (16, 24, 32, 40, 48, 64)
HEAD_DIM_CHOICES = (64, 128, 128, 128, 256)  # 128 as often as it is met
CONTEXT_CHOICES = (2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072)
BATCH_CHOICES = (2, 4, 8, 16, 32)


@dataclass(frozen=True, kw_only=True)
class CacheQuestion:
    """One model shape and job; the answers are its three caches in bytes."""

    seed: int
    level: str
    num_layers: int
    num_query_heads: int
    num_kv_heads: int  # G of the GQA variant
    head_dim: int
    context_length: int
    batch_size: int
    bytes_per_element: int

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """The model and the job in words, a line each."""
        return (
            ("Layers L", f"{self.num_layers}"),
            ("Query heads H", f"{self.num_query_heads}"),
            ("KV heads G of the GQA variant", f"{self.num_kv_heads}"),
            ("head_dim", f"{self.head_dim}"),
            ("Bytes a number", f"{self.bytes_per_element}"),
            ("Tokens", f"{self.context_length:,}"),
            ("Sequences", f"{self.batch_size}"),
        )

    def kv_heads(self, kind: str) -> int:
        """G of the variant: H for MHA, 1 for MQA."""
        return {"MHA": self.num_query_heads, "GQA": self.num_kv_heads, "MQA": 1}[kind]

    def exact_bytes(self, kind: str) -> int:
        """Payload bytes of the cache if the model were MHA, GQA or MQA."""
        attention = GroupedAttention(
            num_query_heads=self.num_query_heads,
            num_kv_heads=self.kv_heads(kind),
            head_dim=self.head_dim,
            value_dim=self.head_dim,
        )
        spec = ModelSpec(
            model_type="drill",
            layers=(attention,) * self.num_layers,
            dimensions=ModelDimensions(hidden_size=self.num_query_heads * self.head_dim),
        )
        return spec.kv_cache_bytes(
            context_length=self.context_length,
            batch_size=self.batch_size,
            bytes_per_element=self.bytes_per_element,
        )


KINDS = ("MQA", "GQA", "MHA")  # the order of the shortcut


def cache_question(seed: int, level: str = "batch") -> CacheQuestion:
    """The question of that seed. Raises ValueError for a seed outside 0..LARGEST_SEED or an unknown level."""
    _check_seed(seed)
    if level not in LEVELS:
        raise ValueError(f"level is {level!r}: choose one of {', '.join(LEVELS)}.")
    draw = Random(f"cache/{level}/{seed}")
    heads = draw.choice(HEAD_CHOICES)
    return CacheQuestion(
        seed=seed,
        level=level,
        num_layers=draw.choice(LAYER_CHOICES),
        num_query_heads=heads,
        num_kv_heads=draw.choice(divisors(heads)[1:-1]),
        head_dim=draw.choice(HEAD_DIM_CHOICES),
        context_length=1 if level == "token" else draw.choice(CONTEXT_CHOICES),
        batch_size=draw.choice(BATCH_CHOICES) if level == "batch" else 1,
        bytes_per_element=draw.choice((2, 2, 1)),
    )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One typed answer held against the exact figure."""

    kind: str
    right: bool
    exact_bytes: int
    says: str


def judge(question: CacheQuestion, kind: str, typed: str) -> Verdict:
    """Right within TOLERANCE; else what the size of the miss suggests. An answer that cannot be read is wrong."""
    exact = question.exact_bytes(kind)
    try:
        answer = parse_bytes(typed).closest_to(exact)
    except AnswerNotUnderstood as problem:
        return Verdict(kind=kind, right=False, exact_bytes=exact, says=str(problem))
    right = abs(answer - exact) <= TOLERANCE * exact
    says = f"{format_both(exact)}" if right else _hint(answer / exact, question, kind)
    return Verdict(kind=kind, right=right, exact_bytes=exact, says=says)


def _hint(ratio: float, question: CacheQuestion, kind: str) -> str:
    """What a wrong answer looks like: the factor that was left out or counted twice."""
    if ratio == 0:
        return "Zero bytes: every token keeps something in each layer."
    size = question.num_query_heads // question.kv_heads(kind)
    layers, batch = question.num_layers, question.batch_size
    factors = (
        (float(size), f"{size} times the exact figure: were query heads counted instead of KV heads?"),
        (1 / batch, f"1/{batch} of the exact figure: is the batch of {batch} left out?"),
        (1 / layers, f"1/{layers} of the exact figure: are the {layers} layers left out?"),
        (2.0, "twice the exact figure: is the 2 for keys and values counted twice?"),
        (0.5, "half the exact figure: keys and values are two tensors. Is the 2 left out?"),
        (8.0, "8 times the exact figure: are these bits? A byte has 8."),
    )
    for factor, says in factors:
        if factor != 1 and abs(ratio / factor - 1) <= TOLERANCE:
            return f"Your answer is {says}"
    for power in (1, 2, 3):
        if abs(ratio / 1000**power - 1) <= TOLERANCE or abs(ratio * 1000**power - 1) <= TOLERANCE:
            return "The digits are right and the unit is off: check the steps of a thousand."
    times = f"{ratio:.3g} times the exact figure" if ratio >= 0.01 else "less than a hundredth of the exact figure"
    return f"Your answer is {times}."


def shortcut(question: CacheQuestion) -> tuple[str, ...]:
    """The head arithmetic of the question, line by line: one KV head first, then times G, then times H."""
    d, width, layers = question.head_dim, question.bytes_per_element, question.num_layers
    head_layer = 2 * d * width
    per_token = head_layer * layers
    lines = [
        f"One KV head, one layer, one token: 2 × {d} × {width} B = {head_layer:,} B.",
        f"All {layers} layers: {head_layer:,} B × {layers} = {per_token:,} B = {_neat(per_token)} a token.",
    ]
    if question.context_length > 1:
        lines.append(
            f"{question.context_length:,} tokens are {question.context_length // 1024} × 1,024, and × 1,024 turns KiB "
            f"into MiB: {_neat(per_token * question.context_length)} a sequence."
        )
    if question.batch_size > 1:
        lines.append(f"Batch {question.batch_size}: × {question.batch_size}.")
    mqa, gqa, mha = (_neat(question.exact_bytes(kind)) for kind in KINDS)
    lines.append(f"That is MQA, one KV head: {mqa}.")
    lines.append(f"GQA keeps G = {question.num_kv_heads} of them: × {question.num_kv_heads} = {gqa}.")
    lines.append(f"MHA keeps H = {question.num_query_heads} of them: × {question.num_query_heads} = {mha}.")
    return tuple(lines)


@dataclass(frozen=True, kw_only=True)
class ConfigQuestion:
    """The attention keys of one real config.json, and what they declare."""

    model: str
    repository: str
    config: dict[str, Any]
    kind: str
    num_kv_heads: int | None  # None for MLA, which has no KV heads to count
    deciding: tuple[str, ...]  # dotted keys
    why: str

    @property
    def text(self) -> str:
        """The keys as a config.json prints them."""
        return json.dumps(self.config, indent=2)

    @property
    def marked_text(self) -> str:
        """The same text with an arrow behind each line that decides."""
        lines, path = [], ""
        width = max(len(line) for line in self.text.splitlines()) + 3
        for line in self.text.splitlines():
            key = line.strip().split('"')[1] if line.strip().startswith('"') else ""
            decides = f"{path}{key}" in self.deciding
            lines.append(f"{line:<{width}}← decides" if decides else line)
            if line.rstrip().endswith("{") and key:
                path = f"{key}."
            elif line.strip().startswith("}"):
                path = ""
        return "\n".join(lines)

    def check(self, kind: str, num_kv_heads: int | None) -> bool:
        """True when kind is right and, except for MLA, G too."""
        return kind == self.kind and (self.num_kv_heads is None or num_kv_heads == self.num_kv_heads)


def written(value: object) -> str:
    """A value as a config.json writes it, on one line."""
    return json.dumps(value)


@lru_cache(maxsize=1)
def config_questions() -> tuple[ConfigQuestion, ...]:
    """Every config of the drill, in file order. Raises ValueError naming an entry whose fields are not as expected."""
    entries = read_own(CONFIGS)
    for entry in entries:
        if set(entry) != CONFIG_FIELDS:
            wrong = ", ".join(sorted(set(entry) ^ CONFIG_FIELDS))
            raise ValueError(f"{CONFIGS.name}, entry {entry.get('model')!r}: missing or unknown fields: {wrong}.")
    return tuple(ConfigQuestion(**{**entry, "deciding": tuple(entry["deciding"])}) for entry in entries)


def config_question(seed: int) -> ConfigQuestion:
    """The config of that seed; consecutive seeds go through all of them in a shuffled order before one returns."""
    _check_seed(seed)
    entries = config_questions()
    lap, place = divmod(seed, len(entries))
    return Random(f"config/{lap}").sample(entries, len(entries))[place]


@dataclass(frozen=True, kw_only=True)
class ReaderQuestion:
    """Which KV head does a query head read? Heads are numbered from 1."""

    num_query_heads: int
    num_kv_heads: int
    query_head: int

    @property
    def kv_head(self) -> int:
        """The answer: ceil(q / (H / G))."""
        group_size = self.num_query_heads // self.num_kv_heads
        return -(-self.query_head // group_size)


def reader_question(seed: int) -> ReaderQuestion:
    """The question of that seed. Raises ValueError for a seed outside 0..LARGEST_SEED."""
    _check_seed(seed)
    draw = Random(f"reader/{seed}")
    heads = draw.choice((8, 12, 16, 24, 32))
    return ReaderQuestion(
        num_query_heads=heads,
        num_kv_heads=draw.choice([g for g in divisors(heads) if 1 < g <= 8]),
        query_head=draw.randint(1, heads),
    )


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a drill goes; each question counts once, at its first answer."""

    asked: int = 0
    right: int = 0
    streak: int = 0
    best_streak: int = 0
    seconds: float = 0.0

    def after(self, right: bool, seconds: float) -> "Score":
        """The score with one more question answered."""
        streak = self.streak + 1 if right else 0
        return replace(
            self,
            asked=self.asked + 1,
            right=self.right + int(right),
            streak=streak,
            best_streak=max(self.best_streak, streak),
            seconds=self.seconds + seconds,
        )

    @property
    def seconds_each(self) -> float:
        """Mean seconds a question; 0 before the first."""
        return self.seconds / self.asked if self.asked else 0.0


def _neat(count: int) -> str:
    """Binary units without trailing zeros: '10 GiB', '1.5 GiB'."""
    number, unit = format_binary(count, 3).split(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"


def _check_seed(seed: int) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"question {seed} does not exist: give a number from 0 to {LARGEST_SEED:,}.")
