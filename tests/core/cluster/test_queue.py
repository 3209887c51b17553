"""The queue of a sweep without Ray: each point once, losses retried, a restart goes on, and what is left is known."""

import sqlite3
from pathlib import Path

import pytest

from core.cluster import queue, store
from core.cluster.points import Sweep
from core.cluster.queue import BUSY, PROGRESS, RECORD, REFUSED, Drive, Told
from core.decode import database
from core.decode.plan import InvalidJob
from core.decode.store import opened
from tests.core.cluster.devices import LOSS, Written, record_of


@pytest.fixture(autouse=True)
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))


def a_sweep(**changes: object) -> Sweep:
    fields = {
        "num_query_heads": 8, "head_dim": 64, "kv_heads": (8, 1), "contexts": (1024, 512), "batches": (1,),
        "devices": ("H100", "L4"),
    }  # fmt: skip
    return Sweep(**{**fields, **changes})


class Time:
    """A clock that sleeping moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def drive(sweep_id: str, *sources: Written, **changes: object) -> str:
    time = Time()
    return Drive(sweep_id=sweep_id, sources=sources, clock=time, sleep=time.sleep, **changes).run()


def states(sweep_id: str) -> list[str]:
    return [p.state for p in store.points(sweep_id)]


def test_every_point_gets_one_result_and_no_device_two_runs_at_once():
    sweep_id = store.add(a_sweep())
    devices = Written({"H100": 1, "L4": 1})
    assert drive(sweep_id, devices) == "complete"
    assert states(sweep_id) == ["done"] * 8
    assert sorted(devices.begun) == sorted(p.id for p in a_sweep().points())
    assert devices.most_at_once == 2
    first = store.points(sweep_id)[0]
    assert (first.place, first.seconds, first.attempts) == ({"host": "n1"}, 2.0, 1)
    assert first.record == record_of(first.point)


def test_a_lost_node_gives_its_point_back_and_the_result_is_there_once():
    sweep_id, point = store.add(a_sweep()), a_sweep().points()[3]
    devices = Written({"H100": 1, "L4": 1}, {point.id: [LOSS, LOSS]})
    assert drive(sweep_id, devices) == "complete"
    assert states(sweep_id) == ["done"] * 8
    assert devices.begun.count(point.id) == 3
    assert [p.attempts for p in store.points(sweep_id)] == [1, 1, 1, 3, 1, 1, 1, 1]


def test_a_point_that_is_lost_every_time_fails_in_words_and_can_wait_again():
    sweep_id, point = store.add(a_sweep()), a_sweep().points()[0]
    assert drive(sweep_id, Written({"H100": 1, "L4": 1}, {point.id: [LOSS] * 4})) == "complete"
    assert states(sweep_id) == ["failed", *["done"] * 7]
    assert store.points(sweep_id)[0].message == "Lost 4 times, last: The node died."
    assert store.find(sweep_id).message == "1 point gave no result."
    assert store.try_again(sweep_id) == 1
    again = Written({"H100": 1, "L4": 1})
    assert drive(sweep_id, again) == "complete"
    assert (again.begun, states(sweep_id)) == ([point.id], ["done"] * 8)


def test_a_lost_point_waits_longer_each_time():
    time, point = Time(), a_sweep().points()[0]
    words = Drive(sweep_id=store.add(a_sweep()), sources=(), clock=time)
    waits = []
    for attempt in (1, 2, 3):
        words._attempts[point.id] = attempt
        words._settle(point, LOSS)
        waits.append(words._not_before[point.id])
    assert waits == [5.0, 10.0, 15.0]


def test_a_refusal_is_not_tried_again():
    sweep_id, point = store.add(a_sweep()), a_sweep().points()[0]
    devices = Written({"H100": 1, "L4": 1}, {point.id: [Told(point_id="", kind=REFUSED, message="no memory")]})
    assert drive(sweep_id, devices) == "complete"
    assert (devices.begun.count(point.id), store.points(sweep_id)[0].message) == (1, "no memory")


def test_a_busy_device_is_waited_for_and_costs_no_attempt():
    sweep_id, point = store.add(a_sweep()), a_sweep().points()[0]
    busy = Told(point_id="", kind=BUSY, message="Another measurement is running on cuda:0")
    devices = Written({"H100": 1, "L4": 1}, {point.id: [busy] * 6})
    assert drive(sweep_id, devices) == "complete"
    assert (devices.begun.count(point.id), store.points(sweep_id)[0].attempts) == (7, 1)


def test_a_busy_device_is_not_asked_with_one_point_after_the_other():
    """Each start is a process on that device, beside the measurement that it would not disturb."""
    time, sweep = Time(), a_sweep(devices=("H100",), contexts=tuple(range(512, 512 + 40)))
    busy = Told(point_id="", kind=BUSY, message="Another measurement is running on cuda:0")
    devices = Written({"H100": 1}, {point.id: [busy] for point in sweep.points()})
    begun_by_20_s: list[int] = []

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if time.now < 20:
            begun_by_20_s.append(len(devices.begun))

    driver = Drive(sweep_id=store.add(sweep), sources=(devices,), clock=time, sleep=sleep)
    assert driver.run() == "complete"
    assert begun_by_20_s[-1] == 4


def test_a_sweep_that_was_cancelled_before_its_driver_began_stays_so():
    sweep_id = store.add(a_sweep())
    store.end(sweep_id, store.CANCELLED)
    devices = Written({"H100": 1, "L4": 1})
    assert drive(sweep_id, devices, resumes=False) == "cancelled"
    assert devices.begun == []


def test_nothing_is_under_way_in_a_sweep_that_is_over():
    sweep_id = store.add(a_sweep())

    class Slow(Written):
        def poll(self):
            store.end(sweep_id, store.CANCELLED)
            return iter(())

    assert drive(sweep_id, Slow({"H100": 1, "L4": 1})) == "cancelled"
    assert states(sweep_id) == ["waiting"] * 8


def test_a_run_that_never_began_is_not_waited_for_when_its_device_is_gone():
    sweep_id = store.add(a_sweep())

    class Gone(Written):
        def poll(self):
            self.devices = {}
            return iter(())

    devices = Gone({"H100": 1, "L4": 1})
    assert drive(sweep_id, devices, patience_seconds=60) == "stopped"
    assert store.find(sweep_id).message == "No device took a point for 60 s; waited for: H100, L4. Resume it then."
    assert sorted(devices.cancelled) == sorted(devices.begun)


def test_drivers_that_were_killed_are_no_losses_of_a_point():
    sweep_id, point = store.add(a_sweep()), a_sweep().points()[0]
    for _ in range(5):
        store.begin(sweep_id)
        store.started(sweep_id, point.id)
    devices = Written({"H100": 1, "L4": 1}, {point.id: [LOSS] * 3})
    assert drive(sweep_id, devices) == "complete"
    assert states(sweep_id) == ["done"] * 8


def test_a_result_that_cannot_be_read_is_kept_and_the_sweep_ends():
    sweep_id = store.add(a_sweep())
    first = store.points(sweep_id)[0].point
    with opened() as db:
        db.execute("UPDATE sweep_points SET state = 'done', record = '{}' WHERE point_id = ?", (first.id,))
    assert drive(sweep_id, Written({"H100": 1, "L4": 1})) == "complete"
    found = store.points(sweep_id)[0]
    assert (found.state, found.record) == ("failed", None)
    assert found.message == "Its result is kept and cannot be read: schema is None: this version reads 1."
    assert store.find(sweep_id).message == "1 point gave no result."


def test_a_sweep_of_another_version_is_named_and_keeps_no_other_from_the_list():
    other, mine = store.add(a_sweep()), store.add(a_sweep())
    with opened() as db:
        db.execute("UPDATE sweeps SET sweep = replace(sweep, '{', '{\"lengths\": [], ') WHERE sweep_id = ?", (other,))
    assert [line.sweep_id for line in store.sweeps()] == [mine]
    [(unread, why)] = store.unread().items()
    assert unread == other
    assert why.startswith("written by another version of Headroom, and not read by this one (")
    with pytest.raises(InvalidJob, match="written by another version"):
        store.find(other)


def test_the_next_driver_goes_on_where_one_was_killed():
    sweep_id = store.add(a_sweep())
    points = store.points(sweep_id)
    store.begin(sweep_id)
    store.started(sweep_id, points[0].point.id)
    store.finish(sweep_id, points[0].point.id, record_of(points[0].point), {}, 1.0)
    store.started(sweep_id, points[1].point.id)  # its driver goes here
    devices = Written({"H100": 1, "L4": 1})
    assert drive(sweep_id, devices) == "complete"
    assert sorted(devices.begun) == sorted(p.point.id for p in points[1:])
    assert [p.attempts for p in store.points(sweep_id)] == [1, 2, 1, 1, 1, 1, 1, 1]


def test_a_second_result_of_a_point_changes_nothing():
    sweep_id = store.add(a_sweep())
    point = store.points(sweep_id)[0].point
    assert store.finish(sweep_id, point.id, record_of(point, 4.0), {"host": "n1"}, 1.0)
    assert not store.finish(sweep_id, point.id, record_of(point, 9.0), {"host": "n2"}, 2.0)
    store.fail(sweep_id, point.id, "too late", {})
    first = store.points(sweep_id)[0]
    assert (first.state, first.record, first.place) == ("done", record_of(point, 4.0), {"host": "n1"})


def test_a_cancelled_sweep_ends_what_runs_and_keeps_what_is_done():
    sweep_id = store.add(a_sweep())

    def cancel(told: Told) -> None:
        store.end(sweep_id, store.CANCELLED)

    devices = Written({"H100": 1})
    assert drive(sweep_id, devices, tell=cancel) == "cancelled"
    assert (states(sweep_id).count("done"), len(devices.cancelled)) == (1, 1)
    assert devices.cancelled == devices.begun[1:]


def test_without_a_device_for_long_the_sweep_stops_and_says_for_which():
    sweep_id = store.add(a_sweep())
    assert drive(sweep_id, Written({"L4": 2}), patience_seconds=60) == "stopped"
    assert store.find(sweep_id).message == "No device took a point for 60 s; waited for: H100. Resume it then."
    assert sorted(states(sweep_id)) == ["done"] * 4 + ["waiting"] * 4


def test_progress_is_kept_and_words_of_an_unknown_point_are_not():
    sweep_id, point = store.add(a_sweep()), a_sweep().points()[0]
    words = Drive(sweep_id=sweep_id, sources=())
    words._running[point.id] = (point, Written({}))
    words._take(Told(point_id=point.id, kind=PROGRESS, message="host_kernel at G = 1 (3 of 9)"))
    words._take(Told(point_id="another", kind=RECORD))
    assert store.points(sweep_id)[0].doing == "host_kernel at G = 1 (3 of 9)"
    assert not words._attempts


def test_time_left_is_the_slowest_kind_of_device():
    sweep_id = store.add(a_sweep())
    assert queue.standing(store.points(sweep_id)).seconds_left is None
    points = [p.point for p in store.points(sweep_id)]  # H100 and L4 in turn, four each
    store.finish(sweep_id, points[0].id, record_of(points[0]), {}, 3.0)
    assert queue.standing(store.points(sweep_id)).seconds_left is None  # of an L4 nothing is known
    store.finish(sweep_id, points[1].id, record_of(points[1]), {}, 10.0)
    store.started(sweep_id, points[3].id)
    store.started(sweep_id, points[5].id)
    found = queue.standing(store.points(sweep_id))
    # H100: 3 left x 3 s; L4: 3 left x 10 s over 2 at once
    assert (found.done, found.running, found.total, found.seconds_left) == (2, 2, 8, 15.0)


def test_one_driver_at_a_time():
    with (
        store.driving("a-sweep-of-this-test"),
        pytest.raises(store.AlreadyDriven, match=r"driven already by process \d+"),
        store.driving("a-sweep-of-this-test"),
    ):
        pass


def test_a_sweep_is_listed_found_and_deleted():
    sweep_id = store.add(a_sweep())
    assert [(line.sweep_id, line.status, line.sweep) for line in store.sweeps()] == [(sweep_id, "under way", a_sweep())]
    assert store.delete(sweep_id)
    assert not store.delete(sweep_id)
    with pytest.raises(store.NoSuchSweep, match=f"no sweep '{sweep_id}'"):
        store.find(sweep_id)


def test_a_file_of_kept_runs_without_sweeps_gets_them(tmp_path: Path):
    with sqlite3.connect(tmp_path / database.NAME) as connection:
        connection.execute(database.MIGRATIONS[0])
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert store.sweeps() == []
