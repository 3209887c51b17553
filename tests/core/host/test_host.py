"""This machine under one face: each system's own tools and calls, with tools of the test's own in their place."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import psutil
import pytest

from core.host import compiler, folders, guard, linux, memory, packages, processor
from tests.core.host.systems import seem
from tests.dashboard import ROOT


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """tools("sysctl", "echo Apple M2 Pro") puts a program of that name on an otherwise empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    processor.cpu_name.cache_clear()

    def put(name: str, does: str) -> Path:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
        program.chmod(0o755)
        return program

    yield put
    processor.cpu_name.cache_clear()


SYSCTL = """case "$2" in
machdep.cpu.brand_string) echo "Apple M2 Pro";;
hw.perflevel0.physicalcpu) echo 8;;
hw.perflevel1.physicalcpu) echo 4;;
*) exit 1;; esac"""


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        ("fpu sse2 avx512_bf16 amx_bf16 amx_tile amx_int8", True),
        ("fpu sse2 avx512_bf16 amx_tile", False),
        ("fpu sse2 avx2", False),
        ("", False),
    ],
)
def test_linux_says_whether_the_processor_has_amx(monkeypatch, tmp_path, flags, has):
    said = tmp_path / "cpuinfo"
    said.write_text(f"processor\t: 0\nvmx flags\t: amx_bf16 amx_tile\nflags\t\t: {flags}\n", encoding="ascii")
    monkeypatch.setattr(processor, "CPUINFO", said)
    assert processor.has_amx.__wrapped__() is has
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    assert processor.has_amx.__wrapped__() is False


def test_apple_silicon_is_named_with_its_kinds_of_cores(tools, monkeypatch):
    seem(monkeypatch, "macos")
    tools("sysctl", SYSCTL)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 12)
    assert processor.cpu_name() == "Apple M2 Pro"
    assert processor.cores_in_words() == "12 physical, 12 logical (8 performance, 4 efficiency)"


def test_a_mac_with_one_kind_of_core(tools, monkeypatch):
    seem(monkeypatch, "macos")
    tools("sysctl", 'case "$2" in machdep.cpu.brand_string) echo "Intel(R) Core(TM) i7-9750H";; *) exit 1;; esac')
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 12 if logical else 6)
    assert processor.cpu_name() == "Intel(R) Core(TM) i7-9750H"
    assert processor.cores_in_words() == "6 physical, 12 logical"


def test_linux_names_the_processor_by_lscpu(tools, monkeypatch):
    seem(monkeypatch, "linux")
    tools("lscpu", 'echo "Architecture:   aarch64"; echo "Model name:     Neoverse-N1"; echo "LC_ALL is $LC_ALL" >&2')
    assert processor.cpu_name() == "Neoverse-N1"


