"""Runs are kept whole, listed, compared, deleted, carried as JSON and CSV; a bad file or folder says what is wrong."""

import json
from dataclasses import replace

import pytest

from core.decode import store
from core.decode.plan import ERROR_LIMITS
from core.decode.record_files import InvalidRecord, from_csv, from_json, to_csv, to_json
from core.decode.records import RunRecord, summary, to_dict
from tests.core.decode.records import CHECK, STEPS, result, run_record


@pytest.fixture(autouse=True)
def data_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_a_run_comes_back_whole_from_the_store_and_from_both_files():
    record = run_record()
    for whole in (record, replace(record, steps=STEPS, model_check=CHECK)):
        store.save(whole)
        assert store.load(record.run_id) == whole
        assert from_json(to_json(whole)) == whole
        assert from_csv(to_csv(whole)) == whole


@pytest.mark.parametrize("detail", ["'=1' is no option", "''", "1,234", "−1", "=2", "-5", "'-5"])
def test_a_kernel_s_words_come_back_from_csv_as_they_were(detail):
    """Also where a spreadsheet would take them for a formula, for marked text or for a number."""
    record = run_record()
    whole = replace(record, results=(replace(record.results[0], detail=detail), *record.results[1:]))
    assert from_csv(to_csv(whole)) == whole


def test_a_run_that_measured_nothing_comes_back_from_csv():
    nothing = replace(run_record(), status="stopped", message="The time limit of 0.01 s was reached.", results=())
    assert from_csv(to_csv(nothing)) == nothing


def test_a_step_is_its_layers_and_its_ends():
    whole = STEPS[0]
    assert whole.step_seconds == pytest.approx(0.125)  # 10 x 12 ms + 5 ms
    assert whole.spread_seconds == pytest.approx((0.113, 0.137))  # 10 x 10.8 + 5 and 10 x 13.2 + 5
    assert whole.roofline_fraction == pytest.approx(0.48)  # 60 of 125
    assert replace(whole, roofline_seconds=0.0).roofline_fraction is None
    assert replace(whole, layer_samples=()).spread_seconds is None


def test_the_difference_to_transformers_is_stated_with_and_without_its_cache_copy():
    assert CHECK.difference == pytest.approx(-0.1)  # 45 against 50
    assert CHECK.unexplained == pytest.approx(-0.02)  # 45 + 4 against 50


@pytest.mark.parametrize(
    ("bounds", "named"),
    [
        ((3, 1, 1), "memory"),
        ((3, 1.1, 1), "memory and arithmetic"),
        ((1, 2, 1), "memory and arithmetic"),
        ((0.5, 2, 1), "arithmetic"),
        ((1, 2, 3), "exponentials"),
    ],
)
def test_what_rules_a_step_is_named(bounds, named):
    memory, matmul, exponential = bounds
    found = result(8, "a", 9.0, memory_seconds=memory, matmul_seconds=matmul, exponential_seconds=exponential)
    assert found.bound_by == named


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer_samples": [0.1, -1]}, "steps.samples is -1"),
        ({"layer_samples": "none"}, "layer_samples is str: expected a list"),
        ({"read_bytes": -5}, "steps.read_bytes is -5"),
        ({"products": 5}, "steps.products is not text"),
        ({"surprise": 1}, "a field is unknown or missing"),
    ],
)
def test_a_step_that_is_none_of_ours_is_refused_by_field(change, message):
    raw = to_dict(replace(run_record(), steps=STEPS))
    raw["steps"] = [raw["steps"][0] | change]
    with pytest.raises(InvalidRecord) as refused:
        from_json(json.dumps(raw))
    assert message in str(refused.value)


def test_a_comparison_that_is_none_of_ours_is_refused_by_field():
    raw = to_dict(replace(run_record(), model_check=CHECK))
    raw["model_check"] |= {"transformers_samples": [0]}
    with pytest.raises(InvalidRecord, match=r"model_check.seconds is 0: expected a positive number"):
        from_json(json.dumps(raw))


def test_history_lists_the_newest_first_and_forgets_what_is_deleted():
    store.save(run_record("a", date="2026-11-20T08:00:00+00:00"))
    store.save(run_record("b", date="2026-11-22T08:00:00+00:00", status="stopped"))
    assert [(line.run_id, line.status) for line in store.history()] == [("b", "stopped"), ("a", "complete")]
    assert store.delete("a")
    assert not store.delete("a")
    assert store.load("a") is None
    assert [line.run_id for line in store.history()] == ["b"]


def test_history_lists_more_than_a_year_of_runs_and_no_more_than_asked_for():
    with store.opened() as db:
        rows = [(f"{number:04}", f"2026-{number:04}", "cpu", "C", "complete", "{}") for number in range(2_001)]
        db.executemany(
            "INSERT INTO runs (run_id, date, device, device_name, status, record) VALUES (?, ?, ?, ?, ?, ?)", rows
        )
    assert [line.run_id for line in store.history()] == [f"{number:04}" for number in range(2_000, 0, -1)]
    assert [line.run_id for line in store.history(limit=1)] == ["2000"]


