"""Sweeps over this host and the cluster of RAY_ADDRESS: chosen, followed and compared; without an address not drawn."""

from collections.abc import Sequence

import streamlit as st

from core.cluster import follow, store
from core.cluster.compare import Compared, cheapest, compared
from core.cluster.points import HOST, Sweep
from core.cluster.queue import Standing, standing
from core.decode.plan import ELEMENT_BYTES, DecodeJob, InvalidJob
from core.decode.records import KernelResult, share_in_words
from core.decode.store import StoreUnavailable
from core.figures.comparison import plain
from core.units import number_of
from pages.shell import share
from pages.shell.style import current_palette, draw

LOOK_SECONDS = 2.0
QUICK, FULL = "Quick: fewer samples", "Full: every kernel"
report = st.cache_data(ttl=60, show_spinner="Asking the cluster what it has", max_entries=1)(follow.report)


def sweep_panel(job: DecodeJob, num_layers: int) -> None:
    """What the cluster has, a sweep's inputs and button, and the newest sweep as it goes."""
    st.subheader("Several devices side by side")
    try:
        found = report()
    except follow.NoAnswer as error:
        st.warning(str(error))
        found = {}
    st.caption(
        "This host, and what the cluster reports: " + ("; ".join(found.values()) or "nothing to measure on") + "."
    )
    try:
        follow.go_on_with_what_was_left()
        _ask(job, [HOST, *found])
        lines, unread = store.sweeps(20), store.unread(20)
    except (StoreUnavailable, InvalidJob) as error:
        st.error(str(error))
        return
    for sweep_id, why in unread.items():
        st.caption(f"The sweep {sweep_id} is not listed: {plain(why)}")
    if lines:
        names = {line.sweep_id: f"{line.date[:16].replace('T', ' ')} UTC · {line.status}" for line in lines}
        chosen = st.selectbox("Sweep", list(names), format_func=lambda i: names[i], key="bench_sweep")
        goes_on = _goes_on(next(line for line in lines if line.sweep_id == chosen))
        st.fragment(_follow, run_every=LOOK_SECONDS if goes_on else None)(chosen, num_layers, goes_on)


def _ask(job: DecodeJob, devices: list[str]) -> None:
    """The inputs of a sweep, each in the page's link; contexts and batches left empty are the job's own."""
    columns = st.columns([3, 3, 2, 3])
    chosen = columns[0].multiselect("Devices", devices, default=devices, key="bench_sweep_devices",
                                    bind="query-params", select_all=False)  # fmt: skip
    contexts = columns[1].text_input(
        "Contexts, tokens",
        placeholder=str(job.context_length),
        key="bench_sweep_contexts",
        bind="query-params",
        max_chars=1_000,
    )
    batches = columns[2].text_input(
        "Batches",
        placeholder=str(job.batch_size),
        key="bench_sweep_batches",
        bind="query-params",
        max_chars=1_000,
    )
    dtypes = columns[3].multiselect(
        "Caches",
        list(ELEMENT_BYTES),
        default=[job.dtype],
        key="bench_sweep_dtypes",
        bind="query-params",
        select_all=False,
    )
    size = st.segmented_control(
        "Each point", (QUICK, FULL), default=QUICK, key="bench_sweep_size", bind="query-params", required=True
    )
    try:
        sweep = Sweep(
            num_query_heads=job.num_query_heads, head_dim=job.head_dim, kv_heads=job.kv_heads,
            contexts=_integers("contexts", contexts) or (job.context_length,),
            batches=_integers("batches", batches) or (job.batch_size,), dtypes=tuple(dtypes), devices=tuple(chosen),
            step=job.step, quick=size == QUICK, seconds_limit=job.seconds_limit, host_device=job.device,
        )  # fmt: skip
    except InvalidJob as error:
        st.error(str(error))
        return
    if job.lengths:
        st.caption("The sequences of a sweep are all as long as its contexts say, not drawn from traffic.")
    if st.button(f"Measure {number_of(sweep.num_points, 'point')}", icon=":material/lan:", key="bench_sweep_start"):
        st.session_state["bench_sweep"] = follow.start(sweep)
        st.rerun()


def _integers(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part.replace("_", "")) for part in text.split(",") if part.strip())
    except ValueError as e:
        raise InvalidJob(f"{name} is {text!r}: give whole numbers separated by commas, such as 4096,16384.") from e


def _goes_on(line: store.SweepLine) -> bool:
    """Whether there is more to come: its driver takes a moment to begin, and to end."""
    return line.status == store.UNDER_WAY or follow.is_driven(line.sweep_id)


