"""Absorb a release of transformers: what is new, what reads, what is refused, and what the meta device says of it.

    python -m core.engines.transformers_release              the new and changed types of the installed release
    python -m core.engines.transformers_release llama afmoe  these types, in every variation
    python -m core.engines.transformers_release --all        every type, small; add --vary for every variation (an hour)
    python -m core.engines.transformers_release --write      write core/data/model_classes.json.gz first

Each config is read, then built on torch's meta device, which holds shapes and no numbers; its cache after one forward
is laid beside the reading, layer by layer. The last line is JSON; exit 1 where a reading is wrong.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.engines.release_cases import Config, small, variations
from core.engines.transformers_check import compare, measurement
from core.engines.transformers_check_worker import answer_to
from core.models.rules import write_model_classes
from core.models.rules.class_defaults import TABLE, as_table, model_classes, use_table
from core.models.rules.facts import UnsupportedConfig
from core.models.rules.text_part import nested_text_types
from core.models.spec import ModelSpec, read_config

CONTEXT, BATCH, BYTES = 40, 2, 2  # past the small window; the worker builds in bfloat16
STATES_ELSEWHERE = {"recurrent_gemma"}  # its modules keep the states, its cache does not
EXACT, WRONG, REFUSED, NOT_BUILT, NEITHER = "exact", "wrong", "refused", "not built", "neither"


@dataclass(frozen=True, kw_only=True)
class Look:
    """One config: what the reader and the meta device made of it."""

    model_type: str
    case: str
    verdict: str
    said: str

    def __str__(self) -> str:
        return f"{self.verdict:9}  {self.model_type}: {self.case}" + (f"\n           {self.said}" if self.said else "")


def main(arguments: list[str]) -> int:
    """Print the report; 1 where a reading is wrong."""
    parser = argparse.ArgumentParser(prog="python -m core.engines.transformers_release", description=__doc__)
    parser.add_argument("types", nargs="*", help="model types to look at in every variation")
    parser.add_argument("--all", action="store_true", help="every type that decodes text, not only what is new")
    parser.add_argument("--vary", action="store_true", help="every variation, not the small config alone")
    parser.add_argument("--write", action="store_true", help="write the table of classes first")
    options = parser.parse_args(arguments)
    before, after = as_table(), json.loads(json.dumps(write_model_classes.table()))
    new, changed = sorted(after.keys() - before.keys()), sorted(_changed(before, after))
    print(f"New in the installed transformers: {', '.join(new) or 'none'}.")
    print(f"Changed in what a cache depends on: {', '.join(changed) or 'none'}.")
    use_table(after)
    nested_text_types.cache_clear()
    if options.write:
        write_model_classes.main([])
    asked = options.types or [name for name in decoders() if options.all or name in {*new, *changed}]
    looks = []
    for look in _looks(asked, vary=options.vary or bool(options.types)):
        looks.append(look)
        print(look)
    counts = Counter(look.verdict for look in looks)
    print(json.dumps({"new": len(new), "changed": len(changed), "types": len(asked), "table": TABLE.name, **counts}))
    return 1 if counts[WRONG] else 0


def _changed(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    return (name for name in before.keys() & after.keys() if before[name] != after[name])


def decoders() -> list[str]:
    """Every type that a config.json of a decoder may have."""
    nested = nested_text_types()
    return sorted(name for name, known in model_classes().items() if known.is_language_model or name in nested)


def _looks(types: list[str], *, vary: bool) -> Iterator[Look]:
    for model_type in types:
        first = look_at(model_type, "small", small(model_type))
        yield first
        if vary and first.verdict in (EXACT, WRONG):
            yield from (look_at(model_type, case, config) for case, config in variations(model_type))


def look_at(model_type: str, case: str, config: Config) -> Look:
    """Read a config and build it on the meta device."""
    answer = answer_to({"config": config, "context_length": CONTEXT, "batch_size": BATCH})
    problem = answer.get("error")
    try:
        spec = read_config(config)
    except UnsupportedConfig as refusal:
        verdict = REFUSED if problem is None else NEITHER
        return Look(model_type=model_type, case=case, verdict=verdict, said=f"{refusal}" if problem is None else "")
    if problem is not None:
        return Look(model_type=model_type, case=case, verdict=NOT_BUILT, said=str(problem))
    said = difference(spec, answer)
    return Look(model_type=model_type, case=case, verdict=WRONG if said else EXACT, said=said)


def difference(spec: ModelSpec, answer: dict[str, Any]) -> str:
    """Where the cache that transformers made is not the one that was read; empty where it is."""
    measured = measurement(answer, 0)
    wrong = [row for row in compare(spec, measured) if not row.explained]
    if wrong:
        row = wrong[0]
        return (
            f"{len(wrong)} layers differ, the first is {row.index} ({row.kind}): {row.payload_bytes:,} bytes read, "
            f"{row.measured_bytes:,} held"
        )
    if spec.model_type in STATES_ELSEWHERE:
        return ""
    states = spec.state_bytes(batch_size=BATCH, bytes_per_element=BYTES)
    return "" if states == measured.state_bytes else f"states: {states:,} bytes read, {measured.state_bytes:,} held"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
