"""What Share makes of this page: the whole answer, worked out when a file asks for it, and the verdict to copy."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import streamlit as st

from core.decode.records import RunRecord
from core.decode.store import StoreUnavailable
from core.errors import SizingError
from core.figures.palette import Palette
from core.models.attention import GroupedAttention
from core.reports.exports import Section
from core.reports.pictures import plain
from core.reports.size_report import SizeView, asked_section, choose_sections, serve_sections
from core.reports.tables import markdown_table
from core.serving.job import ServingJob
from core.serving.options import (
    Option,
    OptionGrid,
    as_payload,
    near_misses,
    option_sentence,
    refused_widths,
    verdict,
)
from core.serving.serve import Served, first_line, longest_sentence
from core.serving.traffic import Traffic, TrafficError
from core.serving.traffic_fit import fit_traffic
from pages.shell import cached, share
from pages.tools.size import asked as asked_inputs
from pages.tools.size import measure, record, side_by_side, traffic
from pages.tools.size.inputs import Asked
from pages.tools.size.verdict import boundary_sentence, options_picture


def remember_choice(asked: Asked, grid: OptionGrid, option: Option, wished: int | None) -> None:
    """Choose G."""
    view = SizeView(
        asked=asked_inputs.asked_table(serving=False),
        measured=_measured(grid.job),
        pinned=side_by_side.pinned_table(),
        said=tuple(
            filter(None, [boundary_sentence(option.plan), as_payload(option.engine_refusal), refused_widths(grid)])
        ),
        drawn=cached.drawn,
    )
    price, used = st.session_state["size_price"], _traffic(option)
    link, written = share.signed_link(), datetime.now(UTC).date().isoformat()

    def sections(colours: Palette) -> tuple[Section, ...]:
        made = record.decision(asked, grid, option, wished, link, written, price=price)
        fitted, refusal = None, ""
        try:
            fitted = None if used is None else (used, fit_traffic(option.plan.job, used))
        except TrafficError as error:  # of a batch that is not simulated: the rest of the answer stands
            refusal = str(error)
        picture = options_picture(grid, option, colours)
        return choose_sections(replace(made, picture=picture, traffic=fitted, traffic_refusal=refusal), view, colours)

    share.remember_report(sections, answer=f"{verdict(grid, wished or 8)} {option_sentence(option)}")


def remember_served(name: str, served: Served) -> None:
    """Serve a model."""
    view = SizeView(
        asked=asked_inputs.asked_table(serving=True),
        measured=_measured(served.job),
        pinned=side_by_side.pinned_table(),
        said=tuple(filter(None, [as_payload(served.engine_refusal)])),
        drawn=cached.drawn,
    )
    price = st.session_state["size_price"]
    share.remember_report(
        lambda colours: serve_sections(name, served, view, colours, price_per_gpu_hour=price),
        answer=first_line(name, served),
    )


def copy_choice(grid: OptionGrid, option: Option, wished: int | None) -> None:
    """The verdict and what was asked, for a design document."""
    stands = (option_sentence(option), as_payload(option.engine_refusal), near_misses(grid), refused_widths(grid))
    said = [verdict(grid, wished or 8), " ".join(filter(None, stands))]
    share.copy_markdown("size_verdict_markdown", lambda: _verdict(said, serving=False))


def copy_served(name: str, served: Served) -> None:
    """The answer and what was asked, for a design document."""
    said = [first_line(name, served), *filter(None, [as_payload(served.engine_refusal)]), longest_sentence(served)]
    share.copy_markdown("size_served_markdown", lambda: _verdict(said, serving=True))


def _verdict(said: list[str], *, serving: bool) -> str:
    """Made when the menu is open: the inputs are those that this answer was given for until the page runs again."""
    first, *rest = map(plain, said)
    section = asked_section(asked_inputs.asked_table(serving=serving))
    asked = [section.text, *([markdown_table(section.table)] if section.table else [])]
    return "\n\n".join([f"**{first}**", *rest, *asked, f"Headroom, {share.signed_link()}"]) + "\n"


def _traffic(option: Option) -> Traffic | None:
    """The traffic where it is asked for and can be."""
    if not asked_inputs.traffic_is_asked():
        return None
    try:
        return traffic.traffic_of_inputs(option.plan.job.context_length)
    except TrafficError:
        return None  # the Traffic tab says why


def _measured(job: ServingJob) -> Callable[[], RunRecord | None]:
    heads = {layer.num_query_heads for layer in job.model.layers if isinstance(layer, GroupedAttention)}

    def newest() -> RunRecord | None:
        try:
            return measure.latest_run(heads)
        except (StoreUnavailable, SizingError):
            return None  # the Speed tab says why

    return newest
