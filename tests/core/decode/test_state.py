"""A kernel that changes the process must not change the next one's figure: planted ones, by search and by rounds."""

import os
from dataclasses import replace
from importlib import import_module

import pytest
import torch

from core.decode.inputs import Inputs
from core.decode.kernel import Kernel, reference
from core.decode.plan import DecodeJob
from core.decode.records import LIMIT_FAILED, Roofline, mark_best, share_in_words
from core.decode.run import Run, run_quietly
from core.decode.state import Kept
from core.host import busy
from tests.core.decode.records import result

pytestmark = pytest.mark.torch

ROOFLINE = Roofline(bytes_per_second=1e15, flops_per_second=1e15, exp_per_second=1e15)
JOB = DecodeJob(
    num_query_heads=4, kv_heads=(2, 1), head_dim=32, context_length=64, batch_size=1, dtype="float32", device="cpu",
    seed=5, quick=True,
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def compiler() -> None:
    """torch's own, whose settings are part of the state: seconds that not every process that collects need spend."""
    import_module("torch._dynamo")


def spoil() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision("medium")
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch._dynamo.config.suppress_errors = True
    os.environ["MALLOC_ARENA_MAX"] = "1"


def test_a_kernel_that_changes_everything_leaves_nothing_to_the_next(monkeypatch):
    kept, found = Kept(), []
    threads = torch.get_num_threads()

    def spoiler(inputs: Inputs):
        return lambda: (spoil(), reference(inputs))[1]

    def witness(inputs: Inputs):
        return lambda: (found.append(Kept().values), reference(inputs))[1]

    kernels = (
        Kernel(name="spoiler", summary="", prepare=spoiler),
        Kernel(name="witness", summary="", prepare=witness),
        Kernel(name="alone", summary="", prepare=lambda i: lambda: reference(i), torch_threads=1),
    )
    monkeypatch.setattr("core.decode.run.all_kernels", lambda _type: kernels)
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: ROOFLINE)
    monkeypatch.setattr("core.decode.rounds.ROUNDS", (2, 2))
    monkeypatch.setattr("core.decode.rounds.WITHIN", float("inf"))
    record = run_quietly(Run(JOB))
    assert found
    assert all(seen == kept.values for seen in found)
    assert kept.set_back() == []  # nor does a run leave anything to what follows it
    said = {r.kernel: r for r in record.results}
    assert (said["witness"].threads, said["alone"].threads, said["spoiler"].threads) == (threads, 1, 1)
    assert said["spoiler"].detail.startswith("left other than it was found, and set back: threads, deterministic")
    assert "the compiler's settings" in said["spoiler"].detail
    assert said["witness"].detail == ""


def test_no_share_above_one_is_shown_and_the_record_keeps_both():
    fast = result(8, "a", 1.0)  # 1 ms where the limit says 2
    (marked,) = mark_best((fast,))
    assert (marked.roofline_fraction, marked.limit_failed, marked.share) == (2.0, True, LIMIT_FAILED)
    cached = mark_best((replace(fast, fits_cache=True),))[0]
    assert (cached.share, cached.limit_failed) == ("fits the processor's cache", False)
    assert (share_in_words(1.0), share_in_words(None), share_in_words(1.004)) == ("100%", "", LIMIT_FAILED)


def test_an_order_inside_the_spread_is_called_equal():
    # samples of 0.9, 1.0 and 1.1 times the median: quartiles are the first and the last
    a, near, far = result(8, "a", 4.0), result(8, "near", 4.8), result(8, "far", 6.0)
    marked = {r.kernel: r.equal_to for r in mark_best((far, near, a))}
    assert marked == {"a": ("near",), "near": (), "far": ()}  # 4.4 reaches 4.32, not 5.4


def test_a_core_burnt_by_another_process_is_said_with_what_to_do():
    before = busy.Moment(at=0.0, busy=10.0, stolen=1.0, own=2.0, throttled=0.0)
    after = busy.Moment(at=10.0, busy=40.0, stolen=1.0, own=22.0, throttled=0.0)  # 30 s used, 20 of them ours
    seen = busy.between(before, after)
    assert seen.others_cores == 1.0
    assert seen.sentences[0] == "other processes used 1.0 cores: close them, or measure when they are done"
    cores = os.cpu_count() or 1
    stolen = busy.between(before, replace(after, busy=30.0, stolen=1.0 + cores, throttled=cores * 2.0))
    assert stolen.others_cores == 0
    assert "the hypervisor took 10% of the time" in stolen.sentences[0]
    assert "a CPU quota held processes back for 20% of the time" in stolen.sentences[1]


def test_a_quiet_machine_has_nothing_said_of_it_and_a_slow_clock_has():
    assert busy.Load(seconds=1.0, others_cores=0.1, stolen_share=0.0, clock_share=0.9).sentences == ()
    assert busy.Load(seconds=1.0).sentences == ()  # a system that says nothing
    assert "cores run at 50% of their highest clock" in busy.Load(seconds=1.0, clock_share=0.5).sentences[0]
