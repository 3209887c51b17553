"""The README's tree, a line per file: each Python file says its own first docstring sentence, so the tree stays true.

`python -m tests.readme_tree` writes it into README.md; a test holds the two against each other.
"""

import ast
import subprocess
import sys

from tests.dashboard import ROOT

START, END = "<!-- tree -->\n```\n", "```\n<!-- /tree -->"

# What a file cannot say of itself, and the folders that are described as a whole.
SAYS = {
    ".ci/run": "what continuous integration runs: make test",
    ".gitignore": "what stays out of the repository",
    ".streamlit/config.toml": "bound to localhost, telemetry off, our theme",
    "CHANGELOG.md": "what changed",
    "LICENSE": "the terms",
    "Makefile": "make run, make test",
    "README.md": "this page",
    "model_registry.yaml": "models: repository, revision, the facts recorded from config.json, source, date read",
    "pyproject.toml": "ruff, mypy and pytest settings",
    "requirements.txt": "what the dashboard needs, pinned",
    "requirements-dev.txt": "what the tests need beside it, pinned",
    "core/decode/host_kernel.cpp": "the C++ decode kernel, compiled on a host that has a compiler",
    "core/data/": "accelerators, published evidence, lessons, quiz, recorded runs: text and figures with their sources",
    "docs/": "pictures of this page",
    "pages/assets/": "the logo",
    "benchmarks/": "what is measured, how to run it, and what came out",
    "tests/core/": "core, with literal values from cited sources and hand arithmetic, and properties",
    "tests/pages/": "pages through Streamlit's AppTest",
    "tests/browser/": "the real dashboard in a real Chromium",
    "tests/configs/": "config.json files",
    "tests/hostile/": "files that must be refused or read right, whatever they hold",
    "tests/oracle_cases/": "configs with the KV caches that transformers really allocated for them",
}


def tracked_paths() -> list[str]:
    """Tracked files that exist, folders in SAYS standing for their content."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    whole = tuple(path for path in SAYS if path.endswith("/"))
    shown = {next((folder for folder in whole if path.startswith(folder)), path) for path in listed}
    return sorted(path for path in shown if (ROOT / path).exists() and not path.endswith("__init__.py"))


def says(path: str) -> str:
    """One line about a file or folder; KeyError names a file that says nothing of itself."""
    if path in SAYS:
        return SAYS[path]
    if not path.endswith(".py"):
        raise KeyError(f"{path}: add a line for it to tests/readme_tree.py")
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    if not docstring:
        raise KeyError(f"{path}: its module docstring is missing")
    return " ".join(docstring.split("\n\n")[0].split()).split(". ")[0].rstrip(".").replace("`", "")


def tree() -> str:
    """The block: files of the top level first, then each folder with its own."""
    lines = []
    folders: list[str] = []
    for path in sorted(tracked_paths(), key=lambda p: ("/" in p.rstrip("/"), p)):
        parts = path.rstrip("/").split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth]) + "/"
            if folder not in folders:
                folders.append(folder)
                lines.append(f"{'  ' * (depth - 1)}{parts[depth - 1]}/")
        name = parts[-1] + ("/" if path.endswith("/") else "")
        lines.append(f"{'  ' * (len(parts) - 1)}{name:<{30 - 2 * (len(parts) - 1)}} {says(path)}")
    return "\n".join(lines) + "\n"


def written(readme: str) -> str:
    """The README with the tree put in."""
    before, rest = readme.split(START, 1)
    return before + START + tree() + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(tree())
