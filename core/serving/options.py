"""Every G at every width of the cache: the grid that the sizing page opens on, and its verdict in words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from core.engines.class_names import Keyed
from core.engines.plan import EngineError
from core.serving.job import PAYLOAD, ServingJob
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.what_if import allowed_kv_heads, own_kv_heads
from core.units import GB, in_gb

WIDTHS = (16, 8, 4)  # bits of the caches that are compared
WIDTHS_OF_TYPES = (4,)  # of which vLLM has several types, so that the width names none
NEAR = 0.03  # a G that misses by less than this share of the budget is worth a word
KEPT_GRIDS = 32
NUMBERS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True, kw_only=True)
class Option:
    """One G at one width. num_kv_heads is None for a model whose G is not a dial (latent attention, several G)."""

    num_kv_heads: int | None
    kv_bits: int
    plan: MemoryPlan
    engine_refusal: str = ""  # why the engine cannot be asked for it; the plan is the payload's then
    cache_type: str = ""  # that the engine's settings name
    scale_overhead_bits: int | None = None  # of a scale in the grid's caches below 16 bits, whatever this one's width

    @property
    def width(self) -> str:
        """'bf16', '8 bits', 'nvfp4'."""
        return self.cache_type or width_name(self.kv_bits)

    @property
    def cache(self) -> str:
        """'a bf16 cache', 'an 8-bit cache', 'a cache in nvfp4'."""
        return f"a cache in {self.cache_type}" if self.cache_type else cache_name(self.kv_bits)


@dataclass(frozen=True, kw_only=True)
class OptionGrid:
    """Options by G ascending, then width descending; job is the one asked about."""

    job: ServingJob
    widths: tuple[int, ...]
    kv_heads: tuple[int | None, ...]
    options: tuple[Option, ...]

    def at(self, num_kv_heads: int | None, kv_bits: int) -> Option:
        """The option of that G and width. KeyError where the grid does not hold it."""
        for option in self.options:
            if (option.num_kv_heads, option.kv_bits) == (num_kv_heads, kv_bits):
                return option
        raise KeyError((num_kv_heads, kv_bits))

    def width(self, kv_bits: int) -> str:
        """'bf16', '8 bits', or the type that the engine's settings name."""
        return next(option.width for option in self.options if option.kv_bits == kv_bits)

    def fitting(self, kv_bits: int) -> tuple[int | None, ...]:
        """Every G that fits at a width."""
        return tuple(o.num_kv_heads for o in self.options if o.kv_bits == kv_bits and o.plan.fits)

    def is_refused(self, kv_bits: int) -> bool:
        """Whether the engine has no cache of that width, though one of another: its options are the payload's."""
        at = [bool(o.engine_refusal) for o in self.options if o.kv_bits == kv_bits]
        return all(at) and not all(o.engine_refusal for o in self.options)

    @property
    def engine(self) -> str:
        """The engine as its plans call it, 'vLLM 0.33.0'; empty where it is asked for none of the options."""
        return next((o.plan.engine_plan.version for o in self.options if o.plan.engine_plan is not None), "")

    def largest_fitting(self, kv_bits: int) -> int | None:
        """The largest G that fits at a width; None where none does or G is no dial."""
        return max((g for g in self.fitting(kv_bits) if g is not None), default=None)

    def largest_or_own(self, kv_bits: int) -> int | None:
        """The largest G that fits at a width; where none does the model's own, else the smallest."""
        own = own_kv_heads(self.job.model)
        return self.largest_fitting(kv_bits) or (own if own in self.kv_heads else self.kv_heads[0])


def as_payload(engine_refusal: str) -> str:
    """That an answer is the payload's, and why the engine that was asked for was not; empty where it was."""
    return engine_refusal and f"Counted as payload. {engine_refusal}"


def option_grid(job: ServingJob, *, scale_overhead_bits: int = 0) -> OptionGrid:
    """Plans for every allowed G at 16, 8 and 4 bits and the job's own width; below 16 bits the scales are counted. At
    the job's own alone where the engine's settings name how the cache is stored.

    Kept by the job, and by the model itself, since models of equal layers may be of different classes: a page that is
    drawn again for another G, and another viewer's page, ask for the same grid. Raises SizingError as plan(job) does.
    """
    return _grid(Keyed(job.model), job, scale_overhead_bits)


@lru_cache(maxsize=KEPT_GRIDS)
def _grid(_model: Keyed, job: ServingJob, scale_overhead_bits: int) -> OptionGrid:
    widths = (job.kv_bits,) if job.stored_type else tuple(sorted({*WIDTHS, job.kv_bits}, reverse=True))
    kv_heads: tuple[int | None, ...] = allowed_kv_heads(job.model, job.tensor_parallel) or (None,)
    jobs = (at_width(job.where(num_kv_heads=g), bits, scale_overhead_bits) for g in kv_heads for bits in widths)
    options = tuple(replace(option_of(at), scale_overhead_bits=scale_overhead_bits) for at in jobs)
    return OptionGrid(job=job, widths=widths, kv_heads=kv_heads, options=options)


def option_of(job: ServingJob) -> Option:
    """The plan of the job's G and width; of the payload where the engine has no such cache or no such model."""
    made = partial(Option, num_kv_heads=job.num_kv_heads, kv_bits=job.kv_bits, cache_type=job.cache_type)
    try:
        return made(plan=plan(job))
    except EngineError as refused:
        return made(plan=plan(job.where(engine=PAYLOAD, engine_settings=())), engine_refusal=str(refused))


