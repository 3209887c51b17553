"""The Size page's Measure tab through AppTest: the run that the job asks for, and what it measures otherwise."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.decode import store, worker
from core.decode.plan import DecodeJob
from pages.tools.size.measure import measured_kv_heads
from tests.core.decode.records import run_record

PAGE = "tools/size/size.py"
Opener = Callable[..., AppTest]
# numpy's default_rng(0) over the page's own traffic, log-normal with a mean of 16,384 and a p95 of 40,000 tokens: four
# sequences of it in flight. Drawn once by Traffic.sample, which tests/core/serving holds against its model.
FOUR = (24_816, 13_233, 5_654, 4_466)


class Ended:
    """A run that is over, as the worker would hand it out."""

    key = "ended"

    def __init__(self, job: DecodeJob) -> None:
        self.state = worker.RunState(job=job, status="complete", record=run_record(), results=run_record().results)


@pytest.fixture(autouse=True)
def host(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("pages.tools.decode.panel.available_bytes", lambda: 12 * 10**9)


@pytest.fixture
def started(with_torch, monkeypatch) -> list[DecodeJob]:
    """The jobs that the button hands to the worker."""
    jobs: list[DecodeJob] = []
    monkeypatch.setattr(worker, "start", lambda job, *_options: jobs.append(job) or Ended(job))
    return jobs


def measured(open_page: Opener, **query: str) -> AppTest:
    return open_page(PAGE, **{"size_tab": "Measure", "size_batch": "4", **query})


def said(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption])


def press(app: AppTest) -> None:
    app.button(key="size_decode_start").click().run()
    assert not app.exception


def test_the_jobs_traffic_is_what_is_measured(open_page: Opener, started: list[DecodeJob]):
    app = measured(open_page)
    assert (
        "The 4 sequences hold 4,466 to 24,816 tokens, drawn from the Traffic tab's traffic with a fixed seed (0), "
        "the same every time." in said(app)
    )
    assert "one layer, 4 × 4,466 to 24,816 tokens in bfloat16" in said(app)
    press(app)
    job = started[0]
    assert (job.lengths, job.batch_size, job.dtype, job.quick) == (FOUR, 4, "bfloat16", False)
    assert job.kv_heads == (40, 8, 4, 1)


def test_the_g_under_discussion_is_among_those_measured(open_page: Opener, started: list[DecodeJob]):
    # at batch 32 the largest that fits 8 bits is G = 2, of which the tab spoke and which it left out
    app = measured(open_page, size_batch="32", size_kv_bits="8")
    assert "G = 2 with an 8-bit cache needs" in said(app)
    press(app)
    assert started[0].kv_heads == (40, 8, 2, 1)


@pytest.mark.parametrize(
    ("choices", "looked_at", "kv_heads"),
    [
        ([1, 2, 4, 5, 8, 10, 20, 40], 10, (40, 10, 8, 1)),
        ([1, 2, 4, 5, 8, 10, 20, 40], 8, (40, 8, 4, 1)),
        ([1, 2, 4, 5, 8, 10, 20, 40], 40, (40, 8, 4, 1)),
        ([1, 2, 4, 5, 8, 10, 20, 40], None, (40, 8, 4, 1)),
        ([1, 3, 9], 3, (9, 3, 1)),
    ],
)
def test_which_gs_are_measured(choices: list[int], looked_at: int | None, kv_heads: tuple[int, ...]):
    assert measured_kv_heads(choices, looked_at) == kv_heads


def test_constant_traffic_is_measured_at_equal_contexts(open_page: Opener, started: list[DecodeJob]):
    app = measured(open_page, size_traffic="Constant", size_context="4096")
    assert "Contexts are constant in the Traffic tab: the 4 sequences hold 4,096 tokens each." in said(app)
    press(app)
    assert started[0].sequence_lengths == (4096,) * 4
    assert started[0].lengths == ()


def test_a_csv_that_is_not_there_yet_is_said(open_page: Opener):
    app = measured(open_page, size_traffic="CSV of requests", size_context="4096")
    assert "The Traffic tab has no CSV of requests yet: until then the 4 sequences hold 4,096 tokens each." in said(app)


def test_requests_of_a_csv_are_what_is_measured(open_page: Opener, started: list[DecodeJob]):
    app = measured(open_page, size_traffic="CSV of requests")
    rows = b"prompt_tokens,output_tokens\n" + b"1000,1\n" * 3  # one token of output: 1,001 tokens at every moment
    app.file_uploader(key="size_requests").upload("requests.csv", rows).run()
    press(app)
    assert started[0].lengths == (1001,) * 4


def test_one_copys_share_of_the_batch_is_drawn(open_page: Opener, started: list[DecodeJob]):
    app = measured(open_page, size_batch="8", size_count="2")
    assert "The 4 sequences hold" in said(app)
    press(app)
    assert started[0].lengths == FOUR


def test_one_sequence_is_spoken_of_as_one(open_page: Opener):
    app = measured(open_page, size_batch="1", size_traffic="Constant", size_context="4096")
    assert "the one sequence holds 4,096 tokens." in said(app)


def test_traffic_that_cannot_be_is_said_without_a_button(open_page: Opener):
    app = measured(open_page, size_p95="100000")
    assert app.error[0].value.startswith("The Traffic tab's contexts cannot be drawn: p95 is 100,000")
    assert "Measure decoding on this host" not in [button.label for button in app.button]
    assert app.session_state["size_p95"] == 100_000


@pytest.mark.parametrize(
    ("bits", "dtype", "words"),
    [
        ("16", "bfloat16", ""),
        (
            "8",
            "float8_e4m3fn",
            "The 8-bit cache is measured as fp8 (e4m3) under bf16 queries, with one scale a KV head",
        ),
        ("4", "int4", "The 4-bit cache is measured as int4 under bf16 queries, with a float16 scale for 32 elements"),
        (
            "2",
            "bfloat16",
            "a 2-bit cache: a bf16 cache is measured in its place, which is 8 times the bytes.",
        ),
    ],
)
def test_the_caches_width_is_measured_where_a_kernel_reads_it(
    open_page: Opener, started: list[DecodeJob], bits: str, dtype: str, words: str
):
    app = measured(open_page, size_kv_bits=bits)
    assert words in said(app)
    assert ("cache is measured" in said(app)) is bool(words)
    press(app)
    assert started[0].dtype == dtype


def test_a_whole_layer_with_its_whole_context_is_what_is_measured(open_page: Opener):
    plain = said(measured(open_page))
    assert "tensor-parallel parts" not in plain
    assert "keep a window" not in plain
    app = measured(open_page, size_count="2", size_tp="2", size_windows="Some layers keep a window")
    assert "The layer is measured whole, not as one of its 2 tensor-parallel parts." in said(app)
    assert "Layers that keep a window read less than the layer measured here" in said(app)


@pytest.mark.parametrize(
    ("lengths", "words"), [([], "2 × 1,024 tokens in bfloat16"), ([300, 1024], "2 × 300 to 1,024 tokens in bfloat16")]
)
def test_the_last_measurement_says_which_contexts_it_had(open_page: Opener, lengths: list[int], words: str):
    shape = {"num_query_heads": 40, "context_length": 1024, "batch_size": 2, "lengths": lengths}
    store.save(run_record(job={**run_record().job, **shape}))
    assert f"one layer's decode attention, {words}" in said(open_page(PAGE, size_tab="Speed and cost"))
