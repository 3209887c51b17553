"""The headline: literal verdicts of one H100 at 65,536 tokens and batch 32 for the Llama-2 13B shape."""

import vl_convert

from core.figures.house import dress
from core.figures.overview import headline_chart
from core.figures.palette import LIGHT
from core.serving.headline import headline_points, headline_sentence, largest_fitting


def test_the_largest_g_that_fits_at_each_precision():
    points = headline_points()
    assert len(points) == 8 * 3
    # 81,559 MiB x 0.9 = 76.97 GB; weights 26.03 GB and less, reserve 2 GB, cache 40 GiB x G in bf16
    assert {point.budget_bytes for point in points} == {81_559 * 2**20 * 9 // 10}
    assert largest_fitting(points) == {16: 1, 8: 2, 4: 4}
    assert headline_sentence(points) == "At most G = 1 in bf16, G = 2 in 8 bits, G = 4 in 4 bits."


def test_g_8_fits_at_none_and_g_5_misses_by_about_one_gb():
    points = {(p.num_kv_heads, p.kv_bits): p for p in headline_points()}
    assert not any(points[8, bits].fits for bits in (16, 8, 4))
    miss = points[5, 4].total_bytes - points[5, 4].budget_bytes
    assert 0.5e9 < miss < 1.5e9


def test_the_picture_draws_every_point_and_the_budget():
    spec = dress(headline_chart(headline_points(), LIGHT).properties(width=560).to_dict(), LIGHT)
    svg = vl_convert.vegalite_to_svg(spec)
    assert "budget 77.0 GB" in svg
    assert svg.count(LIGHT.cache) == 6  # 3 + 2 + 1 choices fit
