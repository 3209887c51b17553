"""Headroom on Windows and macOS, in processes that answer as there: every page, the server, one whole measurement."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard import ROOT, running_dashboard
from tests.elsewhere import SYSTEMS, environment, tree_with_crlf, whole
from tests.paths import page_files

INSTALL = "`pip install -r requirements.txt` brings it all."


MEASURING = ("tools/decode/benchmark.py", "learn/uptraining.py")


def walked(folder: Path, system: str, what: str, root: Path = ROOT, **also: str) -> dict[str, Any]:
    """What tests/elsewhere/walk.py found in a process on that system."""
    own = whole(environment(system, folder, root) | also)
    done = subprocess.run(
        [sys.executable, "-m", "tests.elsewhere.walk", *what.split()], cwd=root, env=own,
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_stand_in_is_one(tmp_path):
    """In such a process the modules are gone, the platform is another to us and the same to libraries, /proc is not."""
    code = (
        "import json, os, sys\nfrom core.host import guard\n"
        "def cannot(name):\n    try: __import__(name)\n    except ImportError: return True\n"
        "gone = all(map(cannot, ('fcntl', 'resource', 'pwd', 'grp', 'termios')))\n"
        "print(json.dumps([gone, os.path.exists('/proc'), guard.limit_in_words() != '', hasattr(os, 'killpg'),\n"
        "    sys.platform == 'linux', os.name == 'posix']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=whole(environment("windows", tmp_path)), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, False, True, False, True, True]


def test_every_page_opens_on_windows_from_files_with_crlf(tmp_path):
    root = tree_with_crlf(tmp_path / "tree")
    assert b"\r\n" in (root / "model_registry.yaml").read_bytes()
    assert walked(tmp_path, "windows", "pages", root)["wrong"] == {script: [] for script in page_files()}


@pytest.mark.parametrize(
    "scripts",
    [pytest.param(MEASURING, id="measuring"), pytest.param(page_files(), marks=pytest.mark.proof, id="every page")],
)
def test_every_page_opens_on_macos_without_torch_and_says_what_measuring_needs(tmp_path, scripts):
    """The pages that need torch for something, in `make test`; `make proofs` opens the others too."""
    found = walked(tmp_path, "macos", " ".join(["pages", *scripts]), HEADROOM_WITHOUT="torch,transformers")
    assert found["wrong"] == {script: [] for script in scripts}
    needs = f"needs torch, which is not installed here: {INSTALL}"
    assert f"Measuring {needs}" in found["info"]["tools/decode/benchmark.py"]
    assert f"The experiment {needs}" in found["info"]["learn/uptraining.py"]


@pytest.mark.torch
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_whole_measurement_ends_with_a_result(tmp_path, system):
    found = walked(tmp_path, system, "measure")
    assert (found["status"], found["message"], found["warning"]) == ("complete", "", "")
    assert [kv_heads for kv_heads, _ in found["best"]] == [4]
    assert found["errors"] == []
    assert found["gone"]
    assert "the memory limit is watched, not enforced" in found["captions"]
    assert found["host"]["huge_pages"] == "chosen by the system"
    if system == "windows":
        assert found["host_kernel"] == [
            "built on Linux and macOS alone: on Windows torch's own paths are measured; under WSL with g++ it is built"
        ]


@pytest.mark.torch
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_other_workers_answer_and_are_gone(tmp_path, system):
    """Falcon of width 64: embeddings 6,400, Q and output 4,096 each, K and V 64 x 16 each, FFN 2 x 64 x 256, norms 2 x
    128."""
    found = walked(tmp_path, system, "workers")
    assert found == {
        "parameters": 49_664,
        "key_shape": [1, 1, 8, 16],
        "status": "cancelled",
        "started": 2,
        "gone": True,
    }


NOT_EVERYWHERE = re.compile(
    r"^\s*(?:import|from)\s+(?:fcntl|resource|pwd|grp|termios|tty|pty|winreg)\b"
    r"|/proc/|/sys/|prctl|killpg|setsid|SIGKILL|preexec_fn|sched_getaffinity|os\.(?:getuid|sysconf|kill)\b|Popen\(",
    re.MULTILINE,
)


def test_only_one_room_asks_for_what_not_every_system_has():
    files = [ROOT / "dashboard.py", *(ROOT / "core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    outside = [file for file in files if file.parent != ROOT / "core" / "host"]
    assert len(files) - len(outside) > 5
    found = {file.name: match[0] for file in outside if (match := NOT_EVERYWHERE.search(file.read_text("utf-8")))}
    assert found == {}


def test_the_server_starts_and_answers(tmp_path):
    with running_dashboard(tmp_path, environment("windows", tmp_path)) as dashboard:
        with urllib.request.urlopen(f"{dashboard.url}/size?size_g=8", timeout=60) as answer:
            assert answer.status == 200
            assert b"</html>" in answer.read()
        assert "Traceback" not in dashboard.log()
