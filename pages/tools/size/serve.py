"""Serve a model: how many requests of a length, how long a context, how few accelerators, and what fills the memory."""

from typing import Any

import streamlit as st

from core.figures.serve_memory import memory_alt_text, memory_chart
from core.serving.budget import is_another_server_s
from core.serving.engine_why import why_sentence
from core.serving.engine_words import engine_sentence
from core.serving.inverse import Answer
from core.serving.options import Option, as_payload
from core.serving.serve import (
    OtherHeads,
    Served,
    device_words,
    fewest_sentence,
    first_line,
    longest_sentence,
    memory_parts,
    other_heads,
    other_heads_sentence,
    serve,
)
from core.serving.speed_words import first_token_lines
from core.serving.what_if import own_kv_heads
from core.units import format_both
from pages.shell import below, cached, share, style, unsent
from pages.tools.size import (
    cache_width,
    engine,
    inputs,
    plan,
    report,
    server_log,
    side_by_side,
    speed,
    speed_aids,
    split,
)
from pages.tools.size.model import say_caution

TABS = ["The plan", "Engine", "Server log", "Speed and cost", side_by_side.NAME]


def show(asked: inputs.Asked, answer: st.delta_generator.DeltaGenerator) -> None:
    """The whole page under the inputs. Raises SizingError as core.serving.serve does."""
    served = serve(asked.job)
    with answer:
        say_caution(asked.model.spec)
        cache_width.say_width(asked.model.spec, asked.job.kv_bits)
        show_answer(asked.model.name, served)
    report.remember_served(asked.model.name, served)
    with below.sent_when_near("size", ["Behind the answer"], unless=["size_serve_tab"]):
        show_behind(asked, served)


def show_behind(asked: inputs.Asked, served: Served) -> None:
    """The tabs under the answer."""
    option = Option(
        num_kv_heads=None,
        kv_bits=served.job.kv_bits,
        plan=served.plan,
        engine_refusal=served.engine_refusal,
        cache_type=served.job.cache_type,
    )
    st.subheader("Behind the answer")
    # Tabs of their own to the browser: else the other job's keep the number or the name that was open among these.
    row = st.container(key="size_serve_behind")
    plan_tab, engine_tab, log_tab, speed_tab, beside_tab = row.tabs(TABS, key="size_serve_tab", bind="query-params")
    if plan_tab.open:
        with plan_tab:
            split.show_with_the_plan(option.plan)
            plan.show_plan(option, asked.model.name)
            plan.show_what_gb_means(option.plan)
    if engine_tab.open:
        with engine_tab:
            engine.show_engine(option)
    with unsent.sent_if(bool(log_tab.open) or server_log.holds_a_file(), log_tab, "size_log"):
        pasted = server_log.log_inputs()
        if log_tab.open:
            server_log.show_log(option.plan, pasted, asked.model.name)
    if speed_tab.open:
        with speed_tab:
            show_first_token(served)
            speed.show_speed(option)
            speed_aids.show_aids(option.plan)
    if beside_tab.open:
        with beside_tab:
            side_by_side.show(asked.model)


def show_first_token(served: Served) -> None:
    """The bound on the time to the first token of one request, with its numbers put in."""
    said, lines = first_token_lines(served.job)
    st.markdown(said)
    if lines:
        st.markdown("  \n".join(f"`{line}`" for line in lines))


def show_answer(name: str, served: Served) -> None:
    """The first line, the two limits beside it, the memory as one picture, and what another G would give."""
    st.markdown(f"### {first_line(name, served)}")
    if served.engine_refusal:
        st.warning(as_payload(served.engine_refusal), icon=":material/info:")
    st.markdown(" ".join(filter(None, [why_sentence(served.plan), engine_sentence(served.plan)])))
    report.copy_served(name, served)
    longest, fewest = st.columns(2)
    _card(longest, "Longest context, one request", served.longest, "tokens", longest_sentence(served))
    _card(fewest, f"Fewest {_each(served)} for one request", served.fewest, "", fewest_sentence(served))
    theme = st.context.theme.type or "light"
    spec = cached.chart_spec(f"serve {served.plan.job!r}", theme, lambda palette: memory_chart(served, palette))
    style.draw_spec(spec, sentence=_sentence(served), alt_text=memory_alt_text(served), key="size_memory")
    st.caption(" · ".join(f"{part.says} {format_both(part.num_bytes, 2)}" for part in memory_parts(served)))
    split.show_where_it_rules(served.plan)
    show_other_heads(served)


def _each(served: Served) -> str:
    return "accelerators of that server" if is_another_server_s(served.job) else served.job.device.name


def _card(column: st.delta_generator.DeltaGenerator, label: str, found: Answer, unit: str, why: str) -> None:
    with column.container(border=True, height="stretch", gap="xsmall"):
        st.caption(label)
        st.markdown(f"**{f'{int(found):,} {unit}'.strip() if found.fits else 'none'}**")
        st.caption(why)


def _sentence(served: Served) -> str:
    """What the picture shows, and what would not go in."""
    made = served.plan
    if not served.requests.fits:
        return f"**Not one request fits.** {served.requests.sentence}"
    whole = f"What fills {device_words(served.job)}" if made.job.num_accelerators == 1 else "What fills the fullest one"
    return f"{whole}. {served.requests.sentence}"


def show_other_heads(served: Served) -> None:
    """Another G, labelled as another model."""
    others = other_heads(served)
    if not (said := other_heads_sentence(served, others)):
        return
    with st.expander(f"What if it had another G? {said}", icon=":material/science:", key="size_other_heads"):
        st.markdown(
            "G is decided when a model is trained: each row below is another model, with the same shapes but for its "
            f"KV heads. This one has G = {own_kv_heads(served.job.model)}. *Choose G*, above, plans them all."
        )
        rows = _other_rows(served, others)
        st.table(rows)
        numbers = _other_numbers(served, others)
        share.save_csv(numbers, key="size_other_csv", file_name="headroom-other-g.csv", shown=rows)


def _other_rows(served: Served, others: tuple[OtherHeads, ...]) -> list[dict[str, str]]:
    own = own_kv_heads(served.job.model) or 0
    rows = [(other.num_kv_heads, _requests(other), other.refusal) for other in others]
    rows = sorted([*rows, (own, f"{int(served.requests):,}", "the model as published")])
    return [{"G": str(g), f"Requests of {served.job.context_length:,} tokens": n, "What it is": why or "another model"}
            for g, n, why in rows]  # fmt: skip


def _other_numbers(served: Served, others: tuple[OtherHeads, ...]) -> list[dict[str, Any]]:
    """The same for a spreadsheet."""
    own = own_kv_heads(served.job.model) or 0
    rows = [(other.num_kv_heads, other.requests, other.refusal or "another model") for other in others]
    rows = sorted([*rows, (own, int(served.requests), "the model as published")], key=lambda row: row[0])
    return [{"G": g, f"Requests of {served.job.context_length} tokens": n, "What it is": why} for g, n, why in rows]


def _requests(other: OtherHeads) -> str:
    return "–" if other.requests is None else f"{other.requests:,}"
