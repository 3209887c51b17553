"""The weights' bar: segments end to end, small parts together, K and V told apart."""

from core.figures.palette import palette
from core.figures.weights import marked_change, weight_rows, weights_alt_text, weights_chart

PARTS = {"embedding": 2 * 10**9, "kv_projections": 10**9, "dense_ffn": 5 * 10**9, "norms": 10**6, "routers": 10**6}


def test_segments_lie_end_to_end_and_add_up():
    rows = weight_rows({"as published": PARTS})
    assert [(row["part"], row["left"], row["right"]) for row in rows] == [
        ("embedding", 0, 2), ("K and V", 2, 3), ("FFN", 3, 8), ("small parts", 8, 8.002),
    ]  # fmt: skip
    assert weights_alt_text(rows).startswith("Bytes of weights by part: as published, embedding 2.00 GB;")


def test_k_and_v_have_the_colour_of_keys_and_values():
    light = palette("light")
    spec = weights_chart(weight_rows({"as published": PARTS, "G = 1": {"dense_ffn": 10**9}}), light).to_dict()
    scale = spec["layer"][0]["encoding"]["color"]["scale"]
    assert scale["range"][scale["domain"].index("K and V")] == light.keys_values
    assert [value["label"] for value in spec["layer"][2]["data"]["values"]] == ["8.0 GB", "1.0 GB"]


def test_what_a_smaller_g_drops_is_outlined_and_weighs_nothing():
    """1 GB of K and V at G = 8 is 0.25 at G = 2; the rest stays where it was, so that the bars align."""
    smaller = {**PARTS, "kv_projections": 250 * 10**6}
    rows = weight_rows({"as published": PARTS, "G = 2": marked_change(smaller, PARTS)})
    assert [(r["part"], r["left"], r["right"]) for r in rows if r["model"] == "G = 2"] == [
        ("embedding", 0, 2), ("K and V", 2, 2.25), ("dropped", 2.25, 3), ("FFN", 3, 8), ("small parts", 8, 8.002),
    ]  # fmt: skip
    light = palette("light")
    spec = weights_chart(rows, light).to_dict()
    assert [value["label"] for value in spec["layer"][2]["data"]["values"]] == ["8.0 GB", "7.3 GB"]  # 7.252
    assert (spec["layer"][3]["mark"]["strokeDash"], spec["layer"][3]["mark"]["stroke"]) == ([4, 3], light.keys_values)


def test_what_a_larger_g_adds_is_told_apart():
    added = marked_change({**PARTS, "kv_projections": 4 * 10**9}, PARTS)
    rows = weight_rows({"G = 32": added})
    assert [(r["part"], r["gb"]) for r in rows][:3] == [("embedding", 2), ("K and V", 1), ("added", 3)]
    assert "dropped" not in {row["part"] for row in rows}
