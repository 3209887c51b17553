"""A pinned job as the link holds it: its inputs that differ from the page's defaults, written as a query of its own.

`size_pins` stands once a pinned job, up to four times: size_pins=model%3DLlama-2%2B13B%26kv_bits%3D8. What a link says
is checked as the page's own inputs are, and what cannot be read stays in the link until somebody removes it.
"""

from collections.abc import Mapping
from hashlib import blake2s
from math import isfinite
from typing import Any
from urllib.parse import parse_qsl, urlencode

import streamlit as st

from core.errors import SizingError
from core.serving.engine_words import NAMES
from core.serving.options import at_width, option_grid
from core.serving.scenarios import Scenario
from pages.tools.engine_settings import VLLM_TYPES
from pages.tools.size import inputs, speed_aids, stored, without_hub
from pages.tools.size.asked import BOTH, CHOOSE, FIRST, OF_A_SHAPE, OF_ENGINES, OF_WINDOWS, SERVE
from pages.tools.size.model import OWN_FILE, ChosenModel

PARAMETER, PREFIX, FILE = "size_pins", "size_", "file"
KEPT = "pinned_for_the_session"  # no input's key: it outlives the page
MOST_CHARACTERS = 2_000
DEFAULTS: dict[str, Any] = {
    "size_job": inputs.CHOOSE,
    **{key: opens_on for key, _, opens_on in (*FIRST, *SERVE, *CHOOSE, *BOTH, *OF_A_SHAPE, *OF_WINDOWS)},
    **{f"size{key}": opens_on for key, (_, opens_on) in OF_ENGINES.items()},
    **inputs.OF_AN_OWN_ACCELERATOR,
}  # fmt: skip
del DEFAULTS["size_wish"]  # what Make it fit is asked about: no part of the job


def texts() -> list[str]:
    """The pinned jobs of the link, as they stand there."""
    return st.query_params.get_all(PARAMETER)


def restore() -> None:
    """What was pinned in this session stands again in the link of whoever left the page and came back."""
    found: list[str] = st.session_state.setdefault(KEPT, [])
    if not texts() and found:
        keep(found)
    elif texts() != found:
        st.session_state[KEPT] = texts()


def keep(found: list[str]) -> None:
    """Puts them into the link, and keeps them for the session."""
    st.session_state[KEPT] = found
    if found:
        st.query_params[PARAMETER] = found
    elif PARAMETER in st.query_params:
        del st.query_params[PARAMETER]


def written(state: Mapping[str, Any], model: ChosenModel) -> str:
    """The standing job: the model, and every other input that is not the page's default.

    Of a file that stays on this server the link holds a digest alone: the pinned job is read while it is there.
    """
    moved = {
        key: state[key] for key, opens_on in DEFAULTS.items()
        if key != "size_model" and key in state and state[key] is not None and state[key] != opens_on
    }  # fmt: skip
    said = {"model": state["size_model"], **{key.removeprefix(PREFIX): _text(value) for key, value in moved.items()}}
    return urlencode(said | ({FILE: digest(model)} if _is_file(model.name) else {}))


def values_of(text: str) -> dict[str, Any]:
    """Every input's value of a pinned job, and FILE where it has one. Raises SizingError for what no page wrote."""
    if len(text) > MOST_CHARACTERS:
        raise SizingError(f"it is {len(text):,} characters long, where {MOST_CHARACTERS:,} are the most")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=len(DEFAULTS) + 1)
    except ValueError:
        raise SizingError("it does not read as inputs, such as model=Qwen3+32B&kv_bits=8") from None
    found = dict(DEFAULTS)
    for name, value in pairs:
        key = f"{PREFIX}{name}"
        if name == FILE:
            found[FILE] = value
        elif key not in DEFAULTS:
            raise SizingError(f"{name[:40]!r} is no input of this page")
        else:
            found[key] = _read(key, value)
    return found


