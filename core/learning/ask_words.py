"""What Ask knows about English: words of a question, everyday words for those of the lessons, questions of prediction.

Kept by hand: a word stands here because people say it and the lessons do not. Stems are SQLite's (porter), so each word
stands once.
"""

import re

_COMMON = """
a about actually after again all also always am an and another any anyone are as ask asked asks at away be because
been before being best better both but by can cannot could did didn do does doesn doing don done each either else even
ever every everything exactly explain few for from get gets getting give given gives go goes gone good got had happen
happened happens has have having he help her here him his how i if in instead into is isn it its itself just kind know
less let like lot made make makes making many matter matters may maybe me mean means might more most much must my need
needs never next no not nothing now of often ok on once one ones only or other our out over own people per perhaps
please possible put quite rather really right said same say says see seem seems set should simple since so some
someone something soon still such sure take takes tell than thank thanks that the their them then there these they
thing things think this those though through to together too try under until up upon us use used useful uses using
usually very via want wanted wants was way we well went were what when where whether which while who whole whose why
will with within without won work works would yes yet you your
"""
STOP = frozenset(_COMMON.split())

# Words of any subject: they are searched, and that the lessons have none of them says nothing.
_NEUTRAL = """
accept add adjust advantage advice affect agree aim allow alternative amount anticipate apply approach argument
arguments assume avoid aware basic basically beat begin behave behind believe benefit bring build call case cause
caution certain change check claim clear clearly close come common concern consider consist contain continue control
correct correctly cover create currently deal decrease depend describe design detail determine develop differ
different difficult directly disadvantage discuss downside drawback ease easier easily easy effect effective efficient
enough ensure entire especially eventually exact example exist expand express extra extreme face fail fall feature
feel figure final finally find follow force full fully general generally hand handle hard harm hate hide higher hold
idea identical ignore impact implement imply important improve include including increase increasing inside introduce
involve issue job join lead leave level light likely limit line list little logical look lose lower lowering main
mainly manage maximum meaning measure mention method minimum move multiple name namely natural necessary negative new
normal normally note number obvious obviously occur offer original ought outcome pair particular pass perform physical
pick place plain plan play point positive possibly potential practical precise prefer present prevent probably problem
process proof prove provide purpose question raise reach ready real reason reasonable recently relate related rely
remain replace represent require respect result return risk riskier risky role run safe safely scenario sense separate
serious several shape short show side significant similar simpler simply single situation slightly small smaller
solution solve sort special specific stand standard start state stay step stop strong sudden suddenly suggest suitable
sum support suppose surprising system task term thought tip top total treat trigger trouble true trust twice type
typical typically understand usual value view weak wonder worry worst wrong
"""
NEUTRAL = frozenset(_NEUTRAL.split())

