"""The Measure page with a cluster named: its devices offered, a sweep followed and compared; without one, as before."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.cluster import follow, store
from core.cluster.points import Sweep
from tests.core.cluster.devices import record_of

PAGE = "tools/decode/benchmark.py"
Opener = Callable[..., AppTest]
KINDS = {"H100": "H100: 16 devices on a, b"}


@pytest.fixture(autouse=True)
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("pages.tools.decode.panel.available_bytes", lambda: 12 * 10**9)


@pytest.fixture
def a_cluster(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cluster that reports H100s, and the sweeps that were to be driven."""
    driven: list[str] = []
    monkeypatch.setattr(follow, "offered", lambda: True)
    monkeypatch.setattr("pages.tools.decode.cluster.report", lambda: KINDS)
    monkeypatch.setattr(follow, "go_on", lambda sweep_id, *, failed_too=False: driven.append(sweep_id))
    return driven


def said(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption])


def test_without_an_address_nothing_of_a_cluster_is_drawn(open_page: Opener, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert not follow.offered()
    app = open_page(PAGE)
    assert "Several devices side by side" not in [element.value for element in app.subheader]


def test_this_host_and_the_reported_kinds_are_offered_and_a_sweep_begins(open_page: Opener, a_cluster: list[str]):
    app = open_page(PAGE)
    assert "This host, and what the cluster reports: H100: 16 devices on a, b." in said(app)
    app.text_input(key="bench_sweep_contexts").set_value("4096, 16384").run()
    app.button(key="bench_sweep_start").click().run()
    assert not app.exception
    # three G at two contexts on two kinds of device
    assert [p.state for p in store.points(store.sweeps()[0].sweep_id)] == ["waiting"] * 12
    assert set(a_cluster) == {store.sweeps()[0].sweep_id}


def test_a_link_says_the_sweep_and_a_full_measurement_can_be_asked_for(open_page: Opener, a_cluster: list[str]):
    app = open_page(
        PAGE, bench_sweep_devices="H100", bench_sweep_contexts="512,1024", bench_sweep_batches="2,4",
        bench_sweep_dtypes="float16", bench_sweep_size="Full: every kernel", bench_kv_heads="8",
    )  # fmt: skip
    app.button(key="bench_sweep_start").click().run()
    [line] = store.sweeps()
    sweep = line.sweep
    assert (sweep.devices, sweep.contexts, sweep.batches) == (("H100",), (512, 1024), (2, 4))
    assert (sweep.dtypes, sweep.kv_heads, sweep.quick) == (("float16",), (8,), False)


def test_contexts_and_batches_left_empty_are_the_jobs_own(open_page: Opener, a_cluster: list[str]):
    app = open_page(PAGE, bench_sweep_devices="H100", bench_context="2048", bench_batch="3", bench_kv_heads="8")
    app.button(key="bench_sweep_start").click().run()
    [line] = store.sweeps()
    assert (line.sweep.contexts, line.sweep.batches, line.sweep.quick) == ((2048,), (3,), True)


def test_contexts_that_are_no_numbers_are_said_and_stay(open_page: Opener, a_cluster: list[str]):
    app = open_page(PAGE)
    app.text_input(key="bench_sweep_contexts").set_value("4k").run()
    assert "contexts is '4k': give whole numbers separated by commas" in app.error[0].value
    assert app.text_input(key="bench_sweep_contexts").value == "4k"


def test_devices_are_compared_and_the_cheapest_is_named_once_prices_are(open_page: Opener, a_cluster: list[str]):
    sweep = Sweep(
        num_query_heads=8, head_dim=64, kv_heads=(8, 1), contexts=(1024,), batches=(2,), devices=("host", "H100")
    )  # fmt: skip
    sweep_id = store.add(sweep)
    for point in sweep.points():
        milliseconds = {"host": 20.0, "H100": 4.0}[point.device]
        store.finish(sweep_id, point.id, record_of(point, milliseconds), {"host": "n1"}, 2.0)
    store.end(sweep_id, store.COMPLETE)
    app = open_page(PAGE)
    assert "no price is assumed" in said(app)
    assert [chart.proto.alt for chart in app.get("vega_lite_chart")] == [
        f"Milliseconds of one layer's decode attention on {device}, 2 × 1,024 tokens in bfloat16: "
        f"G = 8, {time}; G = 1, {time}"
        for device, time in (("host", "20.000"), ("H100", "4.000"))
    ]
    app.number_input(key="bench_price_host").set_value(0.36)
    app.number_input(key="bench_price_H100").set_value(3.6).run()
    assert not app.exception
    # 40 layers x 20 ms at 0.36 an hour and 2 tokens a step: 40; the H100's 160 ms at 3.60: 80; of equals the larger G
    assert "**Cheapest for 2 × 1,024 tokens in bfloat16: host at G = 8**, 40 a million tokens." in said(app)


def test_a_cluster_that_does_not_answer_is_said_and_this_host_stays(
    open_page: Opener, a_cluster: list[str], monkeypatch: pytest.MonkeyPatch
):
    def no_answer() -> dict[str, str]:
        raise follow.NoAnswer("No Ray cluster was reached at 'ray://nowhere:10001'")

    monkeypatch.setattr("pages.tools.decode.cluster.report", no_answer)
    app = open_page(PAGE)
    assert "No Ray cluster was reached" in app.warning[0].value
    assert app.multiselect(key="bench_sweep_devices").options == ["host"]


def test_a_sweep_that_was_cancelled_is_resumed_by_its_button(open_page: Opener, a_cluster: list[str]):
    sweep_id = store.add(
        Sweep(num_query_heads=8, head_dim=64, kv_heads=(8, 1), contexts=(1024,), batches=(2,), devices=("host",))
    )
    app = open_page(PAGE)
    app.button(key="bench_sweep_cancel").click().run()
    assert store.status(sweep_id) == store.CANCELLED
    app.run()
    driven_before = len(a_cluster)
    app.button(key="bench_sweep_resume").click().run()
    assert not app.exception
    assert a_cluster[driven_before:] == [sweep_id]
