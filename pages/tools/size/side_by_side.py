"""Side by side: up to four pinned jobs, the standing one while there is room, and what moved."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.errors import SizingError
from core.figures.comparison import plain
from core.models.hub.pulls import HubError
from core.models.spec import UnsupportedConfig
from core.reports.exports import Table
from core.serving.options import as_payload
from core.serving.scenarios import MOST_SCENARIOS, Scenario, ScenarioRow, measure_words, moved_words, scenario_rows
from core.units import GB
from pages.shell import cached, share, style
from pages.tools.size import pinned
from pages.tools.size.count import StillWaiting, wait_for
from pages.tools.size.model import ChosenModel

NAME = "Side by side"
STANDING = "the standing job"


@dataclass(frozen=True, kw_only=True)
class Read:
    """The texts that give a scenario, with their answers; and of the others why they do not."""

    shown: tuple[tuple[str, ScenarioRow], ...]
    refused: tuple[tuple[str, str], ...]
    waiting: StillWaiting | None = None


def show(model: ChosenModel) -> None:
    """The whole tab."""
    standing = pinned.written({str(key): value for key, value in st.session_state.items()}, model)
    texts = pinned.texts()
    _pin_button(standing, texts)
    _beyond(texts)
    kept = texts[:MOST_SCENARIOS]
    room = bool(kept) and standing not in kept and len(kept) < MOST_SCENARIOS
    found = read([*kept, standing] if room else kept)
    for text, why in found.refused:
        _refused(text, why)
    if found.shown:
        _cards(found, standing if room else None)
        _draw([row for _, row in found.shown], standing=room and found.shown[-1][0] == standing)
    if found.waiting is not None:
        st.info(str(found.waiting), icon=":material/hourglass_top:")
        wait_for(found.waiting)


def read(texts: list[str]) -> Read:
    """Every text's scenario; one that cannot be had leaves the others as they are."""
    scenarios: list[tuple[str, Scenario]] = []
    refused: list[tuple[str, str]] = []
    waiting = None
    for text in texts:
        try:
            found = pinned.scenario(text)
            scenario_rows([found])
            scenarios.append((text, found))
        except StillWaiting as wait:
            waiting = wait
        except (SizingError, UnsupportedConfig, HubError) as error:
            refused.append((text, str(error)))
    rows = scenario_rows([found for _, found in scenarios])
    shown = tuple((text, row) for (text, _), row in zip(scenarios, rows, strict=True))
    return Read(shown=shown, refused=tuple(refused), waiting=waiting)


def _pin_button(standing: str, texts: list[str]) -> None:
    if not texts:
        st.markdown(
            "**Pin the job above, change one thing, and see what moved.** Up to four jobs stand side by side, and the "
            "link to this view carries all of them."
        )
    why = "It is pinned: change an input above." if standing in texts else ""
    why = why or ("Four are pinned: remove one to pin another." if len(texts) >= MOST_SCENARIOS else "")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Pin this job", key="size_pin", icon=":material/push_pin:", disabled=bool(why),
            on_click=_pin, args=(standing,),
        )  # fmt: skip
        if why:
            st.caption(why)


def _pin(text: str) -> None:
    texts = pinned.texts()
    if text not in texts and len(texts) < MOST_SCENARIOS:
        pinned.keep([*texts, text])


def _remove(text: str) -> None:
    texts = pinned.texts()
    if text in texts:
        texts = [*texts]
        texts.remove(text)
        pinned.keep(texts)


def _beyond(texts: list[str]) -> None:
    if len(texts) > MOST_SCENARIOS:
        st.warning(f"The link holds {len(texts)} pinned jobs; the first {MOST_SCENARIOS} are shown. Remove one for the "
                   "next.")  # fmt: skip


def _refused(text: str, why: str) -> None:
    """A sentence, and what the link holds, so that nothing is lost."""
    place = pinned.texts().index(text) + 1 if text in pinned.texts() else 0
    with st.container(horizontal=True, vertical_alignment="center"):
        name = f"Pinned job {place}" if place else "The standing job"
        st.error(f"{name} cannot be shown: {plain(why.rstrip('.'))}. It stays in the link: {plain(text[:200])}")
        if place:
            st.button("Remove", key=f"size_unpin_bad_{place}", on_click=_remove, args=(text,))


