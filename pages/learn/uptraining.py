"""How GQA is made from MHA: heads merged and drawn, recorded runs of a small model, and the same run here and now."""

import streamlit as st

from core.evidence.studies import published
from core.host.packages import missing
from core.uptraining import results, runs
from core.uptraining.conversion import METHODS
from core.uptraining.recipe import Recipe, RecipeError
from core.uptraining.results import Result
from pages.learn.screens import technique

PERCENTS = (5, 10, 40)  # that are recorded
MINE = "uptraining_mine"


def merge() -> None:
    """G and the method; the heads before and after."""
    first, second = st.columns(2)
    g = first.segmented_control("G after conversion", Recipe().kv_head_choices, default=2, required=True,
                                key="uptraining_g", bind="query-params")  # fmt: skip
    method = second.segmented_control("Method", list(METHODS), default="mean", required=True,
                                      key="uptraining_method", bind="query-params")  # fmt: skip
    technique.picture("conversion", num_kv_heads=g or 2, method=method or "mean")


def recorded() -> None:
    """Recorded runs: what came out, against G or against bytes."""
    first, second = st.columns(2)
    percent = first.segmented_control("Uptraining, % of training", PERCENTS, default=10, required=True,
                                      key="uptraining_recorded", bind="query-params")  # fmt: skip
    with second:
        against = choose_against("recorded")
    moment = st.segmented_control("Loss", ["after uptraining", "right after conversion"], required=True,
                                  default="after uptraining", key="uptraining_moment", bind="query-params",
                                  label_visibility="collapsed")  # fmt: skip
    found = tuple(run for run in results.recorded() if run.recipe.uptrain_percent == percent)
    losses(found, against, before=moment == "right after conversion", name="recorded")


def choose_against(name: str) -> str:
    """What the losses are drawn against: 'g' or 'bytes'."""
    chosen = st.segmented_control("Loss against", ("G", "cache bytes"), default="G", required=True,
                                  key=f"uptraining_{name}_against", bind="query-params")  # fmt: skip
    return "bytes" if chosen == "cache bytes" else "g"


def losses(found: tuple[Result, ...], against: str, *, before: bool, name: str) -> None:
    """The losses of one recipe, averaged over its seeds, and what to say about them."""
    technique.picture("losses", points=results.averaged(found), recipe=found[0].recipe.with_seed(0), before=before,
                   against=against, finding=results.finding(found, before=before), name=name)  # fmt: skip
    if not before:
        st.caption(results.agreement(found))


def live() -> None:
    """A recipe of one's own, run by a process of its own; a recipe that ran before answers at once."""
    first, second, third = st.columns(3)
    seed = first.number_input("Seed", value=0, key="uptraining_seed", bind="query-params")
    steps = second.number_input("Training steps", value=800, step=100, key="uptraining_steps", bind="query-params")
    percent = third.number_input("Uptraining, %", value=10, key="uptraining_percent", bind="query-params")
    try:
        recipe = Recipe(seed=seed, train_steps=steps, uptrain_percent=percent)
    except RecipeError as refused:
        st.error(str(refused))
        return
    run = runs.current()
    if run is not None and run.snapshot().status == "running":
        watch()
        return
    without = missing("The experiment", "torch")
    if without:
        st.info(without)
    if st.button("Run it here", type="primary", key="uptraining_start",
                 help=f"{recipe.time_in_words.capitalize()} on one core", disabled=bool(without)):  # fmt: skip
        st.session_state[MINE] = recipe
        runs.start(recipe)
        st.rerun()
    if run is not None and run.recipe == recipe and (message := run.snapshot().message):
        st.error(message)
    if (done := runs.finished(recipe)) is not None:
        losses((done,), choose_against("mine"), before=False, name="mine")
    else:
        st.caption(
            f"{recipe.total_steps:,} steps in all, {recipe.time_in_words} on one core. The recorded runs above show "
            "what to expect."
        )


@st.fragment(run_every=1.0)
def watch() -> None:
    """The run under way: phase, share, loss so far, and an end to it for whoever started it."""
    run = runs.current()
    if run is None or (now := run.snapshot()).status != "running":
        st.rerun()
        return
    st.progress(now.fraction, text=f"{now.phase} · {now.num_points} results so far")
    technique.picture("training", steps=now.losses, recipe=run.recipe)
    if st.session_state.get(MINE) != run.recipe:
        st.caption("Another viewer started this run. Yours can start when it is done.")
    elif st.button("Cancel", key="uptraining_cancel"):
        run.cancel()
        st.rerun()


def cost() -> None:
    """Where the figures of the real conversions stand."""
    for finding in published().findings:
        if "conversion" in finding.topics:
            st.markdown(finding.statement)
            technique.cite(finding)


technique.page("uptraining", {"merge": merge, "recorded": recorded, "live": live, "cost": cost})
