"""A library that is compiled is kept for the next process, by all that decides what it is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.decode import host_library
from core.decode.kept_library import MOST, is_kept, keep, place_of

pytestmark = pytest.mark.torch


@pytest.fixture
def built_by(tmp_path, monkeypatch) -> Iterator[list[str]]:
    """A compiler that writes down what it is asked to build; and a cache folder of the test's own."""
    monkeypatch.setenv("HEADROOM_CACHE_DIR", str(tmp_path / "cache"))
    script, log = tmp_path / "c++", tmp_path / "log"
    note = f'case "$*" in *-shared*-o*) echo "$*" >> "{log}";; esac'
    script.write_text(f'#!/bin/sh\n{note}\nexec "{os.environ["CXX"]}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))

    class Built(list[str]):
        def again(self) -> list[str]:
            """What a new process builds."""
            log.write_text("")
            host_library.built.cache_clear()
            assert not isinstance(host_library.built(), str)
            return log.read_text().splitlines()

    yield Built()
    host_library.built.cache_clear()


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "kernels").iterdir())


def test_the_second_process_compiles_nothing(tmp_path, built_by):
    assert len(built_by.again()) == 1
    (library,) = kept(tmp_path)
    assert library.stat().st_mode & 0o777 == 0o600
    assert library.parent.stat().st_mode & 0o777 == 0o700
    assert built_by.again() == []
    assert kept(tmp_path) == [library]


def test_what_is_cut_short_or_writable_by_others_is_compiled_anew(tmp_path, built_by):
    built_by.again()
    (library,) = kept(tmp_path)
    whole = library.read_bytes()
    library.write_bytes(b"cut short")
    assert len(built_by.again()) == 1
    assert library.read_bytes() == whole
    library.chmod(0o622)
    assert len(built_by.again()) == 1


def test_another_source_flag_or_compiler_is_another_library(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADROOM_CACHE_DIR", str(tmp_path / "cache"))
    one, other = tmp_path / "one.cpp", tmp_path / "other.cpp"
    one.write_text("int one;")
    other.write_text("int other;")
    compiler = os.environ["CXX"]
    places = [place_of([compiler, "-O3"], one), place_of([compiler, "-O2"], one), place_of([compiler, "-O3"], other)]
    assert None not in places
    assert len(set(places)) == 3
    assert place_of([compiler, "-O3"], one) == places[0]
    assert place_of(["/bin/false"], one) is None
    assert place_of([str(tmp_path / "none")], one) is None


def test_a_folder_that_others_may_write_or_that_takes_nothing_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADROOM_CACHE_DIR", str(tmp_path / "cache"))
    source = tmp_path / "one.cpp"
    source.write_text("int one;")
    (tmp_path / "cache" / "kernels").mkdir(parents=True)
    (tmp_path / "cache" / "kernels").chmod(0o777)
    assert place_of([os.environ["CXX"]], source) is None
    monkeypatch.setenv("HEADROOM_CACHE_DIR", str(source))
    assert place_of([os.environ["CXX"]], source) is None
    keep(source, None)
    keep(source, tmp_path / "nowhere" / "library.so")
    assert not is_kept(None)


def test_the_oldest_go(tmp_path):
    built = tmp_path / "built"
    built.write_text("library")
    for number in range(MOST + 3):
        keep(built, tmp_path / f"{number}.so")
        os.utime(tmp_path / f"{number}.so", (number, number))
    assert sorted(int(path.stem) for path in tmp_path.glob("*.so")) == list(range(3, MOST + 3))


def test_a_header_that_changes_is_another_library(tmp_path, built_by):
    source = tmp_path / "a" / "kernel.cpp"
    source.parent.mkdir()
    source.write_text('#include "product.h"\n')
    header = source.with_name("product.h")
    header.write_text("int one = 1;\n")
    first = place_of([os.environ["CXX"]], source)
    header.write_text("int one = 2;\n")
    assert None not in (first, place_of([os.environ["CXX"]], source))
    assert place_of([os.environ["CXX"]], source) != first
