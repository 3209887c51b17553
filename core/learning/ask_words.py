"""What Ask knows about English: words that carry no question, and everyday words for the words of the lessons."""

_COMMON = """
a about actually all also am an and any are as at be because been being best better but by can could did do does
doing done don for from get gets give good had has have having help her here him his how i if in into is it its
itself just know let like make makes many may me mean means might more most much my need needs no not of off on
one or other our out over please really same say says she should so some such tell than that the their them then
there these they thing things this those through to too up us use used uses using very want wants was way we well
were what when where which while who why will with would you your happen happens explain instead work works
"""
STOP = frozenset(_COMMON.split())

# An everyday word, and the words under which the lessons say it. They help to find a passage and count for nothing in
# deciding whether a question is about the lessons at all.
SAID_AS = {
    "compute": "formula arithmetic product multiply",
    "calculate": "formula arithmetic product multiply",
    "estimate": "formula arithmetic multiply head",
    "size": "bytes formula",
    "big": "bytes size",
    "large": "bytes size",
    "shrink": "smaller saved lever",
    "reduce": "smaller fewer saved lever",
    "save": "saving smaller",
    "cheap": "cheapest cost",
    "slow": "time wait memory reads",
    "fast": "time faster speed",
    "faster": "time speed",
    "speed": "time faster",
    "latency": "time step",
    "idle": "wait memory arithmetic",
    "limited": "bottleneck wait",
    "parallelism": "split sharded copied gpus",
    "tensor": "split sharded copied gpus",
    "sharding": "split copied gpus",
    "duplicate": "copied copies",
    "choose": "pick chose choice",
    "chose": "pick choice situation",
    "select": "pick choose",
    "drop": "evict dropped left keep",
    "forget": "evict dropped lost",
    "throw": "dropped lost",
    "waste": "reserved fragmentation",
    "merge": "mean heads convert",
    "convert": "conversion merge uptraining",
    "accuracy": "quality score loss",
    "quality": "score loss benchmark",
    "whiteboard": "draw",
    "paper": "study published",
}