def test_a_run_from_elsewhere_never_replaces_one_that_is_kept():
    mine, other = run_record("a"), run_record("a", device_name="Another CPU")
    assert store.add(mine)
    assert not store.add(other)
    assert store.load("a") == mine


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
    assert (line["roofline_ms"], line["exponential_ms"]) == (pytest.approx(0.25), pytest.approx(0.2))


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


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '{"schema": 1}', "9" * 5_000])
def test_hostile_json_is_refused(text):
    with pytest.raises(InvalidRecord):
        from_json(text)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_what_is_no_finite_number_is_refused_wherever_it_stands(number):
    """It was taken, and the export of that run then failed."""
    written = json.dumps(to_dict(run_record())).replace('"machine": {', f'"machine": {{"load": {number}, ', 1)
    assert number in written
    with pytest.raises(InvalidRecord, match=r"run\.machine\.load is -?(nan|inf): a run holds finite numbers alone"):
        from_json(written.replace(", }", "}"))


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "run\n{}\n", "run\n[]\n", "run\n" + "[" * 100_000])
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


def of_shape(dtype: str) -> list[RunRecord]:
    """Recorded CPU runs of the shape that the bar is set on: H = 40, head_dim 128, 16,384 tokens, one sequence."""
    wanted = {"num_query_heads": 40, "head_dim": 128, "context_length": 16384, "batch_size": 1, "dtype": dtype}
    return [run for run in store.recorded_runs() if wanted.items() <= run.job.items() and run.device == "cpu"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_recorded_runs_hold_the_bar(dtype):
    runs = of_shape(dtype)
    assert runs
    for run in runs:
        best = run.best()
        assert best[40].roofline_fraction >= 0.5
        assert best[8].roofline_fraction >= 0.5
        assert best[1].roofline_fraction >= 0.35
        seconds = [best[g].median_seconds for g in sorted(best)]
        assert seconds == sorted(seconds)  # fewer KV heads never take longer
        by_memory = [r.roofline_fraction for r in best.values() if r.bound_by == "memory"]
        assert best[40].bound_by == "memory"
        assert all(0.75 <= fraction <= 1.25 for fraction in by_memory)  # there the prediction is within a quarter
        assert all(r.relative_error < ERROR_LIMITS[dtype] for r in best.values())


def test_one_kv_head_is_at_least_thirty_times_plain_sdpa_in_the_recorded_run():
    run = next(r for r in of_shape("bfloat16") if any(k.kernel == "sdpa_enable_gqa" for k in r.results))
    plain = next(k for k in run.results if (k.kv_heads, k.kernel) == (1, "sdpa_enable_gqa"))
    assert plain.median_seconds / run.best()[1].median_seconds >= 30


def test_a_recorded_step_falls_with_g_and_its_sum_is_near_transformers():
    run = next(r for r in store.recorded_runs() if r.steps)
    by_g = {s.kv_heads: s.step_seconds for s in run.steps}
    assert by_g[40] > by_g[8] > by_g[1]
    assert all(s.roofline_fraction for s in run.steps)
    assert abs(run.model_check.unexplained) < 0.1


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({}, "job.num_query_heads is None: expected a positive number"),
        ({"num_query_heads": 8, "context_length": 1, "batch_size": 1, "kv_heads": [0], "dtype": "float32"},
         "job.kv_heads is 0: expected a positive number"),
        ({"num_query_heads": 8, "context_length": 1, "batch_size": 0.5, "kv_heads": [8], "dtype": "float32"},
         "job.batch_size is 0.5: expected a whole number from 1 to 65,536"),
        ({"num_query_heads": 8, "context_length": 1, "batch_size": 1, "kv_heads": [8], "lengths": "x"},
         "job.lengths is str: expected a list"),
        ({"num_query_heads": 8, "context_length": 1, "batch_size": 1, "kv_heads": [8]}, "job.dtype is not text"),
    ],
)  # fmt: skip
def test_a_run_whose_job_no_page_could_show_is_refused(job, message):
    with pytest.raises(InvalidRecord, match=message):
        from_json(json.dumps(to_dict(run_record()) | {"job": job}))


@pytest.mark.parametrize("changes", [{"samples": []}, {"status": "refused"}])
def test_a_best_result_that_was_not_accepted_and_timed_is_refused(changes):
    written = to_dict(run_record())
    best = next(row for row in written["results"] if row["best"])
    best |= {"round_samples": [], **changes}
    with pytest.raises(InvalidRecord, match="a result is best without being accepted and timed"):
        from_json(json.dumps(written))


def test_what_gave_a_rate_is_text():
    written = to_dict(run_record())
    written["roofline"]["detail"] = None
    with pytest.raises(InvalidRecord, match=r"roofline.detail is not text"):
        from_json(json.dumps(written))


def test_an_accepted_result_that_read_nothing_is_refused():
    written = to_dict(run_record())
    accepted = next(row for row in written["results"] if row["status"] == "accepted")
    accepted["kv_bytes"] = 0
    with pytest.raises(InvalidRecord, match="kv_bytes of an accepted result is 0: expected a positive number"):
        from_json(json.dumps(written))
