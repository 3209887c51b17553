"""Models side by side: rows, sentences and the rows of the charts, against hand arithmetic."""

from typing import Any

import pytest

from core.figures.comparison import (
    CONTEXTS,
    ComparedModel,
    bar_rows,
    compare,
    context_rows,
    context_sentence,
    headline,
    kept_bytes,
    layer_rows,
    layers_text,
    mha_bytes_per_token,
    plain,
    run_rows,
    table_row,
    window_text,
)
from core.figures.models import bytes_chart
from core.figures.palette import LIGHT
from core.models.registry import load_registry

REGISTRY = {model.name: model for model in load_registry()}


def model(name: str) -> ComparedModel:
    entry = REGISTRY[name]
    return compare(name, status="recorded", facts="recorded", config=entry.config, config_text=entry.config_text)


def spec(name: str) -> Any:
    read = model(name).spec
    assert read is not None, model(name).problem
    return read


def test_falcon_7b_row() -> None:
    # 32 layers x 1 head x 64 x 2 (K, V) x 2 bytes = 8,192 bytes = 8 KiB
    row = table_row(model("Falcon-7B"))
    assert (row["Kind"], row["H"], row["G"], row["head_dim"], row["L"]) == ("MQA", 71, 1, 64, 32)
    assert (row["Bytes per token"], row["KiB/token"]) == (8_192, 8.0)
    assert row["Declared by"] == "multi_query: true"
    assert row["Window"] == "none"


def test_falcon_40b_row() -> None:
    # 60 layers x 8 heads x 64 x 2 x 2 bytes = 122,880 bytes
    row = table_row(model("Falcon-40B"))
    assert (row["Kind"], row["H"], row["G"], row["Bytes per token"]) == ("GQA", 128, 8, 122_880)
    assert row["Declared by"] == "num_kv_heads: 8"


def test_a_file_that_says_nothing_about_kv_heads_is_told_so() -> None:
    assert table_row(model("Llama-1 7B"))["Declared by"] == "absent"
    assert table_row(model("Llama-1 7B"))["Kind"] == "MHA"


def test_windows_are_told_per_layer() -> None:
    # Mistral 7B v0.1 slides on all 32 layers; Gemma-3 27B on 52 of 62 (every sixth of 62 is full: 10)
    assert window_text(spec("Mistral-7B v0.1")) == "4,096"
    assert window_text(spec("Gemma-3 27B")) == "1,024 (52/62)"
    assert layers_text(spec("Gemma-3 27B")) == "52 × (G = 16 × 128, last 1,024 tokens) + 10 × (G = 16 × 128)"


def test_latent_and_recurrent_layers_have_no_heads_of_a_cache() -> None:
    row = table_row(model("DeepSeek-V3"))
    # 61 layers x (512 + 64) x 2 bytes = 70,272
    assert (row["Kind"], row["H"], row["G"], row["Bytes per token"]) == ("MLA", 128, None, 70_272)
    mamba = table_row(model("Mamba-Codestral 7B"))
    assert (mamba["Kind"], mamba["G"], mamba["Bytes per token"]) == ("no KV cache", None, 0)
    assert table_row(model("Jamba v0.1"))["Kind"] == "GQA hybrid"


def test_a_config_that_is_refused_keeps_its_reason() -> None:
    refused = compare("x", status="pasted", facts="pasted", config={"model_type": "bert"}, config_text="{}")
    assert refused.spec is None
    row = table_row(refused)
    assert row["Kind"] == "not read"
    assert row["Layers"] == refused.problem
    assert "bert" in str(refused.problem)


def test_the_headline_compares_the_extremes() -> None:
    # Llama-1 7B: 32 layers x 32 heads x 128 x 2 x 2 = 524,288 bytes = 512 KiB = 64 x 8 KiB
    said = headline([model("Llama-1 7B"), model("Mistral-7B v0.1"), model("Falcon-7B")])
    assert said == "**Falcon-7B** keeps 8 KiB per token, **Llama-1 7B** 512 KiB: 64 times more."


