"""What each chosen model weighs, part by part, beside the cache of one sequence."""

import streamlit as st

from core.errors import SizingError
from core.figures.comparison import ComparedModel, plain
from core.figures.weights import weight_rows, weights_alt_text, weights_chart
from core.models.spec import UnsupportedConfig
from core.parameters.storage import every_weight_at
from core.serving.weights import ParameterCount, analytic_count
from core.units import format_bytes
from pages.shell import cached, style
from pages.tools.models import pick
from pages.tools.size.count import StillWaiting, counted, wait_for

CONTEXT = 32_768


def show_weights(models: list[ComparedModel]) -> None:
    """One bar a model; what cannot be counted says why, and what is being built is shown as that."""
    bars: dict[str, dict[str, int]] = {}
    said = []
    for model in models:
        try:
            count = _count(model)
        except StillWaiting as waiting:
            st.info(f"{plain(model.name)}: {waiting}", icon=":material/hourglass_top:")
            wait_for(waiting)
            continue
        except (SizingError, UnsupportedConfig) as error:
            said.append(f"{plain(model.name)}: {plain(str(error))}")
            continue
        if count is not None and count.parts and model.spec is not None:
            cache = model.spec.cache_bytes(context_length=CONTEXT, batch_size=1, bytes_per_element=2)
            bars[model.name] = every_weight_at(16).bytes_by_part(count) | {"cache": int(cache)}
    if bars:
        _draw(bars)
    for line in said:
        st.caption(line)


def _count(model: ComparedModel) -> ParameterCount | None:
    """Of a recorded model where its facts suffice, as Size counts it; of any other file too."""
    if model.spec is None:
        return None
    registered = pick.by_name().get(model.name)
    if registered is not None and model.config == registered.config and registered.leaves_out:
        raise SizingError("the facts recorded of it do not say its size: pull it from the Hub")
    return counted(model.spec, 0) or analytic_count(model.spec)


def _draw(bars: dict[str, dict[str, int]]) -> None:
    rows = weight_rows(bars)
    totals = {name: sum(parts.values()) - parts["cache"] for name, parts in bars.items()}
    heaviest = max(totals, key=lambda name: totals[name])
    sentence = (
        f"Weights at 16 bits by part, and at the end of each bar, in the cache's colour, what one sequence of "
        f"{CONTEXT:,} tokens keeps. K and V projections, which alone change with G, have that colour too, within the "
        f"weights. **{plain(heaviest)}** weighs most: {format_bytes(totals[heaviest])}. A bar's figure is of both."
    )
    spec = cached.chart_spec(
        f"models weights {rows!r}", st.context.theme.type or "light", lambda palette: weights_chart(rows, palette)
    )
    style.draw_spec(spec, sentence=sentence, alt_text=weights_alt_text(rows), key="models_weights")
    st.caption(
        "Counted from the facts shown here: what a recorded config leaves out, a vision tower say, is not in it."
    )
