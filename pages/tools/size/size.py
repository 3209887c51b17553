"""Two jobs on one page: how a published model is served, and which G fits a job that is still to be decided."""

import streamlit as st

from core.errors import SizingError
from core.models.hub.pulls import HubError
from core.models.spec import UnsupportedConfig
from core.serving.options import option_grid
from core.serving.traffic import TrafficError
from pages.shell import below, unsent
from pages.tools.size import (
    cache_width,
    engine,
    inputs,
    limits,
    measure,
    pinned,
    plan,
    questions,
    ranks,
    record,
    report,
    serve,
    server_log,
    side_by_side,
    speed,
    speed_aids,
    split,
    traffic,
    verdict,
    ways,
    weight_parts,
    without_hub,
)
from pages.tools.size.count import StillWaiting, wait_for
from pages.tools.size.model import say_caution

TABS = [
    "The plan", "Engine", "Server log", "Every G", "Make it fit", "Limits", "Tensor parallel", "Traffic",
    "Speed and cost", "Measure", side_by_side.NAME, "Record",
]  # fmt: skip

st.title("Size a serving job")
with st.container(horizontal=True, vertical_alignment="center"):
    serving = inputs.choose_job()
    questions.menu()
pinned.restore()
st.caption(inputs.JOBS[inputs.SERVE if serving else inputs.CHOOSE])
cache_width.take_width()
inputs.first_inputs(serving=serving)
answer = st.container()
inputs.more_inputs(serving=serving)
try:
    asked = inputs.asked(serving=serving)
    cache_width.keep_width(asked.model.spec, asked.job.kv_bits)
    if serving:
        serve.show(asked, answer)
        st.stop()
    grid = option_grid(asked.job, scale_overhead_bits=asked.scale_overhead_bits)
    with answer:
        option = grid.at(inputs.choose_kv_heads(grid), asked.job.kv_bits)
except (SizingError, UnsupportedConfig) as error:
    answer.error(str(error))
    st.stop()
except HubError as error:
    with answer:
        without_hub.show(error, str(st.session_state["size_model"]))
    st.stop()
except StillWaiting as wait:
    answer.info(str(wait), icon=":material/hourglass_top:")
    wait_for(wait)
    st.stop()

with below.sent_when_near("size", ["Behind the answer"], unless=["size_tab"]):
    st.subheader("Behind the answer")
    # What a closed tab would draw is not worked out; its inputs run unsent, so that they stay in the URL.
    (
        plan_tab,
        engine_tab,
        log_tab,
        table_tab,
        ways_tab,
        limits_tab,
        ranks_tab,
        traffic_tab,
        speed_tab,
        measure_tab,
        beside_tab,
        record_tab,
    ) = st.tabs(TABS, key="size_tab", bind="query-params")
    with unsent.sent_if(bool(ways_tab.open), ways_tab, "size_ways"):
        wished = inputs.choose_wished(asked.job)
        if ways_tab.open:
            ways.show_ways(asked, wished)
    with unsent.sent_if(bool(ranks_tab.open), ranks_tab, "size_ranks"):
        ranks.ranks_inputs()
        if ranks_tab.open:
            ranks.show_ranks(option)
    with unsent.sent_if(bool(traffic_tab.open) or traffic.takes_a_file(), traffic_tab, "size_traffic"):
        traffic.traffic_inputs()
        if traffic_tab.open:
            traffic.show_traffic(option)
    with unsent.sent_if(bool(log_tab.open) or server_log.holds_a_file(), log_tab, "size_log"):
        pasted = server_log.log_inputs()
        if log_tab.open:
            server_log.show_log(option.plan, pasted, asked.model.name)
    with unsent.sent_if(bool(record_tab.open), record_tab, "size_record"):
        record.record_inputs()
        if record_tab.open:
            try:
                record.show_record(asked, grid, option, wished)
            except (SizingError, TrafficError) as error:
                st.error(str(error))
    with answer:
        say_caution(asked.model.spec)
        cache_width.say_width(asked.model.spec, asked.job.kv_bits)
        verdict.show_verdict(grid, option, wished)
        report.copy_choice(grid, option, wished)
        engine.show_difference(option)
        verdict.show_options(grid, option)
        split.show_where_it_rules(option.plan)
        engine.show_why(option)
    if plan_tab.open:
        with plan_tab:
            split.show_with_the_plan(option.plan)
            plan.show_plan(option, asked.model.name)
            weight_parts.show_weights(option)
            plan.show_what_gb_means(option.plan)
    if engine_tab.open:
        with engine_tab:
            engine.show_engine(option)
    if table_tab.open:
        with table_tab:
            plan.show_table(grid)
    if limits_tab.open:
        with limits_tab:
            limits.show_answers(grid, option)
            limits.show_frontier(grid, option)
    if speed_tab.open:
        with speed_tab:
            speed.show_speed(option)
            speed_aids.show_aids(option.plan)
            measure.show_last_measurement(grid)
    if measure_tab.open:
        with measure_tab:
            measure.show_measure(grid, option)
    if beside_tab.open:
        with beside_tab:
            side_by_side.show(asked.model)
report.remember_choice(asked, grid, option, wished)
