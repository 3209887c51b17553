"""What the compiler of the tests remembers: the same source and flags, and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ONCE

COMPILER = shutil.which("g++") or shutil.which("clang++")
pytestmark = pytest.mark.skipif(COMPILER is None or os.name == "nt", reason="no C++ compiler here")
COUNTING = '#!/bin/sh\ncase "$*" in *-###*) ;; *) echo once >> "{log}" ;; esac\nexec {compiler} "$@"\n'


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """A compiler that writes down how often it compiles."""
    script = tmp_path / "counted"
    script.write_text(COUNTING.format(log=tmp_path / "log", compiler=COMPILER))
    script.chmod(0o755)
    (tmp_path / "kept").mkdir()
    return script


def built(compiler: Path, *flags: str) -> bytes:
    """The object that comes of a.cpp, which includes a.h."""
    folder, target = compiler.parent, compiler.with_name("a.o")
    target.unlink(missing_ok=True)
    command = [sys.executable, ONCE, folder / "kept", compiler, "-c", *flags, folder / "a.cpp", "-o", target]
    subprocess.run(command, check=True)
    return target.read_bytes()


def test_the_same_is_compiled_once_and_what_differs_anew(counted: Path) -> None:
    header, log = counted.with_name("a.h"), counted.with_name("log")
    counted.with_name("a.cpp").write_text('#include "a.h"\nint two() { return ONE + 1; }\n')
    header.write_text("#define ONE 1\n")
    first = built(counted)
    assert built(counted) == first
    assert log.read_text().split() == ["once"]
    header.write_text("#define ONE 11\n")
    assert built(counted) != first
    built(counted, "-O2")
    header.write_text("#define ONE 1\n")
    assert built(counted) == first  # kept meanwhile
    assert log.read_text().split() == ["once"] * 3


def test_a_header_of_another_folder_counts_too(counted: Path) -> None:
    folder = counted.with_name("headers")
    folder.mkdir()
    counted.with_name("a.cpp").write_text('#include "b.h"\nint two() { return ONE + 1; }\n')
    folder.joinpath("b.h").write_text("#define ONE 1\n")
    first = built(counted, "-I", str(folder))
    folder.joinpath("b.h").write_text("#define ONE 11\n")
    assert built(counted, "-I", str(folder)) != first


def test_what_does_not_compile_is_not_kept(counted: Path) -> None:
    source = counted.with_name("a.cpp")
    source.write_text("int two() { return }\n")
    with pytest.raises(subprocess.CalledProcessError):
        built(counted)
    assert [*counted.with_name("kept").glob("*.built")] == []
    source.write_text("int two() { return 2; }\n")
    assert built(counted)
