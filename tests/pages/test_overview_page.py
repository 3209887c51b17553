"""The overview: the headline's verdict and picture, and one link to each job."""


def test_the_verdict_stands_over_its_picture(open_page):
    app = open_page("overview.py")
    said = " ".join(element.value for element in app.markdown)
    assert "At most G = 1 in bf16, G = 2 in 8 bits, G = 4 in 4 bits." in said
    assert "G = 8 fits at none of the three." in app.get("vega_lite_chart")[0].proto.alt


def test_each_job_is_one_click_away(open_page):
    links = [link.proto.label for link in open_page("overview.py").get("page_link")]
    assert links == ["**Learn**", "**Read**", "**Size**", "**Measure**"]


def test_the_version_is_on_the_page(open_page):
    assert open_page("overview.py").caption[-1].value == "Headroom 0.2.0"