def test_the_headline_of_one_of_equals_and_of_none() -> None:
    assert headline([model("Falcon-7B")]) == "**Falcon-7B** keeps 8 KiB per token."
    assert headline([model("Llama-3 8B"), model("Llama-3\u002e1 8B")]).endswith(
        "and the others keep 128 KiB per token."
    )
    assert headline([]) == headline([model("Mamba-Codestral 7B")])


def test_bars_go_from_the_largest_to_the_smallest_with_what_mha_would_keep() -> None:
    rows = bar_rows([model("Falcon-7B"), model("Llama-2 70B"), model("Mamba-Codestral 7B")])
    assert [row["model"] for row in rows] == ["Llama-2 70B", "Falcon-7B", "Mamba-Codestral 7B"]
    # Llama-2 70B: 80 x 8 x 128 x 4 = 327,680; with all 64 heads 2,621,440. Falcon-7B: 71 x 8,192 = 581,632
    assert [(row["bytes"], row["mha_bytes"]) for row in rows] == [(327_680, 2_621_440), (8_192, 581_632), (0, 0)]
    assert rows[1]["label"] == "8 KiB · MQA, G = 1 of 71"
    assert rows[1]["kind"] == "MQA"


def test_mha_changes_nothing_for_latent_layers() -> None:
    assert mha_bytes_per_token(spec("DeepSeek-V3")) == 70_272


def test_a_window_bends_the_line_and_then_keeps_it_flat() -> None:
    rows = {row["context"]: row["bytes"] for row in context_rows([model("Mistral-7B v0.1")])}
    # 131,072 bytes per token until 4,096 tokens: 512 MiB, and no more
    assert rows[1_024] == 131_072 * 1_024
    assert rows[4_096] == rows[1_048_576] == 536_870_912
    assert list(rows) == list(CONTEXTS)


def test_a_recurrent_state_is_a_line_that_never_grows() -> None:
    rows = [row["bytes"] for row in context_rows([model("Mamba-Codestral 7B")])]
    assert len(rows) == len(CONTEXTS)
    assert len(set(rows)) == 1
    assert rows[0] > 0


def test_the_sentence_about_context_names_the_extremes_and_who_stopped() -> None:
    said = context_sentence([model("Llama-1 7B"), model("Mistral-7B v0.1")])
    # 524,288 x 131,072 bytes = 64 GiB
    assert "At 131,072 tokens **Llama-1 7B** keeps 64 GiB for one sequence, **Mistral-7B v0\\.1** 512 MiB." in said
    assert "**Mistral-7B v0\\.1** has stopped growing" in said
    assert context_sentence([model("Mamba-Codestral 7B")]).endswith("7B**: a state, the same at any length.")
    assert "stopped" not in context_sentence([model("Llama-1 7B"), model("Falcon-7B")])


def test_strips_have_a_cell_a_layer() -> None:
    rows = layer_rows([model("Jamba v0.1")])
    # attention on layers 4, 12, 20, 28 of 32 (offset 4, period 8)
    assert [row["layer"] for row in rows if row["kept"] == "all"] == [4, 12, 20, 28]
    assert {row["kept"] for row in rows} == {"all", "state"}
    assert rows[4]["left"] == 4 / 32
    assert rows[4]["right"] == 5 / 32


def test_a_mixer_beside_attention_is_a_cell_of_its_own() -> None:
    rows = layer_rows([model("Falcon-H1 0.5B")])
    assert [row["kept"] for row in rows[:2]] == ["all", "beside"]
    assert len(rows) == 2 * 36
    assert kept_bytes(spec("Falcon-H1 0.5B"), 1) > spec("Falcon-H1 0.5B").kv_bytes_per_token()