# An everyday word, and the words under which the lessons say it. They help to find a passage, and make a word known.
SAID_AS = {
    # how much
    "compute": "formula arithmetic product multiply", "calculate": "formula arithmetic product multiply",
    "calculation": "formula arithmetic product multiply", "estimate": "formula arithmetic multiply head",
    "equation": "formula", "derive": "formula work out", "size": "bytes formula", "big": "bytes size",
    "huge": "bytes size", "bigger": "bytes larger", "grow": "grows larger bytes", "explode": "grows larger bytes",
    "trick": "shortcut", "rule": "shortcut", "thumb": "shortcut head", "quick": "shortcut head",
    "quickly": "shortcut head", "napkin": "paper shortcut", "envelope": "paper shortcut", "paper": "study published",
    "mental": "head shortcut", "calculator": "head shortcut",
    # smaller
    "shrink": "smaller saved lever", "reduce": "smaller fewer saved lever", "save": "saving smaller",
    "cheap": "cheapest cost", "compress": "bits quantisation fewer", "lighter": "smaller fewer",
    "cut": "smaller fewer", "combine": "multiply stack", "mix": "multiply stack", "stack": "multiply",
    "tradeoff": "cost risk quality", "trade": "cost risk quality", "option": "lever choice",
    # time
    "slow": "time wait memory reads", "fast": "time faster speed", "faster": "time speed", "speed": "time faster",
    "quicker": "time faster", "speedup": "time faster", "latency": "time step", "idle": "wait memory arithmetic",
    "stall": "wait memory", "busy": "arithmetic", "limited": "bottleneck wait", "limit": "bottleneck wait",
    "generate": "decode token", "generation": "decode token", "inference": "decode serve", "output": "decode token",
    "throughput": "sequences time", "sit": "wait", "bound": "bottleneck wait memory",
    "prompt": "context tokens prefill",
    # who is served, on what
    "chat": "sequence", "fit": "fits budget memory", "shard": "split copied gpus", "finished": "trained checkpoint",
    "user": "sequences batch", "request": "sequences batch", "customer": "sequences batch",
    "concurrent": "batch sequences", "concurrency": "batch sequences", "parallel": "split gpus",
    "conversation": "sequence context", "history": "context tokens", "card": "gpu", "graphics": "gpu",
    "device": "gpu", "machine": "gpus node", "server": "engine serve", "ram": "memory", "vram": "memory",
    "oom": "memory fit", "pay": "cost reads", "share": "shared shares batch", "price": "cost",
    "budget": "left holds fit", "available": "left budget", "usable": "left budget", "actual": "reports left",
    # splitting
    "parallelism": "split sharded copied gpus", "tensor": "split sharded copied gpus",
    "sharding": "split copied gpus", "partition": "split copied gpus", "distribute": "split copied gpus",
    "multi-gpu": "split copied gpus", "duplicate": "copied copies", "replicate": "copied copies",
    "divisible": "divide prime", "odd": "prime", "uneven": "prime divide",
    # choosing
    "choose": "pick chose choice", "chose": "pick choice situation", "select": "pick choose", "decide": "pick choice",
    "recommend": "pick answer", "argue": "answer reasoned", "justify": "answer reasoned reason",
    "defend": "decide reason", "boss": "team", "colleague": "team", "manager": "team", "reviewer": "review",
    "successor": "version later makers", "regret": "aged bet", "mistake": "aged bet",
    "afterwards": "version later aged", "rationale": "situation answer", "later": "version lasted aged",
    # quality
    "contradict": "disagree settled differ", "conflict": "disagree settled differ", "inconsistent": "disagree differ",
    "accuracy": "quality score loss", "quality": "score loss benchmark", "degrade": "quality loss",
    "hurt": "quality loss", "worse": "quality loss below", "drop-off": "quality loss", "damage": "quality loss",
    "lossless": "quality loss", "benchmark": "score points", "unstable": "stable diverged spikes",
    "instability": "stable diverged spikes", "diverge": "stable diverged spikes", "ablation": "study studies",
    "experiment": "trained model run",
    # keeping and dropping
    "drop": "evict dropped left keep", "forget": "evict dropped lost", "throw": "dropped lost",
    "discard": "dropped lost", "remove": "dropped fewer", "recent": "newest window", "oldest": "first older",
    "old": "older first", "remember": "keep kept", "truncate": "window dropped", "waste": "reserved fragmentation",
    "allocate": "reserve reserved", "preallocate": "reserve reserved", "preallocated": "reserve reserved",
    "unused": "reserved empty", "page": "block paging", "virtual": "block paging",
    # conversion
    "merge": "mean heads convert", "average": "mean merge", "averaging": "mean merge", "pool": "mean merge",
    "pooling": "mean merge", "convert": "conversion merge uptraining", "transform": "convert merge",
    "turn": "convert", "retraining": "uptraining trained training", "fine-tune": "uptraining training",
    "pretrain": "pretraining training", "retrain": "uptraining trained training", "finetune": "uptraining training",
    # drawing and files
    "sketch": "draw", "visual": "draw picture", "versus": "difference between", "vs": "difference between",
    "practice": "drill turn read", "outlier": "larger channels spoils", "assigned": "reads run consecutive",
    "belong": "reads run consecutive", "mapping": "reads run consecutive", "whiteboard": "draw",
    "diagram": "draw picture", "visually": "draw picture", "illustrate": "draw picture",
    "compare": "difference between", "compared": "difference against", "distinguish": "difference declares",
    "field": "key file", "setting": "key file", "json": "config file key", "parameter": "key weights",
    "practise": "drill turn read", "exercise": "drill turn", "recognise": "read name declares",
    "identify": "read name declares", "huggingface": "registry models", "hugging": "registry models",
    "round": "scale levels error", "rounding": "scale levels error", "integer": "bits scale",
}  # fmt: skip

