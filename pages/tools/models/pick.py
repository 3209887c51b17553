"""Which models the page shows: picked by name or family, typed as a repository id, pasted or uploaded."""

import streamlit as st

from core.figures.comparison import MAX_COMPARED, ComparedModel, compare, compare_header, plain
from core.models.formats.document import FILE_TYPES, READ_FORMATS, spec_of
from core.models.formats.parsed import parse
from core.models.gguf.dump import read_dump
from core.models.gguf.spotted import LOOKED_AT, looks_like_dump
from core.models.hub.pulls import HubError, PulledConfig, PullResult, repository_at
from core.models.registry import EVIDENCE, RegisteredModel
from core.models.spec import UnsupportedConfig, read_config
from pages.shell import cached, unsent
from pages.tools.gguf_inputs import HeaderFile, header_inputs, headers, holds_a_file

OPENING = (
    "Llama-1 7B", "Llama-2 70B", "Llama-3.1 8B", "Llama-3.1 405B", "Mistral-7B v0.1", "Mixtral 8x22B",
    "Mistral-Nemo 12B", "Falcon-7B", "Falcon-40B", "Falcon-180B",
)  # fmt: skip
START = "Llama, Mistral and Falcon"
ALL = "All"


def by_name() -> dict[str, RegisteredModel]:
    """The registry, in its order."""
    return {model.name: model for model in cached.registered_models()}


def pulled() -> dict[str, PullResult]:
    """What this visitor pulled, by name in the registry or by the id that was typed."""
    results: dict[str, PullResult] = st.session_state.setdefault("models_pulled", {})
    return results


def choose() -> list[str]:
    """Names and typed ids, in the order picked."""
    names: list[str] = st.multiselect(
        f"Models to compare, up to {MAX_COMPARED}: search by name, or type any repository id",
        list(by_name()),
        default=list(OPENING),
        max_selections=MAX_COMPARED,
        accept_new_options=True,
        select_all=False,  # else Enter after a name takes every model that it is a part of
        placeholder="Falcon-7B, or owner/name on the Hub",
        key="models_pick",
        bind="query-params",
    )
    chosen, left_out = st.session_state.get("models_left_out", ([], []))
    if left_out and names == chosen:
        st.caption(f"{MAX_COMPARED} models fit. Left out of the family: {', '.join(left_out)}.")
    return names


def families() -> list[str]:
    """Family names, in the order of the registry."""
    return list(dict.fromkeys(model.family for model in by_name().values()))


def family_pick() -> None:
    """A family in place of the choice; the pills are sent when somebody opens them."""
    menu = st.popover("Choose a family", icon=":material/category:", key="models_families_menu", on_change="rerun")
    if menu.open:
        menu.pills(
            "Replaces the choice by the family", [START, *families()], key="models_family", on_change=_take_family
        )


def _take_family() -> None:
    """Replaces the choice by a family, as far as it fits; the pill is a quick pick, not a state."""
    family = st.session_state["models_family"]
    names = [name for name, model in by_name().items() if model.family == family]
    st.session_state["models_left_out"] = (names[:MAX_COMPARED], names[MAX_COMPARED:])
    st.session_state["models_pick"] = names[:MAX_COMPARED] or list(OPENING)
    st.session_state["models_family"] = None


def own_inputs() -> None:
    """Where a config.json, or the JSON or YAML of another tool, is pasted or uploaded; sent when somebody opens it."""
    menu = st.popover("Paste or upload", icon=":material/upload_file:", key="models_own_menu", on_change="rerun")
    seen = bool(menu.open) or _holds_a_file()
    with unsent.sent_if(seen, menu, "models_own"):
        st.caption("Read on this server, and sent nowhere: not to the Hub, not into the link.")
        st.caption(f"JSON or YAML, found by its keys: {', '.join(READ_FORMATS)}.")
        st.text_area("Paste a config.json", key="models_paste", height=200, placeholder='{"model_type": …}', width=420)
        st.caption("What `gguf-dump` prints can be pasted too, as text or with --json --json-array.")
        st.file_uploader("Upload a config.json", type=FILE_TYPES, key="models_upload")
        header_inputs("models")


def _holds_a_file() -> bool:
    """Whether a file was uploaded or dropped: its input stays in the browser, which has its name and its bytes."""
    return st.session_state.get("models_upload") is not None or holds_a_file("models")


