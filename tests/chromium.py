"""Finds the Chromium of the browser tests: `python -m tests.chromium` prints it, or exits 1 with what to do."""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SHELL = "chromium-headless-shell"  # the same engine without a browser's windows: a fifth less work for a page
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no Chromium found: apt-get install chromium-headless-shell, or playwright install chromium, or set CHROMIUM"


def find_chromium(*, first: tuple[str, ...] = (SHELL,)) -> str | None:
    """Path of a Chromium: CHROMIUM, one on PATH, else Playwright's own; None where there is none.

    `first` are the names to look for before those of whole browsers; none of them for what people see.
    """
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).exists() else None
    for name in (*first, *NAMES, SHELL):
        found = shutil.which(name)
        if found:
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


if __name__ == "__main__":
    path = find_chromium()
    print(path or MISSING)
    sys.exit(0 if path else 1)
