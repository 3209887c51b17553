"""`python -m tests.fuzz_links`: every page under links that somebody bent; a page may refuse, and never breaks.

    python -m tests.fuzz_links                        20 links for each page, some minutes
    python -m tests.fuzz_links --links 5 --seed 7 --pages tools/size/size.py learn/quiz.py

A page is opened once to learn which keys its link has, then with some of them, and some that nothing reads, set to
HOSTILE or to numbers at the edge. What is looked for: an exception that reached the page, and text of the link that
the page would take for HTML. Exit 1 where there was one.
"""

import argparse
import json
import random
import sys
from typing import Any

import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.dashboard import ROOT
from tests.paths import page_files
from tests.server_once import look_once

PLANTED = "<img src=x onerror=alert(1)>"
HOSTILE = (
    "", " ", "0", "-1", "1", "7", "1e309", "NaN", "-Infinity", "9" * 400, "0x10", "1_000", "٣", "true", "null", "[]",
    PLANTED, f"**{PLANTED}**", "[a](javascript:alert(1))", "\u202e8\u2066", "\x00", "\ud7ff", "=1+1", "../../etc",
    "https://example.org/a?b#c", "'; DROP TABLE runs; --", "{{7*7}}", "$x^2$", ":material/home:", "x" * 10_000, "8,8,8",
)  # fmt: skip
STRANGE_KEYS = ("", "page", "embed", "embed_options", "__proto__", PLANTED, "x" * 2_000)


def keys_of(script: str) -> list[str]:
    """The widgets of a page as its link names them."""
    app = _opened(script, {})
    return sorted(key for key in app.session_state.to_dict() if isinstance(key, str))


def bent(keys: list[str], chance: random.Random) -> dict[str, str | list[str]]:
    """A link's query: one key to all of them, each with a hostile value or several."""
    chosen = chance.sample(keys, chance.randint(1, len(keys))) if keys else []
    query: dict[str, str | list[str]] = {}
    for key in [*chosen, chance.choice(STRANGE_KEYS)]:
        values = [chance.choice(HOSTILE) for _ in range(chance.choice((1, 1, 1, 3)))]
        query[key] = values[0] if len(values) == 1 else values
    return query


def faults(script: str, query: dict[str, str | list[str]]) -> list[str]:
    """What broke under a link, in words."""
    app = _opened(script, query)
    broke = [f"{error.proto.type}: {error.message}"[:300] for error in app.exception]
    as_html = [
        element.value[:200]
        for element in app.markdown
        if getattr(element.proto, "allow_html", False) and PLANTED in element.value
    ]
    return broke + [f"taken for HTML: {text}" for text in as_html]


def _opened(script: str, query: dict[str, str | list[str]]) -> AppTest:
    app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=120)
    for key, value in query.items():
        app.query_params[key] = value
    return app.switch_page(script).run()


def fuzz(scripts: list[str], links: int, seed: int) -> dict[str, Any]:
    """How many links were opened, and the first fault of each kind by page."""
    chance, found = random.Random(seed), {}
    for script in scripts:
        keys = keys_of(script)
        for _ in range(links):
            query = bent(keys, chance)
            for fault in faults(script, query):
                found.setdefault(f"{script}: {fault}", query)
    return {"links": len(scripts) * links, "seed": seed, "faults": found}


def main() -> None:
    """Prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", type=int, default=20, help="of each page")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pages", nargs="+", default=page_files(), help="scripts under pages/")
    asked = parser.parse_args()
    look_once()
    st.config.set_option("global.disableWidgetStateDuplicationWarning", True)
    found = fuzz(asked.pages, asked.links, asked.seed)
    print(json.dumps(found))
    sys.exit(1 if found["faults"] else 0)


if __name__ == "__main__":
    main()
