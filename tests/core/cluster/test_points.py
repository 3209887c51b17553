"""A sweep's points and their ids, and what a cluster reports as kinds of device."""

import json
from dataclasses import asdict, replace

import pytest

from core.cluster.points import Sweep, job_from, sweep_from
from core.cluster.reported import kinds
from core.decode.plan import InvalidJob, StepShape

SWEEP = Sweep(
    num_query_heads=40, head_dim=128, kv_heads=(40, 8), contexts=(16384, 4096), batches=(1, 32),
    dtypes=("bfloat16", "int8"), devices=("host", "H100"), seed=7,
)  # fmt: skip


def test_points_are_every_combination_and_devices_take_turns():
    points = SWEEP.points()
    assert len(points) == SWEEP.num_points == 2 * 2 * 2 * 2 * 2
    assert len({p.id for p in points}) == 32
    assert [p.device for p in points[:4]] == ["host", "H100", "host", "H100"]
    first, last = points[0].job, points[-1].job
    assert (first.kv_heads, first.context_length, first.batch_size, first.device) == ((8,), 4096, 1, "auto")
    assert (last.kv_heads, last.context_length, last.batch_size, last.device) == ((40,), 16384, 32, "cuda")


def test_an_id_says_what_is_measured_and_on_what_and_stays_the_same():
    ids = [p.id for p in SWEEP.points()]
    assert [p.id for p in sweep_from(json.loads(json.dumps(asdict(SWEEP)))).points()] == ids
    assert not {p.id for p in replace(SWEEP, head_dim=64).points()} & set(ids)
    # sha256 of the point's JSON with sorted keys, reckoned once by hashlib: a release that changes it resumes nothing
    small = Sweep(num_query_heads=1, head_dim=16, kv_heads=(1,), contexts=(1,), batches=(1,), devices=("CPU",))
    assert small.points()[0].id == "1ca74879d8b3201d"


def test_a_job_and_its_step_come_back_from_json():
    step = StepShape(num_layers=2, hidden_size=64, intermediate_size=128, vocab_size=256)
    job = replace(SWEEP, step=step, kernels=("host_kernel",)).points()[5].job
    assert job_from(json.loads(json.dumps(asdict(job)))) == job


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"contexts": ()}, "the sweep has no contexts: give at least one"),
        ({"devices": ("H100", "H100")}, "devices is H100, H100: give each once"),
        ({"kv_heads": (40, 7)}, "G = 7 does not divide 40 query heads"),
        ({"batches": tuple(range(1, 300))}, "the sweep has 4,784 points: leave some out, 2,000 is the most"),
    ],
)
def test_what_no_run_takes_is_refused_before_anything_runs(changes: dict[str, object], said: str):
    with pytest.raises(InvalidJob, match=said):
        replace(SWEEP, **changes)


def node(name: str, *, alive: bool = True, **resources: float) -> dict[str, object]:
    """As ray.nodes() of Ray 2.60 gives one."""
    named = {key.replace("accelerator_type_", "accelerator_type:"): value for key, value in resources.items()}
    named |= {"memory": 8e9, f"node:{name}": 1.0}
    return {"NodeID": name * 4, "Alive": alive, "NodeManagerHostname": name, "Resources": named}


def test_kinds_are_accelerators_by_type_and_nodes_without_any():
    found = kinds(
        [
            node("head", CPU=0.0),
            node("a", CPU=64.0, GPU=8.0, accelerator_type_H100=1.0),
            node("b", CPU=64.0, GPU=8.0, accelerator_type_H100=1.0),
            node("c", CPU=16.0, GPU=1.0),
            node("d", CPU=32.0),
            node("e", CPU=32.0, alive=False),
            node("f", CPU=96.0, TPU=4.0, accelerator_type_TPU_V5E=1.0),
        ]
    )
    assert {name: kind.devices for name, kind in found.items()} == {"GPU": 1, "H100": 16, "CPU": 1}
    assert found["H100"].sentence == "H100: 16 devices on a, b"
    assert found["CPU"].nodes[0].id == "dddd"
    assert found["CPU"].memory_bytes == 8_000_000_000
