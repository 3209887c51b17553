"""`python -m core size | models | engines | decode`: Headroom from a shell, the same figures as the pages."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from core.command import size


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of the command: see core.command.size; decode hands on to core.decode.

    A reader that closes its end (`| head`) ends it without a traceback.
    """
    try:
        code = _answered(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python flushes at its end goes nowhere
        return 0
    return code


def _answered(given: list[str]) -> int:
    if given[:1] == ["decode"]:
        from core.decode.__main__ import main as decode  # noqa: PLC0415  torch

        return decode(given[1:]) or 0
    parser = argparse.ArgumentParser(prog="headroom", description="Sizes a serving job, and lists models.")
    commands = parser.add_subparsers(dest="command", required=True)
    sized = commands.add_parser(
        "size",
        help="does a model fit, and how many requests",
        epilog=size.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    size.add_arguments(sized)
    listed = commands.add_parser("models", help="the registry: name, G, bytes a token, repository")
    listed.add_argument("--json", action="store_true", help="one JSON list")
    tabled = commands.add_parser(
        "engines",
        help="every registry model on every engine, as CSV",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if given[:1] == ["engines"]:
        return _engines(parser, tabled, given)
    commands.add_parser("decode", help="measure decoding here (torch): python -m core.decode")
    options = parser.parse_args(given)
    if options.command == "models":
        return _models(as_json=options.json)
    return size.run(options)


def _engines(parser: argparse.ArgumentParser, tabled: argparse.ArgumentParser, given: list[str]) -> int:
    from core.command import engines  # noqa: PLC0415  the registry and all engines

    tabled.epilog = engines.EXAMPLES
    engines.add_arguments(tabled)
    return engines.run(parser.parse_args(given))


def _models(*, as_json: bool) -> int:
    from core.models.registry import load_registry  # noqa: PLC0415
    from core.models.spec import read_config  # noqa: PLC0415

    rows = []
    for known in load_registry():
        spec = read_config(known.config)
        heads, each = size.kv_heads_of(spec), spec.cache_bytes_per_token()
        row = {"name": known.name, "repository": known.repository, "kv_heads": heads, "bytes_per_token": each}
        rows.append({**row, "notes": list(spec.remarks)} if spec.remarks else row)
        if as_json:
            continue
        shown = "differs" if isinstance(heads, list) else heads
        print(f"{known.name:28} G {shown!s:>8} {each:>12,} B/token  {known.repository}")
        for remark in spec.remarks:
            print(f"  note: {remark}")
    if as_json:
        print(json.dumps(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
