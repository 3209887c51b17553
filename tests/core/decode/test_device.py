"""What a run says of its host: versions of what was there, nothing of what was not, and nothing loaded for it."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest
import torch

from core.decode import device, host_library
from tests.dashboard import ROOT

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_kept_answer():
    host_library.compiler_version.cache_clear()
    yield
    host_library.compiler_version.cache_clear()


def test_libraries_are_named_with_the_versions_they_were_installed_in(monkeypatch):
    installed = {"triton": "3.5.0", "flashinfer-python": "0.5.2", "transformers": "5.23.0"}

    def version(package: str) -> str:
        if package not in installed:
            raise PackageNotFoundError(package)
        return installed[package]

    monkeypatch.setattr(device, "version", version)
    facts = device.host_facts(CPU)
    assert (facts["triton"], facts["flashinfer"], facts["transformers"]) == ("3.5.0", "0.5.2", "5.23.0")
    assert "flash-attn" not in facts


def test_the_compiler_is_named_by_its_own_first_line(monkeypatch, tmp_path):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho 'g++ (Some Linux) 15.1.0'\necho 'Copyright'\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    assert device.host_facts(CPU)["compiler"] == "g++ (Some Linux) 15.1.0"


@pytest.mark.parametrize("compiler", ["", "/nowhere/c++"], ids=["none", "one that cannot be started"])
def test_no_compiler_is_no_line(monkeypatch, compiler):
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setattr("core.host.compiler.shutil.which", lambda _name: None)
    assert "compiler" not in device.host_facts(CPU)


def test_no_library_is_loaded_to_learn_its_version():
    script = (
        "import sys, torch\nfrom core.decode.device import host_facts\nhost_facts(torch.device('cpu'))\n"
        "print(sorted({'transformers', 'flashinfer', 'flash_attn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
