"""`python -m core engines`: the reference table of every registry model on every engine, as CSV."""

import argparse
import sys
from pathlib import Path

from core.serving.engine_table import CONTEXTS, ENGINES, engine_table, table_csv
from core.serving.what_if import MAX_CONTEXT_LENGTH

EXAMPLES = """examples:
  python -m core engines > engines.csv
  python -m core engines --engine vllm --context 8192 --out engines.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which engines and lengths, and where the table goes."""
    parser.add_argument("--engine", action="append", choices=ENGINES, help="only this one; may be repeated")
    parser.add_argument("--context", action="append", type=int, help="tokens of a request; may be repeated")
    parser.add_argument("--out", type=Path, default=None, help="a file in place of the screen")


def run(options: argparse.Namespace) -> int:
    """Prints or writes the table."""
    contexts = options.context or CONTEXTS
    if wrong := [tokens for tokens in contexts if not 1 <= tokens <= MAX_CONTEXT_LENGTH]:
        print(f"headroom: --context {wrong[0]:,}: give 1 to {MAX_CONTEXT_LENGTH:,} tokens", file=sys.stderr)
        return 2
    text = table_csv(list(engine_table(None, options.engine or ENGINES, contexts)))
    if options.out is None:
        print(text, end="")
        return 0
    try:
        options.out.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"headroom: --out {options.out} cannot be written: {error.strerror}. Give a file.", file=sys.stderr)
        return 2
    return 0
