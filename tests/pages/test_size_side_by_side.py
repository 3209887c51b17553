"""Side by side on Size: pin, change, see what moved; a link with four; what a link cannot mean; the record."""

import csv
import json
from urllib.parse import parse_qs

import pytest

from core.reports.decision_record import document_markdown
from pages.tools.size import pinned, side_by_side

PAGE = "tools/size/size.py"
TAB = "Side by side"
FOUR = [
    "model=Llama-2+13B", "model=Llama-2+13B&kv_bits=8", "model=Llama-2+13B&count=2",
    "model=Qwen3+32B&job=Serve+a+model&serve_context=8192",
]  # fmt: skip


def plainly(text: str) -> str:
    return text.replace("\\", "")


def columns(app) -> list[str]:
    return [plainly(str(head)) for head in app.table[-1].value.columns]


def said(app) -> str:
    return plainly(" ".join(element.value for element in [*app.markdown, *app.caption, *app.error, *app.warning]))


def test_pin_change_one_thing_and_see_what_moved(open_page):
    app = open_page(PAGE, size_tab=TAB)
    assert "Pin the job above, change one thing, and see what moved." in said(app)
    assert not app.table
    app.button(key="size_pin").click().run()
    assert app.query_params["size_pins"] in ("model=Llama-2+13B", ["model=Llama-2+13B"])
    assert app.button(key="size_pin").disabled
    app.number_input(key="size_batch").set_value(16).run()
    assert columns(app)[1:] == [
        "1. Llama-2 13B on one H100 SXM5 80 GB, 32 × 65,536 tokens, bf16 cache", "2. 16 requests",
    ]  # fmt: skip
    cells = [plainly(cell) for cell in app.table[-1].value.iloc[:, 2]]
    # G = 2 fits a batch of 16: as many bytes as G = 1 with 32
    assert cells[1:3] == ["2 (+1, × 2)", "42.95 GB (as the first)"]
    app.button(key="size_pin").click().run()
    assert app.query_params["size_pins"] == ["model=Llama-2+13B", "model=Llama-2+13B&batch=16"]
    app.button(key="size_open_1").click().run()
    assert app.number_input(key="size_batch").value == 32
    app.button(key="size_unpin_1").click().run()
    assert columns(app)[1] == "1. Llama-2 13B on one H100 SXM5 80 GB, 16 × 65,536 tokens, bf16 cache"
    assert columns(app)[2] == "2. 32 requests"


def test_a_link_carries_four_and_both_jobs_of_the_page(open_page):
    app = open_page(PAGE, size_tab=TAB, size_pins=FOUR)
    assert columns(app)[2:] == [
        "2. 8-bit cache", "3. 2 × H100 SXM5 80 GB",
        "4. Qwen3 32B, 1 request, 8,192 tokens and 1 more",
    ]  # fmt: skip
    assert app.button(key="size_pin").disabled
    app.button(key="size_open_4").click().run()
    assert not app.exception
    assert app.session_state["size_model"] == "Qwen3 32B"
    assert app.number_input(key="size_serve_context").value == 8_192


def test_the_tab_stands_where_a_model_is_served(open_page):
    app = open_page(PAGE, size_job="Serve a model", size_model="Qwen3 32B", size_serve_tab=TAB)
    app.button(key="size_pin").click().run()
    (text,) = (
        [app.query_params["size_pins"]]
        if isinstance(app.query_params["size_pins"], str)
        else app.query_params["size_pins"]
    )
    assert parse_qs(text) == {"model": ["Qwen3 32B"], "job": ["Serve a model"]}
    assert "Qwen3 32B on one H100 SXM5 80 GB, 1 × 32,768 tokens, bf16 cache" in columns(app)[1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "it does not read as inputs"),
        ("model=Llama-2+13B&kv_bits=x", "kv_bits is 'x': give a whole number"),
        ("model=Llama-2+13B&kv_bits=7", "kv_bits is '7', which this page does not offer"),
        ("model=Llama-2+13B&price=nan", "price is 'nan': give a number"),
        ("model=Llama-2+13B&own=1", "'own' is no input of this page"),
        ("model=Llama-2+13B&accelerator=H900", "accelerator is 'H900', which this page does not offer"),
        ("model=Llama-2+13B&g=7", "G is '7', which this model does not allow: 1, 2, 4, 5, 8, 10, 20, 40"),
        ("model=Llama-2+13B&batch=0", "batch_size is 0: give a whole number from 1"),
        ("model=Llama-2+13B&tp=3", "not a multiple of tensor_parallel 3"),
        ("model=" + "a" * 2_000, "it is 2,006 characters long, where 2,000 are the most"),
        ("model=A+file+of+your+own&file=00000000", "no file is there yet"),
    ],
)
def test_what_a_link_cannot_mean_is_said_and_stays(open_page, text, why):
    app = open_page(PAGE, size_tab=TAB, size_pins=["model=Llama-2+13B", text])
    assert why in app.error[0].value.replace("\\", "")
    assert "1. Llama-2 13B on one" in columns(app)[1]
    assert text in app.query_params["size_pins"]
    app.button(key="size_unpin_bad_2").click().run()
    assert not app.error
    assert text not in app.query_params["size_pins"]


