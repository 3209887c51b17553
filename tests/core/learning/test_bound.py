"""Intensity by hand, against the papers' own, and the recorded measurement."""

import pytest

from core.figures.bound import measured_picture, ridge_picture
from core.figures.palette import palette
from core.learning.bound import (
    KV_HEADS,
    QUERIES,
    absorbed_intensity,
    grouped_intensity,
    measured,
    weight_intensity,
)

LIGHT = palette("light")


def test_grouped_heads_do_k_times_h_over_g_flops_a_byte_at_16_bits() -> None:
    # arXiv 2505.21487, Table 1: about 1 for MHA, H / G for GQA, H for MQA; two query tokens double it (Figure 3)
    assert [grouped_intensity(40, g, 1) for g in KV_HEADS] == [1.0, 5.0, 40.0]
    assert grouped_intensity(40, 8, 2) == 10.0
    assert grouped_intensity(64, 8, 1, bytes_per_element=1) == 16.0  # Qwen3-32B in FP8: arXiv 2507.19427, 16.1


def test_absorbed_mla_is_near_the_ridge_with_one_token() -> None:
    # 2 x 128 x (576 + 512) / (576 x 2) = 241.8, in the same table about 2 x 128; in FP8 483.6 (2507.19427 prints 510.4,
    # with what it counts beside)
    assert absorbed_intensity(1) == pytest.approx(241.78, abs=0.01)
    assert absorbed_intensity(4) == pytest.approx(4 * 241.78, abs=0.04)


def test_weights_carry_two_flops_for_each_token_of_the_step() -> None:
    assert weight_intensity(32, 1) == 32
    assert weight_intensity(32, 4, 1_024) == 1_152


def test_the_recorded_run_has_every_g_and_k_with_machine_and_command() -> None:
    found = measured()
    assert {g: tuple(row) for g, row in found.seconds.items()} == dict.fromkeys(KV_HEADS, QUERIES)
    assert found.command == "python -m core.decode.many_queries"
    assert "one thread" in found.machine
    assert all(found.times(g, 1) == 1 for g in KV_HEADS)


def test_the_pictures_say_where_the_ridge_lies_and_who_is_past_it() -> None:
    drawn = ridge_picture(LIGHT, accelerator="h100-sxm", batch_size=32, chunk=0)
    assert "lies at 295 FLOPs a byte" in drawn.sentence
    assert "MQA, G = 1 from k = 8" in drawn.sentence  # 40 x 8 = 320
    assert "MLA, absorbed from k = 2" in drawn.sentence
    assert "the weights stay left of it" in drawn.sentence
    chunked = ridge_picture(LIGHT, accelerator="h100-sxm", batch_size=32, chunk=1_024)
    assert "the weights from k = 1" in chunked.sentence
    assert f"{measured().times(40, 8):.1f} times at G = 40" in measured_picture(LIGHT).sentence