# Everyday words that are also the lessons' own, beside those of the glossary.
OF_THE_FIELD = (
    "window",
    "block",
    "buffer",
    "key",
    "value",
    "attention",
    "model",
    "transformer",
    "sequence",
    "checkpoint",
)

# Who made a model stands for the model.
MAKERS = {
    "meta": "llama",
    "facebook": "llama",
    "tii": "falcon",
    "google": "gemma",
    "alibaba": "qwen",
    "openai": "gpt-oss",
}

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_UNIT = re.compile(r"\b(\d+)(gb|gib|tb|mb|kb|kib|mib|bit|bits|b)\b")
_KILO = re.compile(r"\b(\d+)k\b")
_SPELLING = re.compile(r"(?<=[a-z]{3})iz(?=e|ing|ation)")
_WORD = re.compile(r"[a-z0-9*_]+(?:-[a-z0-9_]+)*")


def normalised(text: str) -> str:
    """Lower case in one spelling: 65,536 and 64k meet, 80GB is 80 gb, and quantization is quantisation."""
    lowered = _THOUSANDS.sub(
        "", text.lower().replace("’", "'").replace("'s", "").replace("can't", "cannot").replace("n't", "")
    )
    lowered = _UNIT.sub(lambda m: m[0] if m[2] == "b" else f"{m[1]} {m[2]}", lowered)
    lowered = _KILO.sub(lambda m: f"{m[0]} {int(m[1]) * 1024}", lowered)
    return _SPELLING.sub("is", lowered)


def words_of(text: str) -> tuple[str, ...]:
    """Words of a normalised text that carry it, in order; a hyphened word and its parts."""
    found: list[str] = []
    for word in _WORD.findall(normalised(text)):
        found += [word, *word.split("-")] if "-" in word else [word]
    return tuple(dict.fromkeys(word for word in found if word not in STOP and (len(word) > 1 or word.isdigit())))


# What the tool cannot say: someone's money, someone's quality, someone's latency under load.
_MONEY = re.compile(
    r"\$|€|£|\b(?:money|dollars?|euros?|usd|cents?|roi|revenue|profit\w*|bills?|invoice|tco|economic\w*|financ\w*|"
    r"price per|business case|pays? off|payback|(?:is|are|be) (?:\w+ ){0,4}worth (?:it|the)|expensive|buy|purchase|"
    r"cheaper for|(?:my|our) (?:\w+ ){0,2}costs?|(?:costs?|pay) (?:us|me|per|to (?:serve|run|host|train)))\b"
)
_MINE = re.compile(r"\b(my|our|we|us|i|ours|mine|your?)\b")
_FORETELL = re.compile(r"\b(will|would|predict\w*|guarantee\w*|expect\w*|forecast\w*|promise\w*|going to|gonna)\b")
_QUALITY = re.compile(
    r"\b(quality|accura\w+|perplexity|mmlu|scores?|benchmarks?|worse|better|good|bad|dumber|smarter|degrad\w+|loss|lose)\b"
)
_UNDER_LOAD = re.compile(r"\b(p\d\d|percentiles?|under load|in production|real traffic|ttft|tail latency)\b")
_TIMED = re.compile(r"\b(latency|time|throughput|tokens per second|tokens/s|tok/s|speed|fast|slow)\b")


def asks_for_a_prediction(question: str) -> bool:
    """Asks what someone's costs or quality will be: of the field or not, which its words alone do not say."""
    text = normalised(question)
    foretold = _FORETELL.search(text) is not None
    mine = _MINE.search(text) is not None or "guarantee" in text
    return _MONEY.search(text) is not None or (foretold and mine and _QUALITY.search(text) is not None)


def asks_for_speed_under_load(question: str) -> bool:
    """Asks for a latency or throughput in production: nobody else's question."""
    text = normalised(question)
    return _UNDER_LOAD.search(text) is not None and _TIMED.search(text) is not None