def test_runs_of_equal_layers_are_labelled_where_there_is_room() -> None:
    assert [row["label"] for row in run_rows([model("Llama-2 70B")])] == ["GQA, G = 8"]
    labels = [row["label"] for row in run_rows([model("gpt-oss-20b")])]
    assert labels == ["8"] * 24  # alternating layers: only the number fits
    assert run_rows([model("Falcon-7B")])[0]["centre"] == 0.5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>x</b>", "\\<b\\>x\\</b\\>"),
        ("[a](b)", "\\[a\\]\\(b\\)"),
        ("![a](b)", "!\\[a\\]\\(b\\)"),
        ("a_b*c`d`", "a\\_b\\*c\\`d\\`"),
        ("$x$ :smile:", "\\$x\\$ \\:smile\\:"),
        ("https://a.b", "https\\:\u2060//a\\.b"),
        ("invoice\u202efdp.exe", "invoice\ufffdfdp\\.exe"),  # a browser would show it as invoiceexe.pdf
        ("\u2066a\u2069\x00\ud800", "\ufffda\ufffd\ufffd\ufffd"),
    ],
)
def test_plain_text_stays_text_in_markdown(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_an_address_of_ours_may_stay_a_link() -> None:
    assert plain("https://a.b", links=True) == "https\\://a\\.b"


V32 = {
    "model_type": "deepseek_v32", "hidden_size": 7_168, "num_hidden_layers": 61, "num_attention_heads": 128,
    "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "q_lora_rank": 1_536,
    "index_head_dim": 128, "index_n_heads": 64, "index_topk": 2_048, "vocab_size": 129_280,
}  # fmt: skip


def test_index_keys_are_in_every_figure_and_named() -> None:
    """DeepSeek-V3.2: 61 layers x (512 + 64 + 128 of the index) x 2 bytes = 85,888 a token, 15,616 of them keys."""
    found = compare("V3.2", status="pasted", facts="pasted", config=V32, config_text="{}")
    assert found.spec is not None
    assert table_row(found)["Bytes per token"] == 85_888
    (bar,) = bar_rows([found])
    assert (bar["bytes"], bar["beside_bytes"], bar["mha_bytes"]) == (85_888, 15_616, 85_888)
    assert bar["label"] == "83.9 KiB · MLA, index keys 15.2 KiB"
    assert bar["layers"] == "61 × (latent 512 + 64, index key 128)"
    rows = {row["context"]: row["bytes"] for row in context_rows([found])}
    assert rows[1_048_576] == 1_048_576 * 85_888
    assert headline([found]) == "**V3\\.2** keeps 83.9 KiB per token."


def test_a_compressed_entry_counts_as_a_share_of_each_of_its_tokens() -> None:
    config = {
        "model_type": "deepseek_v4", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "head_dim": 32, "index_head_dim": 16, "sliding_window": 8, "compress_ratios": [4, 128],
    }  # fmt: skip
    found = compare("V4", status="pasted", facts="pasted", config=config, config_text="{}")
    assert found.spec is not None
    # 2 layers x 32 in the windows; a quarter of 32 + 16 and a 128th of 32: 64 + 12 + 0.25 elements of 2 bytes
    assert found.spec.cache_parts_per_token() == {
        "keys and values": 128, "index keys": 8, "compressed entries": 16.5,
    }  # fmt: skip
    assert table_row(found)["Bytes per token"] == 152  # 152.5, to the even byte
    assert "1 entry for 4 tokens, index key 16" in layers_text(found.spec)


def test_the_end_of_a_bar_is_paler_where_it_is_index_keys() -> None:
    found = compare("V3.2", status="pasted", facts="pasted", config=V32, config_text="{}")
    layers = bytes_chart(bar_rows([found]), LIGHT).to_dict()["layer"]
    assert len(layers) == 4
    assert layers[2]["encoding"]["x"]["field"] == "own"
    assert len(bytes_chart(bar_rows([model("Falcon-7B")]), LIGHT).to_dict()["layer"]) == 3
