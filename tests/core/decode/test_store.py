"""Runs are kept whole, listed, compared, deleted, carried as JSON and CSV; a bad file or folder says what is wrong."""

import json
from dataclasses import replace

import pytest

from core.decode import store
from core.decode.record_files import InvalidRecord, from_csv, from_json, to_csv, to_json
from core.decode.records import summary, to_dict
from tests.core.decode.records import result, run_record


@pytest.fixture(autouse=True)
def data_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_a_run_comes_back_whole_from_the_store_and_from_both_files():
    record = run_record()
    store.save(record)
    assert store.load(record.run_id) == record
    assert from_json(to_json(record)) == record
    assert from_csv(to_csv(record)) == record


def test_history_lists_the_newest_first_and_forgets_what_is_deleted():
    store.save(run_record("a", date="2026-11-20T08:00:00+00:00"))
    store.save(run_record("b", date="2026-11-22T08:00:00+00:00", status="stopped"))
    assert [(line.run_id, line.status) for line in store.history()] == [("b", "stopped"), ("a", "complete")]
    assert store.delete("a")
    assert not store.delete("a")
    assert store.load("a") is None
    assert [line.run_id for line in store.history()] == ["b"]


def test_the_fastest_correct_kernel_is_the_best_of_its_g():
    best = run_record().best()
    assert {g: r.kernel for g, r in best.items()} == {8: "host_kernel", 1: "host_kernel"}
    assert best[8].median_seconds == pytest.approx(0.004)
    assert best[8].roofline_fraction == pytest.approx(0.5)  # 2 ms of 4
    assert best[8].spread_seconds == pytest.approx((0.0036, 0.0044))


def test_two_runs_are_compared_per_byte():
    first = run_record()
    second = run_record("b", results=(result(8, "flash_attn", 4.0, kv_bytes=128_000_000, best=True),))
    rows = store.compare(first, second)
    assert [(row.kv_heads, row.second.kernel) for row in rows] == [(8, "flash_attn")]
    assert rows[0].ratio == pytest.approx(0.5)  # twice the bytes in the same time


def test_the_summary_is_the_contract_of_the_terminal():
    said = summary(run_record())
    assert said["device"] == "cpu"
    assert said["roofline"] == {
        "bytes_per_second": 32e9, "flops_per_second": 4e11, "exponentials_per_second": 3e9,
    }  # fmt: skip
    line = next(r for r in said["results"] if r["kernel"] == "host_kernel" and r["kv_heads"] == 1)
    assert line["median_ms"] == pytest.approx(1.0)
    assert (line["kv_bytes"], line["relative_error"], line["best"]) == (8_000_000, 0.002, True)
    assert line["roofline_fraction"] == pytest.approx(0.25)
    assert (line["dtype"], line["kv_heads"]) == ("bfloat16", 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 9}, "schema is 9"),
        ({"run_id": "../../x"}, "run_id is '../../x'"),
        ({"scale": -1}, "scale is -1"),
        ({"scale": True}, "scale is True"),
        ({"results": [{}]}, "a field is unknown or missing"),
        ({"results": "none"}, "results is str: expected a list"),
        ({"host": []}, "host is list"),
        ({"device": 4}, "device is not text"),
        ({"surprise": 1}, "a field is unknown or missing"),
        (
            {"roofline": {"bytes_per_second": 0, "flops_per_second": 1, "exp_per_second": 1}},
            "roofline.bytes_per_second",
        ),
    ],
)
def test_a_file_that_is_no_run_of_ours_is_refused_by_field(change, message):
    with pytest.raises(InvalidRecord) as refused:
        from_json(json.dumps(to_dict(run_record()) | change))
    assert message in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '{"schema": 1}'])
def test_hostile_json_is_refused(text):
    with pytest.raises(InvalidRecord):
        from_json(text)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "run\n{}\n", "run\n[]\n"])
def test_hostile_csv_is_refused(text):
    with pytest.raises(InvalidRecord):
        from_csv(text)


def test_samples_must_be_times():
    record = run_record()
    broken = replace(record, results=(replace(record.results[0], samples=(0.1, float("inf"))),))
    with pytest.raises(InvalidRecord, match="samples is inf"):
        from_json(json.dumps(to_dict(broken)))


def test_a_data_directory_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    file = tmp_path / "a-file"
    file.write_text("")
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(file / "below"))
    with pytest.raises(store.StoreUnavailable, match="Set HEADROOM_DATA_DIR to a folder that can be written"):
        store.save(run_record())


def test_the_directory_is_the_users_own_where_none_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("HEADROOM_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert store.data_directory() == tmp_path / "headroom"


def test_every_recorded_run_reads_and_says_where_it_was_measured():
    runs = store.recorded_runs()
    assert runs
    for run in runs:
        assert run.status == "complete"
        assert run.roofline is not None
        assert run.device_name
        assert run.command.startswith("python -m core.decode run")
        assert all(r.samples for r in run.results if r.status == "accepted")