def own_configs() -> list[ComparedModel]:
    """A pasted and an uploaded file, read here and never sent anywhere."""
    text, file = st.session_state.get("models_paste") or "", st.session_state.get("models_upload")
    found = []
    if text.strip():
        found.append(_own("Pasted config", text.encode("utf-8", "surrogatepass"), "pasted"))
    if file is not None:
        found.append(_own(f"Uploaded {file.name[:60]}", file.getvalue(), "uploaded"))
    found += [_own_header(file) for file in headers("models")]
    return [model for model in found if model is not None]


def _own_header(file: HeaderFile) -> ComparedModel | None:
    if file.metadata is None:
        st.error(f"{plain(file.name)}: {plain(file.problem or '')}")
        return None
    return compare_header(file.name, status="header", facts=file.facts, metadata=file.metadata)


def _own(name: str, data: bytes, facts: str) -> ComparedModel | None:
    try:
        if looks_like_dump(data[:LOOKED_AT].decode("utf-8", "replace")):
            metadata = read_dump(data.decode("utf-8", "replace"))
            return compare_header(name, status=facts, facts=f"{facts}, read here", metadata=metadata)
        config = parse(data)
    except UnsupportedConfig as error:
        st.error(f"{plain(name)}: {plain(str(error))}")
        return None
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    return compare(name, status=facts, facts=f"{facts}, read here", config=config, config_text=text)


def compared(name: str) -> ComparedModel | None:
    """A chosen model as known now; None where it has yet to be pulled, or was and failed."""
    registered, result = by_name().get(name), pulled().get(name)
    if result is not None and result.pulled is not None:
        return _pulled_model(name, result.pulled, registered)
    if registered is None:
        return None
    status, facts = "recorded", recorded_facts(registered)
    if result is not None:
        status, facts = "pull failed", f"{facts}. The pull failed: {result.error}"
    return cached.compared_model(name, status, facts, registered.config_text, registered.config)


def _pulled_model(name: str, got: PulledConfig, registered: RegisteredModel | None) -> ComparedModel:
    facts = [f"pulled: {got.filename} at {got.commit[:7]}, {got.pulled_at:%Y-%m-%d %H:%M} UTC"]
    if got.stale_because is not None:
        facts.append(f"the Hub could not be asked since: {got.stale_because}")
    elif got.from_cache:
        facts.append("unchanged, from the cache")
    if got.repository != got.requested:
        facts.append(f"the original is gated, so its mirror {got.repository} was read")
    if registered is not None:
        facts.append(_against_recorded(got, registered))
    return cached.compared_model(name, f"at {got.commit[:7]}", "; ".join(facts), got.text, got.config)


def _against_recorded(got: PulledConfig, registered: RegisteredModel) -> str:
    """Whether the file keeps what the registry says."""
    try:
        same = spec_of(got.config).layers == read_config(registered.config).layers
    except UnsupportedConfig:
        return "cannot be compared with the recorded facts"
    return "agrees with the recorded facts" if same else "differs from the recorded facts"


def kept_after_failure(names: list[str]) -> dict[str, list[str]]:
    """Why pulls failed -> the registered models that keep their recorded facts for that reason."""
    reasons: dict[str, list[str]] = {}
    for name in names:
        result = pulled().get(name)
        if name in by_name() and result is not None and result.error is not None:
            reasons.setdefault(str(result.error), []).append(name)
    return reasons


def recorded_facts(model: RegisteredModel) -> str:
    """'recorded: read in the Hub's own config.json (commit ec89142) on 2026-11-22'."""
    commit = "" if model.revision == "main" else f" (commit {model.revision[:7]})"
    origin = f" of {model.recorded_from}" if model.recorded_from else ""
    said = f"recorded: {EVIDENCE[model.evidence]}{origin}{commit}, {model.read}"
    return f"{said}. Not confirmed: {', '.join(model.unconfirmed)}. {model.note}" if model.unconfirmed else said


def pending(names: list[str]) -> list[str]:
    """Typed ids that nobody has asked the Hub for yet."""
    return [name for name in names if name not in by_name() and name not in pulled() and problem_of(name) is None]


def problem_of(name: str) -> str | None:
    """Why a chosen name gave nothing: a typed id that cannot be one, or whose pull failed."""
    if name in by_name():
        return None
    try:
        repository_at(name)
    except HubError as error:
        return str(error)
    result = pulled().get(name)
    return None if result is None or result.error is None else str(result.error)
