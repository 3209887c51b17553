"""One click: transformers builds the model without weights, and its real cache stands beside our figure."""

import threading
from hashlib import sha256

import pandas as pd
import streamlit as st

from core.engines import transformers_check as cache_check
from core.engines.transformers_check import CacheCheckError, CacheMeasurement, MeasuredLayer
from core.figures.comparison import ComparedModel, kib, plain
from pages.shell import share

TIME_LIMIT_SECONDS = 90.0
ONE_AT_A_TIME = threading.Lock()  # a check loads torch in a process of its own: a room of viewers takes turns


@st.fragment
def check(model: ComparedModel) -> None:
    """The button, and the last answer for this config."""
    answers: dict[str, CacheMeasurement | str] = st.session_state.setdefault("models_checked", {})
    asked = sha256(model.config_text.encode("utf-8", "replace")).hexdigest()
    if st.button("Check against transformers", key="models_check", icon=":material/fact_check:"):
        with st.spinner("transformers builds the architecture on the meta device, without weights, and runs it once"):
            answers[asked] = _measure(model)
    answer = answers.get(asked)
    if isinstance(answer, str):
        st.error(plain(answer))
    elif answer is not None:
        _show(model, answer)


def _measure(model: ComparedModel) -> CacheMeasurement | str:
    context = cache_check.usual_context(model.spec)
    with ONE_AT_A_TIME:
        try:
            return cache_check.measure_cache(
                model.config, context_length=context, time_limit_seconds=TIME_LIMIT_SECONDS
            )
        except CacheCheckError as error:
            return str(error)


def _show(model: ComparedModel, measured: CacheMeasurement) -> None:
    made = f"transformers {measured.transformers_version} built {plain(measured.model_class)}, read "
    made += f"{measured.context_length:,} tokens and held {kib(measured.kv_bytes)} of keys and values"
    if measured.indexer_bytes:
        made += f" and {kib(measured.indexer_bytes)} of index keys and compressed entries"
    if model.spec is None:
        per_token = (measured.kv_bytes + measured.indexer_bytes) / measured.context_length
        st.info(
            f"Our rules refuse this config, so this is a measurement and not a reading: {made}, {per_token:,.0f} bytes "
            f"per token, and {kib(measured.state_bytes)} of state."
        )
        rows = [{"Layer": layer.index, **_held(layer)} for layer in measured.layers]
        _table(rows, key="models_measured")
        return
    layers = cache_check.compare(model.spec, measured)
    payload = sum(layer.payload_bytes for layer in layers)
    equal = sum(layer.equal for layer in layers)
    unexplained = sum(not layer.explained for layer in layers)
    said = f"{made}. Our payload is {kib(payload)}: equal on {equal} of {len(layers)} layers"
    reasons = list(dict.fromkeys(layer.reason for layer in layers if layer.explained and not layer.equal))
    if unexplained:
        st.error(f"{said}; on {unexplained} the difference has no explanation. Please report this config.")
    elif reasons:
        st.info(f"{said}. The others differ as expected: {plain('; '.join(reasons))}.")
    else:
        st.success(f"{said}.")
    held = {layer.index: _held(layer) for layer in measured.layers}
    rows = [
        {
            "Layer": layer.index,
            "Kind": layer.kind,
            "Our payload, bytes": layer.payload_bytes,
            **held.get(layer.index, {"Held, bytes": 0}),
            "Verdict": layer.reason,
        }
        for layer in layers
    ]
    _table(rows, key="models_compared")


def _table(rows: list[dict[str, str | int]], *, key: str) -> None:
    names = [name for name in rows[0] if name.endswith("bytes")] if rows else []
    numbers = {name: st.column_config.NumberColumn(format="localized") for name in names}
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config=numbers,
        key=key,
        height=300,
        placeholder="–",
        alt=f"{len(rows)} layers: what transformers holds in each, in bytes and shapes.",
    )
    share.save_csv(rows, key=f"{key}_csv", file_name="headroom-cache-check.csv", label="Save the check as CSV")


def _held(layer: MeasuredLayer) -> dict[str, str | int]:
    return {
        "Held, bytes": layer.kv_bytes + layer.indexer_bytes,
        "Keys": _shape(layer.key_shape),
        "Values": _shape(layer.value_shape),
        "State, bytes": layer.state_bytes,
        "Cache class": layer.cache_class,
    }


def _shape(shape: tuple[int, ...] | None) -> str:
    return "–" if shape is None else " × ".join(f"{size:,}" for size in shape)
