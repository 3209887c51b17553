"""The plan of one option line by line, the table of all of them, and what the product's GB mean."""

from typing import Any

import streamlit as st

from core.hardware.accelerators import explain_memory
from core.serving.budget import budget_basis, counted_by_server, is_another_server_s
from core.serving.memory_plan import MemoryPlan
from core.serving.options import Option, OptionGrid, refused_widths
from core.serving.plan_line import PlanLine
from core.units import GB, GIB, format_both
from pages.shell import share


def show_plan(option: Option, name: str) -> None:
    """Every figure of the plan: result in GB and GiB, formula, the formula with its numbers, and its source."""
    plan = option.plan
    total = format_both(plan.total_bytes, 2)
    budget = format_both(plan.budget_bytes, 2)
    st.markdown(f"Total **{total}** against a budget of **{budget}**. The counted lines add up to the byte.")
    # one part of the page, where a frame and columns for each line are sixty
    table = ["| Line | Bytes | Formula, with its numbers | From |", "|---|---|---|---|", *map(_row, plan.lines)]
    st.container(key="size_plan").markdown("\n".join(table))
    _carry(plan, name)


def _row(line: PlanLine) -> str:
    """A line of the plan as a row of a Markdown table."""
    how = f"{line.formula}: `{line.substituted} = {line.num_bytes:,} bytes`"
    cells = (f"**{line.label}**", format_both(line.num_bytes, 2), how, line.provenance)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _carry(plan: MemoryPlan, name: str) -> None:
    """The plan for another program, and for a document."""
    rows = [
        {"Figure": line.label, "Bytes": line.num_bytes, "Formula": line.formula, "With numbers": line.substituted,
         "From": line.provenance}
        for line in plan.lines
    ]  # fmt: skip
    remarks = plan.job.model.remarks
    share.save_csv(rows, key="size_plan_csv", file_name="headroom-plan.csv", label="Plan as CSV", remarks=remarks)
    st.download_button(
        "Plan as JSON",
        data=lambda: _json(plan, name),
        file_name="headroom-plan.json",
        mime="application/json",
        icon=":material/data_object:",
        key="size_plan_json",
        on_click="ignore",
        help="The object that `python -m core size --json` prints.",
    )


def _json(plan: MemoryPlan, name: str) -> bytes:
    import json  # noqa: PLC0415  needed for a file alone

    from core.command.size import answer_of  # noqa: PLC0415  as above

    return json.dumps(answer_of(plan, name)).encode()


def show_what_gb_means(plan: MemoryPlan) -> None:
    """What the product's GB are on this device."""
    device = plan.job.device
    if is_another_server_s(plan.job):
        st.caption(budget_basis(plan.job))
        return
    st.markdown(f"**What the memory in the name means.** {explain_memory(device)}")
    if counted_by_server(plan.job):
        st.caption(f"{device.server_basis} Of it the engine may use {plan.budget_bytes / GB:.2f} GB.")
    elif device.memory_nominal_bytes and device.memory_reported_bytes:
        low, high = sorted((device.memory_nominal_bytes, device.memory_reported_bytes))
        st.caption(
            f"Between {low / GIB:.2f} and {high / GIB:.2f} GiB the two readings give different verdicts. The fit is "
            f"judged on the device's own, times the utilisation: {plan.budget_bytes / GB:.2f} GB. The product's figure "
            f"would give {plan.nominal_budget_bytes / GB:.2f} GB."
        )


def option_table(grid: OptionGrid) -> list[dict[str, Any]]:
    """One row an option, figures in GB (10^9 bytes)."""
    return [
        {
            "G": "as published" if option.num_kv_heads is None else str(option.num_kv_heads),
            "Cache": option.width,
            "Fits": "yes" if option.plan.fits else "no",
            "Parameters": option.plan.parameters.total,
            "Weights, GB": option.plan.weight_bytes / GB,
            "KV cache, GB": option.plan.kv_reserved_bytes / GB,
            "KV cache, GiB": option.plan.kv_reserved_bytes / GIB,
            "Reserve, GB": (option.plan.runtime_bytes + option.plan.state_bytes) / GB,
            "Total, GB": option.plan.total_bytes / GB,
            "Headroom, GB": option.plan.headroom_bytes / GB,
        }
        for option in grid.options
    ]


def show_table(grid: OptionGrid) -> None:
    """Every option as a table that can be sorted and downloaded."""
    st.markdown(
        "Every G at every width. Parameters change with G because the K and V projections do; whether the freed ones "
        "are dropped or spent on a wider FFN is an input. "
        f"The budget is {grid.options[0].plan.budget_bytes / GB:.2f} GB. {refused_widths(grid)}".strip()
    )
    table = option_table(grid)
    decimals = {name: st.column_config.NumberColumn(format="%.2f") for name in table[0] if name.endswith(("GB", "GiB"))}
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config={**decimals, "Parameters": st.column_config.NumberColumn(format="localized")},
        alt=f"{len(table)} options: G, width of the cache, whether it fits, parameters, and bytes of each part.",
    )
    remarks = grid.job.model.remarks
    share.save_csv(table, key="size_table_csv", file_name="headroom-options.csv", remarks=remarks)
