"""Runs kept on this server and runs shipped with Headroom: looked at, compared, deleted, carried elsewhere."""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from core.decode import store
from core.decode.record_files import InvalidRecord, from_csv, from_json, to_csv, to_json
from core.decode.records import RunRecord
from core.figures.comparison import plain
from pages.shell import share
from pages.tools import linked
from pages.tools.decode.result import measured_in_words, show_result

NO_GPU_RUN = (
    "No GPU run is recorded yet: the figures here are a CPU's. On a machine with a GPU and torch, "
    "`python -m core.decode run --context 65536 --batch 32 --kv-heads 40,20,10,8,5,4,2,1 "
    "--step 40,5120,13824,32000 --time-limit 1800 --record` records one, and "
    "`python -m core.decode gpu-check --out DIR` proves every path of a GPU in eight minutes, of which none ran yet."
)


def show_recorded() -> None:
    """The runs that Headroom ships, and plainly which kind of device is missing."""
    st.caption("Runs that came with Headroom, each with the machine that it was measured on.")
    runs = sorted(
        store.recorded_runs(), key=lambda run: run.job["dtype"] != "bfloat16"
    )  # what serving computes in first
    if not any(run.device.startswith("cuda") for run in runs):
        st.info(NO_GPU_RUN)
    if not runs:
        return
    names = {run.run_id: _name(run) for run in runs}
    linked.look("bench_recorded", names)
    chosen = st.selectbox(
        "Recorded run", list(names), format_func=lambda i: names[i], key="bench_recorded", bind="query-params"
    )
    linked.say("bench_recorded", names[chosen])
    _show(next(run for run in runs if run.run_id == chosen), "bench_recorded")


def show_history() -> None:
    """Kept runs: one to look at, a second to compare with, export, deletion, import."""
    st.caption("Runs that this server measured, and those imported here from other machines.")
    _import()
    for file in store.set_aside_files():
        st.warning(
            f"The file of kept runs was damaged and is set aside as {file.name} in {file.parent}; runs kept before are "
            "in it, as far as it can be read. A new file was begun. This line goes when that file is removed.",
            icon=":material/heart_broken:",
        )
    try:
        lines = store.history()
    except store.StoreUnavailable as error:
        st.warning(str(error))
        return
    if not lines:
        st.info("No run is kept yet: measure one, or import one from another machine.")
        return
    names = {line.run_id: f"{line.date} · {line.device_name} · {line.status}" for line in lines}
    left, right = st.columns(2)
    linked.look("bench_run", names)
    first_id = left.selectbox("Run", list(names), format_func=lambda i: names[i], key="bench_run", bind="query-params")
    others = {run.run_id: f"recorded · {_name(run)}" for run in store.recorded_runs()} | names
    others = {run_id: name for run_id, name in others.items() if run_id != first_id}
    linked.look("bench_other", others)
    second_id = right.selectbox(
        "Compare with", list(others), index=None, format_func=lambda i: others[i], key="bench_other",
        bind="query-params",
    )  # fmt: skip
    linked.say("bench_run", names[first_id])
    linked.say("bench_other", "none")
    if len(lines) == store.MOST_LISTED:
        st.caption(f"The newest {store.MOST_LISTED:,} kept runs are listed; delete some to see older ones.")
    first, second = _load(first_id), _load(second_id)
    if first is None:
        _offer_to_delete(first_id, plain(names[first_id]))
        return
    if second is not None:
        _show_comparison(first, second)
    _show(first, "bench_kept")
    _carry(first)


def _name(run: RunRecord) -> str:
    shape = f"{run.job['dtype']}, {measured_in_words(run)}"
    kv_heads = ", ".join(map(str, run.job["kv_heads"]))
    step = " and the whole step" if run.steps else ""
    return f"{run.date[:10]} {run.date[11:16]} UTC · {run.device_name} · {shape} · G = {kv_heads}{step}"


