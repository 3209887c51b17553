"""Which G real models chose: pick up to a dozen and compare heads, layers, windows and bytes per token."""

from functools import partial

import streamlit as st

from core.figures import comparison
from core.figures.comparison import MAX_COMPARED, ComparedModel, plain
from core.reports.models_report import models_rests, models_sections
from pages.shell import below, cached, share, style
from pages.tools.models import check, detail, pick, pull, table, weigh

HELD = "Payload of a 16-bit cache: what the attention pattern needs, per sequence, index keys included."


def chosen_models(names: list[str], own: list[ComparedModel]) -> list[ComparedModel]:
    """What can be shown now; what cannot says why, and what was typed stays typed."""
    for name in names:
        if (problem := pick.problem_of(name)) is not None:
            st.error(plain(problem, links=True))
    found = [model for name in names if (model := pick.compared(name)) is not None] + own
    if len(found) > MAX_COMPARED:
        st.warning(f"{len(found)} models are chosen and {MAX_COMPARED} fit: the last ones are left out.")
    for model in found[:MAX_COMPARED]:
        if model.problem is not None:
            st.error(f"{plain(model.name)}: {plain(model.problem)}")
    return found[:MAX_COMPARED]


def files(models: list[ComparedModel]) -> tuple[tuple[str, str], ...]:
    """What the pictures of these models depend on."""
    return tuple((model.name, model.config_text) for model in models)


def bytes_per_token(models: list[ComparedModel], ghosts: bool) -> None:
    """The bars, under the sentence that says the extremes."""
    rows = comparison.bar_rows(models)
    said = "; ".join(f"{row['model']} {row['label']}" for row in rows)
    spec = cached.models_spec("bytes", files(models), theme(), models, ghosts)
    alt_text = f"Cache bytes per token: {said}."
    style.draw_spec(spec, sentence=comparison.headline(models), alt_text=alt_text, key="models_bytes")
    st.caption(f"{HELD} An engine may reserve more, and transformers may store more: see *One model, line by line*.")


def remarks(models: list[ComparedModel]) -> None:
    """Above the figures: whose shape is its class's or its file's alone, and which file states the cache's width."""
    for model in models:
        for remark in model.spec.remarks if model.spec is not None else ():
            written = f"{plain(model.name)}: {plain(remark)}"
            if remark.startswith("Cache width"):
                st.caption(f"{written} The bars count 16 bits for every model.")
            else:
                st.warning(written)


def failures(names: list[str]) -> None:
    """One line a reason: which models keep their recorded facts because their pull failed."""
    for reason, kept in pick.kept_after_failure(names).items():
        listed = ", ".join(f"**{plain(name)}**" for name in kept)
        st.warning(f"{listed}: the recorded facts are shown. {plain(reason, links=True)}", icon=":material/cloud_off:")


def growth(models: list[ComparedModel]) -> None:
    """Cache against context."""
    if any(comparison.kept_bytes(model.spec, max(comparison.CONTEXTS)) for model in models if model.spec):
        sentence = comparison.context_sentence(models)
        spec = cached.models_spec("context", files(models), theme(), models)
        alt_text = f"Bytes of one sequence against its length, both logarithmic. {sentence}"
        style.draw_spec(spec, sentence=sentence, alt_text=alt_text, key="models_context")


def layer_by_layer(models: list[ComparedModel]) -> None:
    """The strips."""
    said = "; ".join(f"{model.name}: {comparison.layers_text(model.spec)}" for model in models if model.spec)
    sentence = (
        "One cell a layer, first layer left; the number in it is **G**. Full height keeps the whole context, half "
        "height the last tokens of a window, a sliver a state that does not grow, a line nothing."
    )
    spec = cached.models_spec("layers", files(models), theme(), models)
    style.draw_spec(spec, sentence=sentence, alt_text=said, key="models_layers")


def registry() -> None:
    """Every recorded model of the chosen families, with a pull of them all."""
    known, families = pick.by_name(), pick.families()
    options = [pick.ALL, *families]
    chosen = st.pills(
        "Families", options, selection_mode="multi", default=families[:3], key="models_families", bind="query-params"
    )
    names = [name for name, model in known.items() if model.family in chosen or pick.ALL in chosen]
    if not names:
        st.info("No family is chosen.")
        return
    if st.button(f"Pull all {len(names)} from the Hub", key="models_pull_all", icon=":material/cloud_download:"):
        pull.pull(names)
    models = [model for name in names if (model := pick.compared(name)) is not None]
    frame = table.frame(models, [known[name].family for name in names])
    table.show(frame, key="models_registry", file_name="headroom-registry.csv")


def theme() -> str:
    return st.context.theme.type or "light"


def rest_headings(models: list[ComparedModel]) -> list[str]:
    """Of what lies below the table."""
    readable = any(model.spec is not None for model in models)
    pictures = ["Cache against context", "Weights beside the cache", "Layer by layer"] if readable else []
    return [*pictures, *(["One model, line by line"] if models else []), "The registry"]


def rest(models: list[ComparedModel]) -> None:
    """What lies below the table: the other pictures, one model's file, and the registry."""
    if readable := [model for model in models if model.spec is not None]:
        st.subheader("Cache against context")
        growth(readable)
        st.subheader("Weights beside the cache")
        weigh.show_weights(readable)
        st.subheader("Layer by layer")
        layer_by_layer(readable)
    if models:
        st.subheader("One model, line by line")
        looked_at = detail.choose(models, pick.pending(names))
        detail.show(looked_at)
        if looked_at.config:  # a GGUF header has none to build
            check.check(looked_at)
    st.subheader("The registry")
    registry()


st.title("Models")
st.markdown("Which **G** real models chose, the line of config.json that says so, and what each token then costs.")
names = pick.choose()
with st.container(horizontal=True, vertical_alignment="center"):
    pick.family_pick()
    pick.own_inputs()
    label = f"Pull these {len(names)} from the Hub"
    pull_these = st.button(label, key="models_pull", icon=":material/cloud_download:", disabled=not names)
    ghosts = st.toggle("Show what MHA would keep", key="models_ghosts", bind="query-params")
if pull_these:
    pull.pull(names)
models = chosen_models(names, pick.own_configs())
readable = [model for model in models if model.spec is not None]
if readable:
    remarks(readable)
    bytes_per_token(readable, ghosts)
    said = comparison.headline(readable)
    share.remember_answer(said, lambda _: models_rests(readable))
    share.copy_answer("models_answer_markdown", said, HELD)
    st.subheader("Side by side")
    table.show(table.frame(models), key="models_table", file_name="headroom-models.csv")
    share.remember_sections(partial(models_sections, models), after="models_bytes")
    failures(names)
elif not pick.pending(names):
    st.info("Pick a model, type a repository id, or paste a config.json.")
with below.sent_when_near("models", rest_headings(models)):
    rest(models)
if waiting := pick.pending(names):  # after the first paint: a link with a typed id never waits for the network
    pull.pull(waiting)
    st.rerun()
