"""Each published change is written once over its halo, though a side of the dots that has no label makes no marks."""

import re

import pytest
import vl_convert

from core.evidence.studies import all_dots
from core.figures.evidence import Scale, quality_chart, quality_rows
from core.figures.palette import LIGHT

ON_EACH_SIDE_OF_A_DOT = 6  # above and below: at its middle, and beginning or ending at it


@pytest.mark.parametrize("scale", ["points", "perplexity"])
@pytest.mark.parametrize("kind", ["GQA", "MQA"])
def test_each_label_is_written_over_its_halo(scale: Scale, kind: str):
    dots = [dot for dot in all_dots() if dot.kind == kind]
    spec = {**quality_chart(dots, scale, LIGHT).to_dict(), "width": 700}
    written = re.findall(r"<text[^>]*>([^<]*)</text>", vl_convert.vegalite_to_svg(spec))
    labels = [" ".join(row["label"].split()) for row in quality_rows(dots, scale)]
    said = [" ".join(text.split()) for text in written]
    assert labels
    assert all(said.count(label) == 2 * labels.count(label) for label in labels)
    texts = [layer for layer in spec["layer"] if layer["mark"]["type"] == "text" and "transform" in layer]
    assert len(texts) < 2 * ON_EACH_SIDE_OF_A_DOT