def at_width(job: ServingJob, kv_bits: int, scale_overhead_bits: int) -> ServingJob:
    """The job with its cache at another width; 16 bits and more carry no scales."""
    return job.where(kv_bits=kv_bits, kv_scale_overhead_bits=0 if kv_bits >= 16 else scale_overhead_bits)


def verdict(grid: OptionGrid, wished: int | None = 8) -> str:
    """What fits, in one or two sentences; `wished` is named where it fits at no width."""
    if grid.kv_heads == (None,):
        return _verdict_without_dial(grid)
    first, *narrower = grid.widths
    seen = set(grid.fitting(first))
    parts = [_first_width(grid, grid.width(first), first)]
    for bits in narrower:
        gained = [g for g in grid.fitting(bits) if g not in seen]
        if gained:
            also = "also " if seen else ""
            verb = "" if any("cache" in part for part in parts) else "cache "
            allows = "allows " if verb else ""
            parts.append(f"{bits}-bit {verb}{also}{allows}{_named(gained)}")
            seen |= set(gained)
    if narrower and len(parts) == 1 and len(seen) < len(grid.kv_heads):
        parts.append("fewer bits add none")
    text = "; ".join(parts) + "."
    if wished in grid.kv_heads and wished not in seen and seen:
        none = f"fits at none of the {NUMBERS.get(len(grid.widths), len(grid.widths))}" if narrower else "does not fit"
        text += f" G = {wished} {none}."
    return text


def refused_widths(grid: OptionGrid) -> str:
    """'mlx-lm 0.32.2 takes no 8-bit cache …' for widths that the engine refuses at every G. Empty where it has all of
    them, or none: then all of the grid is the payload's, and the page says so."""
    widths = [bits for bits in grid.widths if grid.is_refused(bits)]
    if not widths:
        return ""
    by_name = [bits for bits in widths if grid.job.engine == "vllm" and bits in WIDTHS_OF_TYPES]
    parts = [f"{cache_name(bits)} by the name of its type alone (cache_type)" for bits in by_name]
    parts += [f"no {cache_name(bits).split(' ', 1)[1]}" for bits in widths if bits not in by_name]
    said = " and ".join(parts)
    return f"{grid.engine} takes {said} for this job: what is said of {_them(widths)} counts the payload alone."


def _them(widths: list[int]) -> str:
    return "it" if len(widths) == 1 else "them"


def near_misses(grid: OptionGrid) -> str:
    """'G = 5 misses by 1.08 GB at 4 bits.' for options just above the budget; empty where there is none."""
    close = [
        f"G = {option.num_kv_heads} misses by {in_gb(-option.plan.headroom_bytes)} at {option.width}"
        for option in grid.options
        if option.num_kv_heads is not None and -NEAR * option.plan.budget_bytes < option.plan.headroom_bytes < 0
    ]
    return f"{'; '.join(close)}." if close else ""


def option_name(option: Option) -> str:
    """'G = 8', or 'the model as published' where G is no dial."""
    return "the model as published" if option.num_kv_heads is None else f"G = {option.num_kv_heads}"


def option_sentence(option: Option) -> str:
    """An option in a sentence: its total, and what is left or missing."""
    plan = option.plan
    name = option_name(option)
    state = f"and {'leaves' if plan.fits else 'lacks'} {in_gb(abs(plan.headroom_bytes))}"
    if plan.refusal_words:
        state = f"of {plan.budget_bytes / GB:,.2f} GB and does not fit: {plan.refusal_words}"
    needs = f"{name[:1].upper()}{name[1:]} with {option.cache} needs"
    return f"{needs} {plan.total_bytes / GB:,.2f} GB {state}."


def width_name(kv_bits: int) -> str:
    """'bf16', or '8 bits'."""
    return "bf16" if kv_bits == 16 else f"{kv_bits} bits"


def cache_name(kv_bits: int) -> str:
    """'a bf16 cache', 'an 8-bit cache', 'a 4-bit cache'."""
    if kv_bits == 16:
        return "a bf16 cache"
    return f"{'an' if kv_bits in (8, 11, 18) else 'a'} {kv_bits}-bit cache"


def _first_width(grid: OptionGrid, name: str, bits: int) -> str:
    fitting = grid.fitting(bits)
    if not fitting:
        return f"No G fits in {name}"
    if len(fitting) == len(grid.kv_heads):
        return f"Every G fits in {name}"
    return f"Only {_named(fitting)} {'fits' if len(fitting) == 1 else 'fit'} in {name}"


def _named(kv_heads: Iterable[int | None]) -> str:
    """'G = 1', 'G = 1 and 2', 'G = 1, 2 and 4'."""
    *most, last = [str(g) for g in kv_heads]
    return f"G = {', '.join(most)} and {last}" if most else f"G = {last}"


def _verdict_without_dial(grid: OptionGrid) -> str:
    """For a model whose G cannot be changed: at which widths it fits as published."""
    fitting = [bits for bits in grid.widths if grid.fitting(bits)]
    if not fitting:
        narrowest = grid.at(None, grid.widths[-1])
        even = f"not even with {narrowest.cache}" if len(grid.widths) > 1 else f"with {narrowest.cache}"
        return f"The model as published does not fit, {even}."
    best = grid.at(None, fitting[0]).plan
    spare = f"with {best.headroom_bytes / GB:.1f} GB to spare"
    if fitting[0] == grid.widths[0]:
        return f"The model as published fits in {grid.width(fitting[0])}, {spare}."
    widest = width_name(grid.widths[0])
    return f"The model as published does not fit in {widest}; at {fitting[0]} bits it does, {spare}."
