"""Names of modules -> parts of a model: what a quantiser's targets choose and what its ignore list leaves out.

A list's entry is a module's name, the name of one that holds it, its last components alone ("lm_head", "self_attn"),
a glob, or an expression after "re:". Expressions are followed as far as they are globs with alternatives in brackets;
others name nothing here, since a file's own expression may take without end to match.
"""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction

MAX_LAYERS_LOOKED_AT = 512
MAX_PATTERNS = 48  # globs, each tried on every name
MAX_LENGTH = 200
# Modules of a layer by part, as transformers' decoders name them; the parts that no layer holds stand alone
IN_LAYER = {
    "attention": ("self_attn.q_proj", "self_attn.o_proj"),
    "kv_projections": ("self_attn.k_proj", "self_attn.v_proj"),
    "dense_ffn": ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
    "routed_experts": ("mlp.experts.0.gate_proj", "mlp.experts.0.up_proj", "mlp.experts.0.down_proj"),
    "shared_experts": ("mlp.shared_experts.gate_proj", "mlp.shared_experts.up_proj", "mlp.shared_experts.down_proj"),
    "recurrent": ("linear_attn.in_proj_qkvz", "linear_attn.out_proj"),
}
ALONE = {"towers": ("vision_tower.encoder", "visual.blocks", "vision_model.encoder", "model.vision_tower.encoder")}
PREFIXES = ("model.layers", "model.language_model.layers", "language_model.model.layers", "layers")


def targeted_parts(targets: Sequence[str]) -> tuple[str, ...]:
    """Parts that a group's targets name: Linear is every matrix, an expression or a name its own."""
    if not targets or "Linear" in targets:
        return (*IN_LAYER, "towers")
    return tuple(part for part in (*IN_LAYER, "towers") if share_covered(part, targets, MAX_LAYERS_LOOKED_AT) > 0)


def share_covered(part: str, names: Sequence[str], layers: int) -> Fraction:
    """How much of a part's modules the names cover, from 0 to 1; each module of each layer counts alike."""
    if not names:
        return Fraction(0)
    plain = {name for name in names if not _is_pattern(name)}
    globs = tuple(glob for name in names if _is_pattern(name) for glob in _globs(name))[:MAX_PATTERNS]
    if part in ALONE:
        return Fraction(any(_covers(spelling, plain, globs) for spelling in ALONE[part]))
    looked_at = min(layers, MAX_LAYERS_LOOKED_AT)
    modules = [(layer, module) for layer in range(looked_at) for module in IN_LAYER.get(part, ())]
    if not modules:
        return Fraction(0)
    covered = sum(
        any(_covers(f"{prefix}.{layer}.{module}", plain, globs) for prefix in PREFIXES) for layer, module in modules
    )
    return Fraction(covered, len(modules))


def _is_pattern(name: str) -> bool:
    return name.startswith("re:") or "*" in name


def _covers(module: str, plain: set[str], globs: Sequence[str]) -> bool:
    return any(name in plain for name in _runs(module)) or any(
        fnmatchcase(module, glob) or fnmatchcase(module, f"{glob}.*") for glob in globs
    )


def _runs(module: str) -> Iterator[str]:
    """Every run of whole components of a name."""
    components = module.split(".")
    for start in range(len(components)):
        for end in range(start + 1, len(components) + 1):
            run = ".".join(components[start:end])
            if not run.isdigit() and run not in ("model", "layers", "language_model"):
                yield run


def _globs(name: str) -> list[str]:
    """A pattern as globs; [] for an expression that is more than that."""
    if len(name) > MAX_LENGTH:
        return []
    if not name.startswith("re:"):
        return [name]
    expression = name[3:].removeprefix("^")
    expression = expression.removesuffix("$") if expression.endswith("$") else f"{expression}*"
    expression = expression.replace("\\.", ".").replace(".*", "*").replace(".+", "*").replace("\\d+", "*")
    found = _alternatives(expression)
    return [glob for glob in found if not set(glob) & set("()[]{}?+^$|\\")]


def _alternatives(expression: str) -> list[str]:
    """(a|b) written out, one pair of brackets after the other, at most 32 results."""
    found = [expression]
    while len(found) <= 32 and "(" in found[0] and ")" in found[0]:
        head, _, rest = found[0].partition("(")
        inner, _, tail = rest.partition(")")
        if "(" in inner:
            break
        found = [f"{head}{choice}{tail}" for choice in inner.split("|")] + found[1:]
        found = sorted(found, key=lambda glob: "(" not in glob)
    return found[:32]


__all__ = ["share_covered", "targeted_parts"]