def _load(run_id: str | None) -> RunRecord | None:
    if run_id is None:
        return None
    try:
        recorded = {run.run_id: run for run in store.recorded_runs()}
        return recorded.get(run_id) or store.load(run_id)
    except (store.StoreUnavailable, InvalidRecord) as error:
        st.error(str(error))
        return None


def _show(run: RunRecord, key: str) -> None:
    if run.status != "complete":
        st.warning(f"This run is {plain(run.status)}: {plain(run.message)}")
    elif run.message:
        st.caption(plain(run.message))
    layers = run.steps[0].num_layers if run.steps else 1
    show_result(run.results, int(run.job["num_query_heads"]), layers, int(run.job["batch_size"]), key=key, record=run)


def _show_comparison(first: RunRecord, second: RunRecord) -> None:
    rows = [
        {
            "G": row.kv_heads,
            "dtype": row.dtype,
            "First (ms)": f"{(row.first.median_seconds or 0) * 1e3:.3f}",
            "by": row.first.kernel,
            "Second (ms)": f"{(row.second.median_seconds or 0) * 1e3:.3f}",
            "by ": row.second.kernel,
            "Second over first, per KV byte": f"{row.ratio:.2f}",
        }
        for row in store.compare(first, second)
    ]
    if not rows:
        st.info("The two runs share no G and dtype.")
        return
    st.markdown("**Two runs, the fastest correct kernel of each.** Below 1 the second is faster, shapes evened out.")
    st.dataframe(rows, hide_index=True, key="bench_comparison")
    share.save_csv(rows, key="bench_comparison_csv", file_name="headroom-two-runs.csv")


def _export(kind: str, make: Callable[[], str], name: str, mime: str) -> None:
    """A button whose file is made when it is asked for: one made with the page is gone from the server at the next."""
    key = f"bench_{kind.lower()}"
    st.download_button(f"Export as {kind}", lambda: make().encode(), name, mime, key=key, on_click="ignore")


def _carry(run: RunRecord) -> None:
    with st.container(horizontal=True):
        _export("JSON", lambda: to_json(run), f"{run.run_id}.json", "application/json")
        _export("CSV", lambda: to_csv(run), f"{run.run_id}.csv", "text/csv")
        _offer_to_delete(run.run_id, _name(replace(run, device_name=plain(run.device_name))))


def _offer_to_delete(run_id: str, name: str) -> None:
    """Of a run that cannot be read too. name: Markdown."""
    if st.button("Delete this run", icon=":material/delete:", key="bench_delete"):
        _ask_to_delete(run_id, name)


@st.dialog("Delete this run?")
def _ask_to_delete(run_id: str, name: str) -> None:
    """Nothing is deleted before the second answer; closing the question keeps the run."""
    st.markdown(f"**{name}**, with all of its samples.")
    said = st.container()
    with st.container(horizontal=True):
        sure = st.button("Delete", type="primary", icon=":material/delete:", key="bench_delete_sure")
        keep = st.button("Keep", key="bench_delete_keep")
    if sure:
        try:
            store.delete(run_id)
        except store.StoreUnavailable as error:
            said.error(str(error))
            return
    if sure or keep:
        st.rerun()


def _import() -> None:
    """A run from another machine, as exported there."""
    upload = st.file_uploader("Import a run (JSON or CSV, as exported)", type=["json", "csv"], key="bench_import")
    if upload is None or st.session_state.get("_bench_imported") == upload.file_id:
        return
    try:
        text = upload.getvalue().decode("utf-8-sig")
        record = from_csv(text) if upload.name.lower().endswith(".csv") else from_json(text)
        added = store.add(record)
    except (InvalidRecord, UnicodeDecodeError, store.StoreUnavailable) as error:
        st.error(plain(f"{upload.name} was not imported: {error}"))
        return
    st.session_state["_bench_imported"] = upload.file_id  # nor again when the kept run is deleted
    if not added:
        st.warning(
            f"{record.run_id} is already kept, and stays as it is: to import it again, delete the kept run first, then "
            "choose the file anew."
        )
        return
    st.success(f"Imported {record.run_id}, measured on {plain(record.device_name)}.")