def _cards(found: Read, standing: str | None) -> None:
    """Over the picture, one card a scenario: its name, verdict, and what can be done with it."""
    columns = st.columns(MOST_SCENARIOS)
    for place, (column, (text, row)) in enumerate(zip(columns, found.shown, strict=False), start=1):
        with column.container(border=True, height="stretch", gap="xsmall"):
            st.markdown(f"**{place}. {plain(row.name)}**")
            st.caption(plain(f"{row.verdict[:1].upper()}{row.verdict[1:]}."))
            for remark in row.plan.job.model.remarks:
                st.caption(plain(remark))
            if row.option.engine_refusal:
                st.caption(plain(as_payload(row.option.engine_refusal)))
            if text == standing:
                st.caption("The job above, not pinned yet.")
                continue
            with st.container(horizontal=True):
                st.button("Open", key=f"size_open_{place}", on_click=pinned.stand, args=(text,),
                          help="Makes it the job above.")  # fmt: skip
                st.button("Remove", key=f"size_unpin_{place}", on_click=_remove, args=(text,))


def _draw(rows: list[ScenarioRow], *, standing: bool) -> None:
    from core.figures.scenarios import (  # noqa: PLC0415  altair loads with the first picture, not the page
        scenarios_alt_text,
        scenarios_chart,
        scenarios_sentence,
    )

    spec = cached.chart_spec(
        f"scenarios {[(row.name, row.plan.job) for row in rows]!r}",
        st.context.theme.type or "light",
        lambda palette: scenarios_chart(rows, palette),
    )
    style.draw_spec(spec, sentence=scenarios_sentence(rows), alt_text=scenarios_alt_text(rows), key="size_beside")
    shown = shown_rows(rows)
    st.table([{plain(head): plain(cell) for head, cell in line.items()} for line in shown])
    share.save_csv(csv_rows(rows), key="size_beside_csv", file_name="headroom-side-by-side.csv", shown=shown)


def shown_rows(rows: list[ScenarioRow]) -> list[dict[str, str]]:
    """A line a figure, a column a scenario; below each figure but the first's what moved."""
    heads = [f"{place}. {row.name}" for place, row in enumerate(rows, start=1)]
    lines = [{"Figure": "Verdict"} | {head: row.verdict for head, row in zip(heads, rows, strict=True)}]
    for number, measure in enumerate(rows[0].measures):
        cells = [_cell(row, number) for row in rows]
        lines.append({"Figure": measure.label} | dict(zip(heads, cells, strict=True)))
    return lines


def _cell(row: ScenarioRow, number: int) -> str:
    measure = row.measures[number]
    moved = moved_words(measure)
    return f"{measure_words(measure)} ({moved})" if moved else measure_words(measure)


def csv_rows(rows: list[ScenarioRow]) -> list[dict[str, Any]]:
    """A line a scenario for a spreadsheet: each figure with its unit in the head, its difference and its ratio.

    Where a model's file leaves its shape to its class or states the cache's width, that stands in a column of its own.
    """
    lines = []
    remarked = any(row.plan.job.model.remarks for row in rows)
    for row in rows:
        line: dict[str, Any] = {"Scenario": row.name, "Fits": "yes" if row.plan.fits else "no",
                                "Headroom, GB": row.plan.headroom_bytes / GB}  # fmt: skip
        for measure in row.measures:
            line[f"{measure.label}, {measure.unit}"] = measure.value
            line[f"{measure.label}, difference from the first, {measure.unit}"] = measure.difference
            line[f"{measure.label}, ratio to the first"] = measure.ratio
        lines.append(line | ({"Remarks": " ".join(row.plan.job.model.remarks)} if remarked else {}))
    return lines


def pinned_table() -> Callable[[], Table | None]:
    """record_table of what is pinned now, worked out when a file asks for it."""
    texts = pinned.texts()
    return lambda: record_table(texts)


def record_table(texts: list[str] | None = None) -> Table | None:
    """What the decision record lists: the pinned jobs that can be read; None without any."""
    rows = [row for _, row in read((pinned.texts() if texts is None else texts)[:MOST_SCENARIOS]).shown]
    if not rows:
        return None
    shown = shown_rows(rows)
    return tuple(shown[0]), tuple(tuple(line.values()) for line in shown)
