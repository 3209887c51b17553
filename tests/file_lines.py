"""What each tracked file says of itself: a Python file its first docstring sentence, another its title or comment."""

import ast
import re
import subprocess
from pathlib import Path

from tests.dashboard import ROOT

# What a file cannot say of itself, and the folders that are described as a whole.
SAYS = {
    ".ci/run": "what continuous integration runs: make test",
    ".gitignore": "what stays out of the repository",
    ".streamlit/config.toml": "bound to localhost, telemetry off, our theme",
    "CHANGELOG.md": "what changed",
    "LICENSE": "the terms",
    "Makefile": "make run, make test",
    "README.md": "this page",
    "core/data/accelerators.json": "accelerators: memory, bandwidth and rate, each figure with its source",
    "model_registry.yaml": "models: repository, revision, the facts recorded from config.json, source, date read",
    "pyproject.toml": "ruff, mypy and pytest settings",
    "requirements.txt": "all that Headroom needs, pinned",
    "requirements-look.txt": "what every page needs, without torch, pinned",
    ".gitattributes": "which files are text",
    ".github/workflows/ci.yml": "the checks on three systems, for a hosted CI; not run anywhere yet",
    "requirements-dev.txt": "what the tests need beside it, pinned",
    ".dockerignore": "what stays out of the image",
    "Dockerfile": "Headroom in a container, CPU and CUDA; built and run on a CPU",
    "requirements.lock": "every package that runs, with the hashes of its files; made by make lock",
    "requirements-cluster.txt": "what a sweep over a Ray cluster needs beside it, pinned",
    "requirements-triton.txt": "what compiles the Triton kernel without a GPU, pinned",
    "tests/slow.txt": "the tests that make check leaves to make test; found by python -m tests.slow",
    "requirements-sharing.txt": "what sign-in on a shared server needs beside it, pinned",
    "core/data/decode_runs/": "decode measurements that ship with Headroom, with device, date and every sample",
    "core/data/uptraining_runs/": "uptraining experiments that ship with Headroom, one per seed and length",
    "core/data/many_queries.json": "k query tokens against one cache, timed on one CPU by core.decode.many_queries",
    "core/data/small_text_model.npz": "weights of the model of Watch it decode, by core.uptraining.train_small_text",
    "core/data/model_classes.json.gz": "defaults, aliases and nested parts of transformers' configuration classes",
    "core/data/vllm_classes.json": "how vLLM's classes cache, where their code says it and no config does",
    "core/data/sglang_classes.json.gz": "what SGLang's configuration classes say, and which model classes it serves",
    "core/data/parameter_classes.json.gz": "what the classes of transformers build, where no config says it",
    "tests/data/": "cases as data, each with the version of the software that gave its truth",
    "docs/layouts.png": "the layouts page, as this page shows it",
    "docs/size.png": "the sizing page, as this page shows it",
    "pages/assets/icon.svg": "the icon",
    "pages/assets/logo.svg": "the logo",
    "pages/assets/present.html": "presenter mode's bar: buttons, the mark and the notes",
    "pages/assets/present_bar.css": "the look of presenter mode's bar",
    "tests/hostile/files.json.gz": "files that must be refused or read right, whatever they hold",
    "tests/oracle_cases/cases.json.gz": "configs with the KV caches that transformers really allocated for them",
}

# Where a file says what it is.
FIRST_COMMENT = {
    ".py": "",
    ".md": r"(?:---.*?\ntitle: |# )([^\n]+)",
    ".yaml": r"# ((?:[^\n]+\n#?)+)",
    ".css": r"/\* (.*?) \*/",
    ".h": r"// ((?:[^\n]+\n/?/?)+)",
    ".cpp": r"// ((?:[^\n]+\n/?/?)+)",
    ".js": r"// ((?:[^\n]+\n/?/?)+)",
    ".sh": r"#![^\n]+\n# ((?:[^\n]+\n#?)+)",
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
    said = _said_inside(ROOT / path)
    if not said:
        raise KeyError(f"{path}: says nothing of itself; add a line for it to tests/file_lines.py")
    return " ".join(said.split("\n\n")[0].split()).split(". ")[0].rstrip(".").replace("`", "")


def _said_inside(path: Path) -> str | None:
    """A Python file's docstring, a text's title, else the comment that a file begins with."""
    text = path.read_text(encoding="utf-8") if path.suffix in FIRST_COMMENT else ""
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text))
    found = re.match(FIRST_COMMENT.get(path.suffix, "(?!)"), text, re.DOTALL)
    return re.sub(r"\n(#|//) ?", "\n", found[1]) if found else None
