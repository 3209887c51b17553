"""The evidence page through AppTest: every study with its source, a filter, and the disagreements said."""

import pytest
from streamlit.testing.v1 import AppTest

PAGE = "reference/evidence.py"


def texts(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption])


def alts(app: AppTest) -> list[str]:
    return [chart.proto.alt for chart in app.get("vega_lite_chart")]


def test_both_scales_with_their_ranges_and_sources(open_page):
    app = open_page(PAGE)
    assert "**MQA** −8.22 to −0.39 points (3 comparisons)" in texts(app)
    assert "**GQA** −1.4 to +2.8 % perplexity (6 comparisons)" in texts(app)
    assert ["DeepSeek-V2 study, 7B: MQA −8.22 points" in alt for alt in alts(app)] == [True, False]
    assert "https://arxiv.org/abs/2405.04434" in texts(app)


def test_the_disagreements_are_said(open_page):
    said = texts(open_page(PAGE))
    assert "Llama 2 says +0.13 points and T5-XXL −0.10 points: within noise." in said
    assert "says −3.92 points. All three put MQA below GQA-8." in said
    assert "(−1.1 % perplexity at 1.47B). With the FFN fixed, the CLA study has it worse (+1.6 % perplexity" in said


def test_a_link_restores_the_filter(open_page):
    app = open_page(PAGE, evidence_held="Dropped", evidence_kind="MQA")
    assert "T5-XXL, 11B: MQA" in alts(app)[0]
    assert "Llama 2" not in alts(app)[0]
    assert "GQA" not in " ".join(alts(app))


def test_a_filter_that_leaves_nothing_says_so(open_page):
    app = open_page(PAGE, evidence_size="≥ 7B")
    assert [info.value for info in app.info] == ["No study in this selection reports perplexity."]
    assert len(alts(app)) == 1


@pytest.mark.parametrize(("topic", "expected"), [("window", "perplexity 5,158"), ("paging", "96.3 %")])
def test_findings_by_topic(open_page, topic, expected):
    app = open_page(PAGE)
    app.selectbox(key="evidence_topic").set_value(topic).run()
    assert expected in texts(app)


def test_a_figure_read_off_a_chart_is_marked(open_page):
    app = open_page(PAGE)
    app.selectbox(key="evidence_topic").set_value("speed").run()
    assert "Approximate. Time per sample of T5-XXL" in texts(app)