def _follow(sweep_id: str, num_layers: int, goes_on: bool) -> None:
    """The sweep as it stands, looked at again while it goes on."""
    try:
        line, points = store.find(sweep_id), store.points(sweep_id)
    except (store.NoSuchSweep, StoreUnavailable, InvalidJob) as error:
        st.warning(str(error))
        return
    if goes_on != _goes_on(line):
        st.rerun()  # its name says so too
    now = standing(points)
    st.progress((now.done + now.failed) / now.total, text=in_words(now, line.status))
    if line.message:
        st.caption(line.message)
    for p in points:
        if p.state == store.RUNNING:
            st.caption(f"{p.point.device}, G = {p.point.job.kv_heads[0]}: {p.doing or 'waiting for its device'}")
        elif p.state == store.FAILED:
            st.warning(f"{p.point.device}, G = {p.point.job.kv_heads[0]}: {p.message}")
    if line.status == store.UNDER_WAY:
        if st.button("Cancel the sweep", icon=":material/cancel:", key="bench_sweep_cancel"):
            follow.cancel(sweep_id)
    elif now.done < now.total and st.button("Resume the sweep", icon=":material/play_arrow:", key="bench_sweep_resume"):
        follow.go_on(sweep_id, failed_too=True)
        st.rerun()
    _compare(line.sweep, points, num_layers)


def in_words(now: Standing, status: str) -> str:
    """'12 of 40 points, 2 under way, about 90 s left'."""
    left = "" if now.seconds_left is None or status != store.UNDER_WAY else f", about {now.seconds_left:,.0f} s left"
    failed = f", {now.failed:,} without a result" if now.failed else ""
    return f"{now.done:,} of {now.total:,} points, {now.running:,} under way{failed}{left}"


def _compare(sweep: Sweep, points: Sequence[store.KeptPoint], num_layers: int) -> None:
    """Prices, the table of what is done, the cheapest of each job, and a chart for each device."""
    columns = st.columns(len(sweep.devices))
    asked = {
        device: column.number_input(f"{device}, price an hour", 0.0, key=f"bench_price_{device}", bind="query-params")
        for device, column in zip(sweep.devices, columns, strict=True)
    }
    rows = compared(points, prices={d: price for d, price in asked.items() if price}, num_layers=num_layers)
    if not rows:
        return
    for best in cheapest(rows):
        st.markdown(f"**Cheapest for {_shape(best)}: {best.device} at G = {best.kv_heads}**, {_cost(best)}.")
    if not any(asked.values()):
        st.caption("Give what an hour of each device costs, and the cheapest is named; no price is assumed.")
    shown = [_row(row) for row in rows]
    st.dataframe(shown, hide_index=True, key="bench_sweep_rows")
    numbers = list(map(_numbers, rows))
    share.save_csv(numbers, key="bench_sweep_csv", file_name="headroom-sweep.csv", shown=shown)
    job = rows[-1].job  # the largest that is done
    for device in sweep.devices:  # below each other: what a bar says of itself takes the page's width
        if mine := _best_of(points, device, job):
            _chart(mine, sweep.num_query_heads, device, _shape(rows[-1]))


def _best_of(points: Sequence[store.KeptPoint], device: str, job: tuple[int, int, str]) -> tuple[KernelResult, ...]:
    """The fastest kernel of each G that a device measured for a job, most KV heads first."""
    of_job = [
        p.record
        for p in points
        if p.record is not None and p.point.device == device
        and (p.point.job.context_length, p.point.job.batch_size, p.point.job.dtype) == job
    ]  # fmt: skip
    best = [result for record in of_job for result in record.best().values()]
    return tuple(sorted(best, key=lambda result: -result.kv_heads))


def _chart(results: tuple[KernelResult, ...], num_query_heads: int, device: str, shape: str) -> None:
    from core.figures.decode import best_chart  # noqa: PLC0415  altair loads with the first picture, not the page

    draw(
        best_chart(results, num_query_heads, current_palette()),
        sentence=f"**{device}**, {shape}: bars are measured, the upright mark is what its roofline predicts.",
        alt_text=f"Milliseconds of one layer's decode attention on {device}, {shape}: "
        + "; ".join(f"G = {r.kv_heads}, {(r.median_seconds or 0) * 1e3:.3f}" for r in results),
        key=f"bench_sweep_chart_{device}",
    )  # fmt: skip


def _shape(row: Compared) -> str:
    return f"{row.batch_size:,} × {row.context_length:,} tokens in {row.dtype}"


def _cost(row: Compared) -> str:
    return row.why_no_cost if row.cost_per_million is None else f"{row.cost_per_million:,.4g} a million tokens"


def _row(row: Compared) -> dict[str, object]:
    share = row.bandwidth_fraction
    return {
        "Device": row.device, "Name": row.device_name, "Node": row.node, "G": row.kv_heads,
        "Job": _shape(row), "Step (ms)": f"{row.step_seconds * 1e3:,.3f}", "of": row.what,
        "Of the bandwidth": "fits the cache" if share is None else share_in_words(share), "Cost": _cost(row),
    }  # fmt: skip


def _numbers(row: Compared) -> dict[str, object]:
    """The same for a spreadsheet; cost is in the currency of the prices that were given."""
    return {
        "Device": row.device, "Name": row.device_name, "Node": row.node, "G": row.kv_heads,
        "Sequences": row.batch_size, "Context (tokens)": row.context_length, "Arithmetic": row.dtype,
        "Step (ms)": row.step_seconds * 1e3, "of": row.what,
        "Of the bandwidth (%)": None if row.bandwidth_fraction is None else 100 * row.bandwidth_fraction,
        "Limit failed": (row.bandwidth_fraction or 0) > 1,
        "Cost (of 10^6 tokens, in the prices' currency)": row.cost_per_million, "Why no cost": row.why_no_cost,
    }  # fmt: skip