def scenario(text: str) -> Scenario:
    """The job of a pinned text with its G. Raises SizingError, UnsupportedConfig, HubError or StillWaiting."""
    values = values_of(text)
    serving = values["size_job"] == inputs.SERVE
    asked = inputs.asked(serving=serving, state=values)
    if values.get(FILE, digest(asked.model)) != digest(asked.model):
        raise SizingError("it was pinned with another file than the one that is here now; upload or paste that again")
    if serving:
        return Scenario(model_name=asked.model.name, job=asked.job)
    grid = option_grid(asked.job, scale_overhead_bits=asked.scale_overhead_bits)
    typed = None if values["size_g"] == inputs.LARGEST else values["size_g"]
    allowed = {str(g): g for g in grid.kv_heads if g is not None}
    if typed is not None and typed not in allowed:
        raise SizingError(f"G is {typed[:40]!r}, which this model does not allow: {', '.join(allowed) or 'none'}")
    chosen = grid.largest_or_own(asked.job.kv_bits) if typed is None else allowed[typed]
    job = at_width(asked.job.where(num_kv_heads=chosen), asked.job.kv_bits, asked.scale_overhead_bits)
    return Scenario(model_name=asked.model.name, job=job, asked_kv_heads=None if typed is None else chosen)


def digest(model: ChosenModel) -> str:
    """Eight hex digits of a model's layers and widths."""
    return blake2s(repr(model.spec.shape).encode(), digest_size=4).hexdigest()


def stand(text: str) -> None:
    """Makes a pinned job the standing one: every input that it says, and the default for every other.

    The width that the next model's file states is not taken over the pinned one.
    """
    state: Any = st.session_state
    values = values_of(text)
    for key in DEFAULTS:
        if key in state or values[key] != DEFAULTS[key]:
            put(key, values[key])
    state["size_width_of"] = (values["size_model"], str(getattr(state.get("size_upload"), "file_id", "")))


def put(key: str, value: Any) -> None:
    """Sets an input before the page runs again; one that is not drawn yet has to be put into the address too."""
    drawn = key in st.session_state
    st.session_state[key] = value
    if not drawn:
        st.query_params[key] = str(value).lower() if isinstance(value, bool) else str(value)


def _is_file(name: str) -> bool:
    return name == OWN_FILE or without_hub.pasted(name) is not None


def _text(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _read(key: str, text: str) -> Any:
    """The value as the input has it, by the kind of its default."""
    kind = type(DEFAULTS[key])
    value: Any
    if kind is bool:
        value = {"on": True, "off": False}.get(text)
    elif kind is str:
        value = text
    else:
        try:
            value = kind(text)
        except ValueError:
            value = None
    if value is None or (kind is float and not isfinite(value)):
        expected = {bool: "on or off", int: "a whole number", float: "a number"}[kind]
        raise SizingError(f"{key.removeprefix(PREFIX)} is {text[:40]!r}: give {expected}")
    choices = _choices(key)
    if choices is not None and value not in choices:
        raise SizingError(f"{key.removeprefix(PREFIX)} is {text[:40]!r}, which this page does not offer")
    return value


def _choices(key: str) -> list[Any] | None:
    """What a selectbox or a row of buttons offers; None where anything may be typed."""
    if key == "size_accelerator":
        return inputs.accelerator_names()
    return _CHOICES.get(key)


_CHOICES: dict[str, list[Any]] = {
    "size_job": list(inputs.JOBS), "size_engine": list(NAMES.values()), "size_kv_bits": [16, 8, 4, 2],
    "size_weight_bits": [16, 8, 4], "size_weight_format": [stored.AS_PUBLISHED, stored.BY_BITS, *stored.LABELS],
    "size_freed": ["dropped", "spent"], "size_windows": [inputs.OWN_WINDOWS, inputs.PATTERN],
    "size_vllm_type": VLLM_TYPES, "size_draft_method": list(speed_aids.METHODS), "size_link": list(speed_aids.LINKS),
}  # fmt: skip
