"""`python -m core engines`: the reference table of every registry model on every engine, as CSV."""

import argparse
from pathlib import Path

from core.serving.engine_table import CONTEXTS, ENGINES, engine_table, table_csv

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
    text = table_csv(list(engine_table(None, options.engine or ENGINES, options.context or CONTEXTS)))
    if options.out is None:
        print(text, end="")
    else:
        options.out.write_text(text)
    return 0