def test_a_fifth_waits(open_page):
    app = open_page(PAGE, size_tab=TAB, size_pins=[*FOUR, "model=Llama-2+13B&batch=1"])
    assert "The link holds 5 pinned jobs; the first 4 are shown." in said(app)
    assert len(columns(app)) == 5
    app.button(key="size_unpin_1").click().run()
    assert app.query_params["size_pins"] == [*FOUR[1:], "model=Llama-2+13B&batch=1"]


def test_nothing_is_worked_out_while_the_tab_is_closed(open_page, monkeypatch):
    def never(_text: str) -> None:
        raise AssertionError("a closed tab asked")

    monkeypatch.setattr(pinned, "scenario", never)
    app = open_page(PAGE, size_pins=FOUR)
    assert not app.table


def test_the_decision_record_lists_them(open_page, monkeypatch):
    documents = []
    monkeypatch.setattr(
        "pages.tools.size.record.document_markdown",
        lambda document: documents.append(document) or document_markdown(document),
    )
    app = open_page(PAGE, size_tab="Record", size_pins=FOUR[:2])
    app.session_state["size_read"] = True
    app.run()
    found = document_markdown(documents[-1])
    assert "## Side by side" in found
    assert "| 2. 8-bit cache |" in found
    assert "| Weights | 21.94 GB | 22.05 GB (+104.86 MB, × 1.005) |" in found


# As llava-hf/llava-1.5-7b-hf ships it: no layer, head or width of the language model
LLAVA = {
    "model_type": "llava",
    "text_config": {"model_type": "llama", "max_position_embeddings": 4_096, "vocab_size": 32_064},
    "vision_config": {"model_type": "clip_vision_model", "hidden_size": 1_024, "num_hidden_layers": 24},
}  # fmt: skip


@pytest.mark.parametrize("job", [{}, {"size_job": "Serve a model"}], ids=["choose G", "serve"])
def test_a_file_of_class_defaults_says_so_above_every_figure_and_on_its_card(open_page, job):
    tab = {"size_serve_tab" if job else "size_tab": TAB}
    app = open_page(PAGE, size_model="A file of your own", size_parameters="7000000000", **job, **tab)
    app.file_uploader(key="size_upload").upload("config.json", json.dumps(LLAVA).encode()).run()
    app.button(key="size_pin").click().run()
    assert not app.exception
    order = [element for element in app.main if element.type in ("alert", "warning", "caption", "vega_lite_chart")]
    said = [place for place, element in enumerate(order) if "defaults of llama in transformers" in said_by(element)]
    drawn = [place for place, element in enumerate(order) if element.type == "vega_lite_chart"]
    assert len(said) == 2  # above the answer, and on the card above the picture of the tab
    assert said[0] < drawn[0]
    assert said[1] < drawn[-1]


def said_by(element) -> str:
    return str(getattr(element, "value", ""))


def test_a_spreadsheet_names_what_a_file_leaves_to_its_class():
    from core.models.spec import read_config
    from core.serving.job import ServingJob
    from core.serving.scenarios import Scenario, scenario_rows

    specs = [read_config(LLAVA), read_config(LLAVA | {"text_config": {"model_type": "llama", "num_hidden_layers": 2}})]
    scenarios = [
        Scenario(model_name="A", job=ServingJob(model=spec, batch_size=1, context_length=64)) for spec in specs
    ]
    first, second = side_by_side.csv_rows(list(scenario_rows(scenarios)))
    assert (first["Remarks"], second["Remarks"]) == (specs[0].caution, "")
    assert "Remarks" not in side_by_side.csv_rows(list(scenario_rows(scenarios[1:])))[0]


def test_a_spreadsheet_gets_numbers_with_their_units():
    from core.host.spreadsheet import csv_text
    from core.serving.job import ServingJob
    from core.serving.model_shapes import LLAMA_2_13B
    from core.serving.scenarios import Scenario, scenario_rows

    job = ServingJob(model=LLAMA_2_13B, batch_size=32, context_length=65_536, num_kv_heads=1, memory_reading="device")
    rows = scenario_rows([Scenario(model_name="=A", job=at) for at in (job, job.where(kv_bits=8))])
    first, second = csv.DictReader(csv_text(side_by_side.csv_rows(list(rows))).splitlines())
    assert first["Scenario"].startswith("'=A on one")  # no cell that a spreadsheet runs
    assert first["Cache, payload, bytes"] == "42949672960"
    assert second["Cache, payload, difference from the first, bytes"] == "-21474836480"
    assert second["Cache, payload, ratio to the first"] == "0.5"