def test_windows_names_it_from_the_registry(tools, monkeypatch):
    seem(monkeypatch, "windows")
    registry = ModuleType("winreg")
    registry.HKEY_LOCAL_MACHINE = 1
    key = SimpleNamespace(__enter__=None)

    class Key:
        def __enter__(self):
            return key

        def __exit__(self, *_):
            return None

    asked = []
    registry.OpenKey = lambda root, path: asked.append((root, path)) or Key()
    registry.QueryValueEx = lambda at, name: ("AMD Ryzen 7 7840U w/ Radeon 780M Graphics     ", 1)
    monkeypatch.setitem(sys.modules, "winreg", registry)
    assert processor.cpu_name() == "AMD Ryzen 7 7840U w/ Radeon 780M Graphics"
    assert asked == [(1, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0")]


@pytest.mark.parametrize("system", ["linux", "macos", "windows"])
def test_a_processor_without_a_name_is_its_architecture(tools, monkeypatch, system):
    seem(monkeypatch, system)
    monkeypatch.setitem(sys.modules, "winreg", None)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert processor.cpu_name() == "arm64"


def test_a_gpu_is_seen_by_its_driver(tools, monkeypatch):
    seem(monkeypatch, "windows")
    assert not processor.has_nvidia_gpu()
    assert processor.nvidia_driver() == "unknown"
    tools("nvidia-smi", "echo 581.42; echo 581.42")
    assert processor.has_nvidia_gpu()
    assert processor.nvidia_driver() == "581.42"
    seem(monkeypatch, "macos")
    assert not processor.has_nvidia_gpu()


def test_half_of_what_is_available(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=12_000, total=32_000))
    assert (memory.available_bytes(), memory.free_bytes(), memory.total_bytes()) == (6_000, 12_000, 32_000)


@pytest.mark.parametrize("without", ["no psutil", "a psutil that cannot look"])
def test_a_quarter_of_all_where_the_system_does_not_say_what_is_free(monkeypatch, without):
    if without == "no psutil":
        monkeypatch.setattr(memory, "psutil", lambda: None)
    else:
        monkeypatch.setattr(psutil, "virtual_memory", _raises)
        monkeypatch.setattr(psutil, "Process", _raises)
    all_of_it = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory.available_bytes() == all_of_it // 4
    assert memory.used_bytes() is None
    seem(monkeypatch, "windows")
    assert memory.available_bytes() == 2_000_000_000


def _raises(*_):
    raise FileNotFoundError(2, "No such file or directory", "/proc/meminfo")


def test_linux_takes_gpp_before_clang(tools, monkeypatch):
    seem(monkeypatch, "linux")
    assert compiler.cxx_compiler() is None
    assert compiler.what_to_install().startswith("no C++ compiler here: install g++ or clang++")
    clang = tools("clang++", "")
    assert compiler.cxx_compiler() == str(clang)
    gpp = tools("g++", "")
    assert compiler.cxx_compiler() == str(gpp)
    monkeypatch.setenv("CXX", "/opt/llvm/bin/clang++")
    assert compiler.cxx_compiler() == "/opt/llvm/bin/clang++"


def test_a_mac_takes_clang_and_says_how_to_get_it(tools, monkeypatch):
    seem(monkeypatch, "macos")
    assert compiler.cxx_compiler() is None
    assert "`xcode-select --install` brings clang++" in compiler.what_to_install()
    tools("g++", "")
    clang = tools("clang++", "")
    assert compiler.cxx_compiler() == str(clang)


@pytest.mark.parametrize(("selected", "found"), [("exit 2", None), ("echo /Library/Dev", "/usr/bin/clang++")])
def test_apples_stub_is_no_compiler_until_its_tools_are_installed(tools, monkeypatch, selected, found):
    seem(monkeypatch, "macos")
    tools("xcode-select", selected)
    monkeypatch.setattr("core.host.compiler.shutil.which", lambda name: f"/usr/bin/{name}")
    assert compiler.cxx_compiler() == found


def test_windows_builds_none_and_says_what_is_measured(tools, monkeypatch):
    seem(monkeypatch, "windows")
    monkeypatch.setenv("CXX", "cl.exe")
    tools("g++", "")
    assert compiler.cxx_compiler() is None
    assert "on Windows torch's own paths are measured" in compiler.what_to_install()


@pytest.mark.parametrize(
    ("machine", "flag"),
    [("x86_64", "-march=native"), ("AMD64", "-march=native"), ("arm64", "-mcpu=native"), ("aarch64", "-mcpu=native")],
)
def test_the_flag_for_this_very_processor(monkeypatch, machine, flag):
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert compiler.flags_for_this_cpu() == (flag,)


@pytest.mark.parametrize("system", ["macos", "windows"])
def test_what_only_linux_has_is_refused_elsewhere(monkeypatch, system):
    seem(monkeypatch, system)
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    assert not linux.die_with_parent()
    assert not linux.be_killed_first()
    assert not linux.keep_few_arenas()
    assert not linux.give_memory_back()
    assert not linux.give_way_as_a_group(10)
    assert not linux.bound_address_space(1)  # one byte: on Linux nothing would run on
    linux.ask_for_huge_pages()
    assert "THP_MEM_ALLOC_ENABLE" not in os.environ
    assert linux.huge_pages() == "chosen by the system"
    assert "watched, not enforced" in guard.limit_in_words()


def test_on_linux_the_limit_needs_no_word(monkeypatch):
    seem(monkeypatch, "linux")
    assert guard.limit_in_words() == ""


def test_the_data_folder_is_each_systems_own(monkeypatch, tmp_path):
    from platformdirs.macos import MacOS
    from platformdirs.unix import Unix
    from platformdirs.windows import Windows

    monkeypatch.delenv("HEADROOM_DATA_DIR", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/Users/ann")
    monkeypatch.setenv("WIN_PD_OVERRIDE_LOCAL_APPDATA", r"C:\Users\Ann Lee\AppData\Local")
    found = {}
    for system in (Unix, MacOS, Windows):
        monkeypatch.setattr("platformdirs.PlatformDirs", system)
        found[system.__name__] = str(folders.data_directory())
    assert found["Unix"] == "/Users/ann/.local/share/headroom"
    assert found["MacOS"] == "/Users/ann/Library/Application Support/headroom"
    assert found["Windows"].startswith("C:\\Users\\Ann Lee\\AppData\\Local")
    monkeypatch.setattr("platformdirs.PlatformDirs", MacOS)
    monkeypatch.delenv("HEADROOM_CACHE_DIR", raising=False)
    assert str(folders.cache_directory()) == "/Users/ann/Library/Caches/headroom"
    monkeypatch.setenv("HEADROOM_DATA_DIR", r"D:\runs")
    assert folders.data_directory() == Path(r"D:\runs")


def test_without_platformdirs_a_folder_must_be_named(monkeypatch):
    monkeypatch.delenv("HEADROOM_DATA_DIR", raising=False)
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(OSError, match="platformdirs is not installed"):
        folders.data_directory()


def test_what_is_not_installed_is_named_in_one_line(monkeypatch):
    assert packages.missing("Measuring", "sys") == ""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert packages.missing("Measuring", "torch") == (
        "Measuring needs torch, which is not installed here: `pip install -r requirements.txt` brings it all."
    )
    assert packages.missing("The check", "torch", "no_such_package", "sys") == (
        "The check needs torch and no_such_package, which are not installed here: "
        "`pip install -r requirements.txt` brings it all."
    )


@pytest.mark.skipif(sys.platform == "win32", reason="it has classes of priority in place of numbers")
@pytest.mark.parametrize(("said", "nice"), [("", 10), ("3", 3), ("0", 0)])
def test_a_worker_gives_way_as_far_as_it_is_told(said, nice):
    run = "from core.host import guard; import os; print(guard.give_way(), os.getpriority(os.PRIO_PROCESS, 0))"
    env = {**os.environ, "HEADROOM_NICE": said}
    done = subprocess.run([sys.executable, "-c", run], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", str(max(nice, os.getpriority(os.PRIO_PROCESS, 0)))]


@pytest.mark.parametrize("said", ["20", "-1", "low", "1.5"])
def test_a_worker_told_no_number_says_which_there_are(monkeypatch, said):
    monkeypatch.setenv("HEADROOM_NICE", said)
    with pytest.raises(ValueError, match=re.escape(f"HEADROOM_NICE is '{said}': say how far")) as refused:
        guard.give_way()
    assert str(refused.value).endswith("from 0, not at all, to 19.")
