"""Vega-Lite has nothing to warn of in the charts of Models, Size and Evidence, sized as a page sizes them."""

from collections.abc import Callable
from typing import Any

import pytest
import vl_convert

from core.evidence.studies import all_dots
from core.figures.comparison import ComparedModel, bar_rows, compare, context_rows, layer_rows, run_rows
from core.figures.evidence import quality_chart
from core.figures.house import dress
from core.figures.models import bytes_chart, context_chart, layers_chart
from core.figures.palette import LIGHT
from core.figures.sizing import options_chart
from core.figures.sizing_limits import frontier_chart, hold_chart
from core.figures.sizing_ranks import ranks_chart, splits
from core.figures.sizing_speed import step_chart
from core.models.registry import load_registry
from core.serving.job import ServingJob
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.options import option_grid
from core.serving.roofline import decode_bound
from core.serving.sweep import frontier
from core.serving.traffic import lognormal_traffic
from core.serving.traffic_fit import fit_traffic

JOB = ServingJob(model=LLAMA_2_13B, batch_size=32, context_length=65_536)
FIT = {"type": "fit", "contains": "padding"}  # what Streamlit asks for in a chart's config


def models() -> list[ComparedModel]:
    return [
        compare(model.name, status="recorded", facts="", config=model.config, config_text="")
        for model in load_registry()[:12]
    ]


def hold() -> Any:
    traffic = lognormal_traffic(mean=16_384, p95=40_000, output_share=0.25, longest_context=65_536)
    return hold_chart(fit_traffic(JOB.where(num_kv_heads=8, kv_bits=8), traffic).occupancy, LIGHT)


# Drawn by the test that looks at it: what is drawn here, every process of a run would draw while it collects.
CHARTS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: bytes_chart(bar_rows(models()), LIGHT, ghosts=True),
    "context": lambda: context_chart(context_rows(models()), LIGHT),
    "layers": lambda: layers_chart(layer_rows(models()), run_rows(models()), LIGHT),
    "options": lambda: options_chart(option_grid(JOB), LIGHT, chosen=1, width_bits=16),
    "frontier": lambda: frontier_chart(
        frontier(JOB), LIGHT, num_query_heads=40, chosen=8, context_length=65_536, batch_size=32, fits=False
    ),
    "hold": hold,
    "ranks": lambda: ranks_chart(splits(64, (1, 8, 64), 8), LIGHT, bytes_per_head=40_960, chosen=8),
    "step": lambda: step_chart(decode_bound(JOB.where(num_kv_heads=1)), LIGHT),
    "points": lambda: quality_chart(all_dots(), "points", LIGHT),
    "perplexity": lambda: quality_chart(all_dots(), "perplexity", LIGHT),
}


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_is_dropped_or_doubted(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    spec = dress({**CHARTS[name]().to_dict(), "width": 820}, LIGHT)
    spec["config"]["autosize"] = FIT
    vl_convert.vegalite_to_vega(spec, show_warnings=True)
    said = capfd.readouterr()
    assert said.out + said.err == ""
