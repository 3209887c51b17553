"""Which G fits: a serving job in, the verdict in words and as a picture, and what would have to change."""

import streamlit as st

from core.comparison import plain
from core.hub.pulls import HubError
from core.model_spec import UnsupportedConfig
from core.serving.error import SizingError
from core.serving.options import option_grid
from core.serving.traffic import TrafficError
from pages.parts import (
    size_inputs,
    size_limits,
    size_measure,
    size_plan,
    size_ranks,
    size_record,
    size_speed,
    size_traffic,
    size_verdict,
    size_ways,
)
from pages.parts.size_model import StillAsking, wait_for_hub

TABS = [
    "The plan", "Every G", "Make it fit", "Limits", "Tensor parallel", "Traffic", "Speed and cost", "Measure", "Record",
]  # fmt: skip

st.title("Size a serving job")
size_inputs.first_inputs()
answer = st.container()
size_inputs.more_inputs()
try:
    asked = size_inputs.asked()
    grid = option_grid(asked.job, scale_overhead_bits=asked.scale_overhead_bits)
    with answer:
        option = grid.at(size_inputs.choose_kv_heads(grid), asked.job.kv_bits)
except (SizingError, UnsupportedConfig) as error:
    answer.error(str(error))
    st.stop()
except HubError as error:  # repeats what was typed: shown as text, whatever it holds
    answer.error(plain(str(error), links=True))
    st.stop()
except StillAsking as wait:
    answer.info(str(wait), icon=":material/hourglass_top:")
    wait_for_hub(wait)
    st.stop()

st.subheader("Behind the verdict")
# What a closed tab would draw is not worked out; its inputs always run, so that they stay in the URL.
plan_tab, table_tab, ways_tab, limits_tab, ranks_tab, traffic_tab, speed_tab, measure_tab, record_tab = st.tabs(
    TABS, key="size_tab", bind="query-params"
)
with ways_tab:
    wished = size_inputs.choose_wished(asked.job)
    if ways_tab.open:
        size_ways.show_ways(asked, wished)
with ranks_tab:
    size_ranks.ranks_inputs()
    if ranks_tab.open:
        size_ranks.show_ranks(option)
with traffic_tab:
    size_traffic.traffic_inputs()
    if traffic_tab.open:
        size_traffic.show_traffic(option)
with record_tab:
    size_record.record_inputs()
    if record_tab.open:
        try:
            size_record.show_record(asked, grid, option, wished)
        except (SizingError, TrafficError) as error:
            st.error(str(error))
with answer:
    size_verdict.show_verdict(grid, option, wished)
    size_verdict.show_options(grid, option)
if plan_tab.open:
    with plan_tab:
        size_plan.show_plan(option)
        size_plan.show_what_gb_means(option.plan)
if table_tab.open:
    with table_tab:
        size_plan.show_table(grid)
if limits_tab.open:
    with limits_tab:
        size_limits.show_answers(grid, option)
        size_limits.show_frontier(grid, option)
if speed_tab.open:
    with speed_tab:
        size_speed.show_speed(option)
        size_measure.show_last_measurement(grid)
if measure_tab.open:
    with measure_tab:
        size_measure.show_measure(grid, option)
