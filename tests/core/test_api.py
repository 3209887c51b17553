"""The public face: every name stands, the first names give the same objects, and nothing heavy comes with it."""

import subprocess
import sys

import pytest

import core.api
import core.models.spec
import core.sizing
from tests.dashboard import ROOT

FIRST_NAMES = {
    "core.models.spec": ("ModelSpec", "UnsupportedConfig", "load_config", "read_config"),
    "core.sizing": (
        "LLAMA_2_13B",
        "ServingJob",
        "SizingError",
        "largest_batch",
        "largest_kv_heads",
        "longest_context",
        "plan",
    ),
}


@pytest.mark.parametrize("name", core.api.__all__)
def test_every_public_name_stands_and_says_what_it_is(name):
    assert getattr(core.api, name).__doc__ or name == "LLAMA_2_13B"


@pytest.mark.parametrize("module", FIRST_NAMES)
def test_the_first_names_are_the_same_objects(module):
    for name in FIRST_NAMES[module]:
        assert getattr(sys.modules[module], name) is getattr(core.api, name)


def test_every_old_name_is_kept():
    assert set(core.models.spec.__all__) == {
        "DeclaredHeads", "ModelDimensions", "ModelSpec", "Provenance", "UnsupportedConfig", "deciding_lines",
        "load_config", "read_config",
    }  # fmt: skip
    assert set(core.sizing.__all__) == {
        "LLAMA_2_13B", "Accelerator", "Answer", "Change", "MemoryPlan", "ParameterCount", "PlanLine", "ServingJob",
        "SizingError", "WayToFit", "WindowPattern", "allowed_kv_heads", "fewest_accelerators",
        "fewest_accelerators_with_copies", "fewest_kv_bits", "largest_batch", "largest_kv_heads", "longest_context",
        "own_kv_heads", "plan", "ways_to_fit",
    }  # fmt: skip


def test_the_public_face_brings_in_neither_torch_nor_transformers_nor_streamlit():
    code = "import sys, core.api; print([n for n in ('torch', 'transformers', 'streamlit') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
