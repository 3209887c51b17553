"""The decision record and the benchmark plan, as files."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import streamlit as st

from core.figures.house import dress
from core.figures.palette import LIGHT
from core.figures.sizing import options_alt_text
from core.reports.benchmark_plan import benchmark_plan
from core.reports.decision_record import Decision, document_html, document_markdown, record_document
from core.reports.exports import Picture
from core.serving.options import Option, OptionGrid, at_width
from core.serving.roofline import decode_bound
from core.serving.ways_to_fit import ways_to_fit
from pages.shell import share
from pages.tools.size import side_by_side
from pages.tools.size.inputs import Asked
from pages.tools.size.traffic import fitted_traffic
from pages.tools.size.verdict import choice_evidence, options_spec


def record_inputs() -> None:
    """What goes into the record beside the job; in the URL whatever tab is open."""
    st.toggle("Include the traffic of the Traffic tab", key="size_record_traffic", bind="query-params")


def show_record(asked: Asked, grid: OptionGrid, option: Option, wished: int | None) -> None:
    """Three downloads, and the record to read. Raises SizingError or TrafficError where an input cannot be."""
    st.markdown(
        "**The decision record** holds the job, every option, the chosen G and why, the evidence with its sources, the "
        "ways that were not taken, and the link to this view. **The benchmark plan** says what to measure to confirm "
        "it."
    )
    link, written = share.signed_link(), datetime.now(UTC).date().isoformat()
    made = decision(asked, grid, option, wished, link, written, price=st.session_state["size_price"])
    picture = Picture(
        sentence="", alt_text=options_alt_text(grid), spec=dress(options_spec(grid, option, "light"), LIGHT)
    )
    used = fitted_traffic(option) if st.session_state["size_record_traffic"] else None
    document = record_document(replace(made, traffic=used, picture=picture, pinned=side_by_side.record_table()))
    stem = f"g-{option.num_kv_heads}" if option.num_kv_heads is not None else "as-published"
    with st.container(horizontal=True):
        _file(
            "Decision record, Markdown", f"decision-{stem}.md", "text/markdown",
            lambda: document_markdown(document).encode(),
        )  # fmt: skip
        _file(
            "Decision record, one HTML file", f"decision-{stem}.html", "text/html",
            lambda: document_html(document, LIGHT).encode(),
        )  # fmt: skip
        _file(
            "Benchmark plan, Markdown", f"benchmark-plan-{stem}.md", "text/markdown",
            lambda: benchmark_plan(
                model_name=asked.model.name, grid=grid, option=option, link=link, written=written
            ).encode(),
        )  # fmt: skip
    reading = st.expander("Read the record here", icon=":material/article:", key="size_read", on_change="rerun")
    if reading.open:
        reading.container(height=600, border=False).markdown(document_markdown(document))


def decision(
    asked: Asked, grid: OptionGrid, option: Option, wished: int | None, link: str, written: str, *, price: float
) -> Decision:
    """What the record says but for traffic and picture; needs nothing of the page that draws it."""
    job = at_width(asked.job.where(num_kv_heads=wished), asked.job.kv_bits, asked.scale_overhead_bits)
    return Decision(
        model_name=asked.model.name,
        grid=grid,
        option=option,
        evidence=None if option.num_kv_heads is None else choice_evidence(grid, option),
        bound=decode_bound(option.plan.job),
        wished=wished,
        ways=ways_to_fit(job, scale_overhead_bits=asked.scale_overhead_bits),
        link=link,
        written=written,
        price_per_gpu_hour=price,
    )


def _file(label: str, name: str, mime: str, make: Callable[[], bytes]) -> None:
    st.download_button(label, data=make, file_name=name, mime=mime, on_click="ignore", icon=":material/download:")
