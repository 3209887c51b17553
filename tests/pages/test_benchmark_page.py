"""The benchmark page through AppTest: the plan before the run, kept and recorded runs, every ending in words."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.decode import store, worker
from core.decode.__main__ import job_of, parser
from core.decode.plan import DecodeJob, StepShape
from core.decode.record_files import to_csv, to_json
from core.decode.records import Roofline
from pages.tools.decode.history import NO_GPU_RUN
from pages.tools.decode.panel import AMX_NEVER_RUN, FULL, NEVER_RUN, QUICK
from tests.core.decode.records import CHECK, STEPS, run_record

PAGE = "tools/decode/benchmark.py"
Opener = Callable[..., AppTest]


class Ended:
    """A run that is over, as the worker would hand it out."""

    key = "ended"

    def __init__(self, state: worker.RunState) -> None:
        self.state = state


@pytest.fixture(autouse=True)
def data_directory(tmp_path, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("pages.tools.decode.panel.available_bytes", lambda: 12 * 10**9)
    yield
    worker.stop_all()


def said(app: AppTest) -> str:
    return as_read(" ".join(element.value for element in [*app.markdown, *app.caption]))


def as_read(markdown: str) -> str:
    """Without the marks that keep a file's words from being taken for Markdown."""
    return markdown.replace("\\", "")


def alts(app: AppTest) -> list[str]:
    return [chart.proto.alt for chart in app.get("vega_lite_chart")]


def state_of(**changes: object) -> worker.RunState:
    job = DecodeJob(num_query_heads=8, kv_heads=(8, 1), head_dim=64, context_length=1024, batch_size=2)
    record = run_record()
    fields = {"job": job, "status": "complete", "message": "", "record": record, "results": record.results}
    return worker.RunState(**{**fields, **changes})


def test_the_bytes_are_shown_before_the_run(open_page: Opener):
    app = open_page(PAGE)
    # 2 x G x 128 x 2 bytes x 16,384 tokens, and 4 x 40 x 128 x 16,384 FLOPs
    assert "**335.5 MB** at G = 40, **67.1 MB** at G = 8, **8.4 MB** at G = 1, and compute 0.34 GFLOP" in said(app)
    assert not app.error


@pytest.mark.parametrize(
    ("heads", "context", "words"),
    # 4 x H x 128 x context FLOPs
    [("4", "256", "and compute 0.52 MFLOP at any G."), ("1", "1", "and compute 512 FLOP at any G.")],
)
def test_the_arithmetic_of_a_small_job_is_no_zero(open_page: Opener, heads: str, context: str, words: str):
    assert words in said(open_page(PAGE, bench_heads=heads, bench_context=context))


def test_a_link_sets_the_job_and_a_large_one_is_scaled_in_words(open_page: Opener):
    app = open_page(PAGE, bench_context="65536", bench_batch="32")
    assert "On this host's CPU, one layer, 2 × 65,536 tokens in bfloat16" in said(app)
    assert "Scaled down to fit: batch 2 " in said(app)
    assert "; times for the job itself are 16.0" in said(app)


def test_a_gpu_is_held_to_the_quick_limit_and_not_to_the_cpus_memory(open_page: Opener, monkeypatch):
    monkeypatch.setattr("pages.tools.decode.panel.has_nvidia_gpu", lambda: True)
    quick = open_page(PAGE, bench_context="65536", bench_batch="32", bench_run_size=QUICK)
    # at G = 40 a sequence of 65,536 tokens is 1.34 GB of cache and 2.68 GB in float32; one of 16,384 fits 2 GB
    assert "On this host's GPU, one layer, 1 × 16,384 tokens" in said(quick)
    assert "Scaled down to fit: batch 1 " in said(quick)
    full = open_page(PAGE, bench_context="65536", bench_batch="32")
    assert "On this host's GPU, one layer, 32 × 65,536 tokens in bfloat16: each step must read **42.9 GB**" in said(
        full
    )
    assert "A job that does not fit into the GPU's free memory is scaled down by the run" in said(full)


@pytest.mark.usefixtures("with_torch")
def test_every_kernel_is_tried_unless_quick_is_asked_for(open_page: Opener, monkeypatch):
    asked: list[tuple[DecodeJob, tuple[str, ...]]] = []

    def start(job: DecodeJob, *options: str) -> Ended:
        asked.append((job, options))
        return Ended(state_of())

    monkeypatch.setattr(worker, "start", start)
    full = open_page(PAGE)
    assert full.segmented_control(key="bench_run_size").value == FULL
    assert "Full tries every kernel that this host has, at the job's own shape where that fits" in said(full)
    assert "The run has **300 s**: what is not measured by then is left out" in said(full)
    full.button(key="bench_start").click().run()
    quick = open_page(PAGE, bench_run_size=QUICK)
    assert "Quick takes at most 2 GB of memory for the attention and leaves out" in said(quick)
    quick.button(key="bench_start").click().run()
    assert [(job.quick, options) for job, options in asked] == [(False, ()), (True, ("--memory-limit", "2.0"))]


@pytest.mark.usefixtures("with_torch")
def test_device_and_time_limit_are_set_by_a_link_and_reach_the_run(open_page: Opener, monkeypatch):
    asked: list[DecodeJob] = []
    monkeypatch.setattr(worker, "start", lambda job, *_options: asked.append(job) or Ended(state_of()))
    app = open_page(PAGE, bench_device="cpu", bench_seconds="90")
    assert "The run has **90 s**" in said(app)
    app.button(key="bench_start").click().run()
    assert [(job.device, job.seconds_limit) for job in asked] == [("cpu", 90)]


def test_the_cpu_is_planned_for_where_it_is_chosen_beside_a_gpu(open_page: Opener, monkeypatch):
    monkeypatch.setattr("pages.tools.decode.panel.has_nvidia_gpu", lambda: True)
    assert "On this host's CPU, one layer" in said(open_page(PAGE, bench_device="cpu"))


def test_cuda_without_a_gpu_is_said_before_the_run(open_page: Opener, monkeypatch):
    monkeypatch.setattr("pages.tools.decode.panel.has_nvidia_gpu", lambda: False)
    app = open_page(PAGE, bench_device="cuda")
    assert app.warning[0].value.startswith("No NVIDIA GPU is seen on this host.")


@pytest.mark.parametrize("device", ["mps", "xpu"])
def test_a_device_that_nothing_was_run_on_is_said_to_be_one(open_page: Opener, monkeypatch, device):
    monkeypatch.setattr("pages.tools.decode.panel.has_nvidia_gpu", lambda: False)
    app = open_page(PAGE, bench_device=device)
    assert [warning.value for warning in app.warning] == [NEVER_RUN]


def test_a_processor_with_amx_is_said_to_be_one_that_nothing_was_run_on(open_page: Opener, monkeypatch):
    monkeypatch.setattr("pages.tools.decode.panel.has_amx", lambda: False)
    assert AMX_NEVER_RUN not in said(open_page(PAGE, bench_device="cpu"))
    monkeypatch.setattr("pages.tools.decode.panel.has_amx", lambda: True)
    assert AMX_NEVER_RUN in said(open_page(PAGE, bench_device="cpu"))
    assert AMX_NEVER_RUN not in said(open_page(PAGE, bench_device="cuda"))


@pytest.mark.parametrize(("load", "shown"), [(None, False), (0.2, False), (1.6, True)])
def test_a_busy_machine_is_named_before_the_run(open_page: Opener, monkeypatch, load, shown):
    monkeypatch.setattr("pages.tools.decode.panel.load_of_last_minute", lambda: load)
    words = said(open_page(PAGE))
    assert ("In the last minute 1.6 cores of this machine were asked for." in words) is shown
    assert ("beside other work is slower and less sure: wait until that is done" in words) is shown


@pytest.mark.parametrize("limit", ["0", "-5", "90000"])
def test_a_time_limit_that_cannot_be_is_refused_and_nothing_entered_is_lost(open_page: Opener, limit):
    app = open_page(PAGE, bench_seconds=limit, bench_context="2048", bench_whole="true", bench_ffn="4096")
    assert "give more than 0 and at most 86,400" in app.error[0].value
    assert app.number_input(key="bench_seconds").value == int(limit)
    assert app.number_input(key="bench_context").value == 2048
    assert app.number_input(key="bench_ffn").value == 4096


def test_traffic_that_cannot_be_loses_no_input(open_page: Opener):
    app = open_page(PAGE, bench_contexts="Drawn from traffic", bench_mean="9", bench_p95="5", bench_whole="true")
    assert "p95 is 5 with a mean of 9" in app.error[0].value
    assert app.toggle(key="bench_whole").value
    assert app.number_input(key="bench_mean").value == 9


def test_a_whole_step_says_its_bytes_memory_and_time_before_it_runs(open_page: Opener):
    app = open_page(PAGE, bench_whole="true")
    # 40 layers of 634,388,480 bytes of weights and 335,544,320 of cache at G = 40, and a head of 327,690,240 with one
    # row of the embedding; in memory one such layer with both ends of 655,360,000, or the caches of 40, 8 and 1 again
    assert "A whole step of 40 layers must read **39.1 GB** at G = 40, " in said(app)
    assert "timing it takes 1.6 GB of memory, or up to 2.0 GB where" in said(app)
    assert "A whole step of" not in said(open_page(PAGE))


def test_a_run_under_way_says_how_it_was_scaled(open_page: Opener, monkeypatch):
    sentence = "Scaled down to fit: batch 2 x 65,536 tokens instead of 32 x 65,536."
    state = state_of(status="running", message="G = 8: host_kernel", plan={"sentence": sentence}, record=None, total=9)
    with monkeypatch.context() as planted:  # undone before the runs are stopped: this one has no process
        planted.setattr(worker, "running", lambda: [Ended(state)])
        planted.setattr(worker, "find", lambda _key: Ended(state))
        assert sentence in said(open_page(PAGE))


def test_ragged_contexts_are_drawn_from_traffic(open_page: Opener):
    app = open_page(PAGE, bench_batch="4", bench_contexts="Drawn from traffic")
    assert "Contexts end log-normal: mean 4,096" in said(app)
    # 4 draws of numpy's default_rng(0) from that traffic, as Traffic.sample takes them
    assert "The 4 sequences hold 973 to 6,771 tokens, drawn from this traffic with a fixed seed (0)" in said(app)
    assert "one layer, 4 × 973 to 6,771 tokens in bfloat16" in said(app)


def test_no_g_is_said_and_what_was_entered_stays(open_page: Opener):
    app = open_page(PAGE, bench_context="2048")
    app.multiselect(key="bench_kv_heads").set_value([]).run()
    assert "no G given" in app.error[0].value
    assert app.number_input(key="bench_context").value == 2048


def test_a_result_shows_prediction_and_every_kernel(open_page: Opener, monkeypatch):
    monkeypatch.setattr(worker, "find", lambda _key: Ended(state_of()))
    app = open_page(PAGE)
    assert "**One layer's step takes 4.0 times as long at G = 8 as at G = 1.**" in said(app)
    assert "G = 8, 4.00 measured by host_kernel, 2.00 predicted" in alts(app)[0]
    assert "32.0 GB/s read, 400 GFLOP/s, 3.00 billion exponentials/s" in said(app)
    table = app.dataframe[0].value
    assert list(table["Of the roofline"]) == ["50%", "25%"]
    assert list(table["KV read (GB/s)"]) == ["16.0", "8.0"]
    assert list(table["Exponentials alone (ms)"]) == ["0.200", "0.200"]
    # 2 sequences / (4 ms x 40 layers) and / (1 ms x 40 layers)
    assert list(table["Tokens/s, attention of 40 layers alone"]) == ["12.5", "50.0"]
    one = open_page(PAGE, bench_layers="1").dataframe[0].value
    assert list(one["Tokens/s, attention of one layer alone"]) == ["500.0", "2,000.0"]
    assert app.get("code")[0].value == "python -m core.decode run"


def test_the_spread_of_the_measured_limits_is_shown(open_page: Opener, monkeypatch):
    # of 30, 31, .. 34 GB/s the quarter and three quarters are 31 and 33; of 380, 400, 410 GFLOP/s they are the ends
    roofline = Roofline(
        bytes_per_second=32e9, flops_per_second=4e11, exp_per_second=3e9, detail="reads by sum",
        start_reads=(34e9, 30e9), round_reads=(33e9, 31e9, 32e9), round_products=(3.8e11, 4e11, 4.1e11),
    )  # fmt: skip
    record = replace(run_record(), roofline=roofline)
    monkeypatch.setattr(worker, "find", lambda _key: Ended(state_of(record=record)))
    limits = said(open_page(PAGE))
    assert "32.0 GB/s read (half of 5 samples: 31.0 to 33.0), 400 GFLOP/s (half of 3 samples: 380 to 410)" in limits


@pytest.mark.parametrize(("sampling", "reads"), [(0.04, True), (0.5, False)])
def test_a_run_that_was_sampled_for_less_than_is_usual_says_so(open_page: Opener, monkeypatch, sampling, reads):
    record = replace(run_record(), machine={"sampling": sampling})
    monkeypatch.setattr(worker, "find", lambda _key: Ended(state_of(record=record)))
    app = open_page(PAGE)
    found = next(one.value for one in app.caption if one.value.startswith(f"Sampled for {sampling} times as long"))
    assert ("reads are of 64 MiB, which a cache may hold" in found) == reads


def test_a_whole_step_is_shown_with_its_bound_and_beside_transformers(open_page: Opener, monkeypatch):
    record = replace(run_record(), steps=STEPS, model_check=CHECK)
    monkeypatch.setattr(worker, "find", lambda _key: Ended(state_of(record=record)))
    app = open_page(PAGE)
    # 10 x 12 + 5 = 125 ms at G = 8, 10 x 7 + 5 = 75 at G = 1; 80 MB in the 10 ms that are not attention: 8 GB/s
    assert "**A whole step takes 1.67 times as long at G = 8 as at G = 1.**" in said(app)
    assert "G = 8, 125 measured, 60 predicted; G = 1, 75 measured, 45 predicted" in alts(app)[-1]
    assert "0.08 GB of a layer's weights at 8.0 GB/s, where a plain read reaches 32.0 (G = 8)" in said(app)
    assert "takes 50.00 ms a step; our sum for the same shape" in said(app)
    assert "is 45.00 ms, **-10.0%**. For each token their cache copies itself, 4.00 ms" in said(app)
    assert "with the copy the sum is -2.0% from theirs" in said(app)
    table = app.dataframe[-1].value
    assert list(table["Step of 10 layers (ms)"]) == ["125.0", "75.0"]
    assert list(table["Tokens/s"]) == ["16.00", "26.67"]
    assert "of the job's tokens" not in said(app)
    assert list(table["Half of the samples (ms)"]) == ["113.0 to 137.0", "68.0 to 82.0"]
    assert list(table["Of the roofline"]) == ["48%", "60%"]


def test_a_forecast_by_measured_rates_stands_beside_the_bound(open_page: Opener, monkeypatch):
    steps = tuple(replace(s, own_rates_seconds=0.1, products_flops_per_second=2.5e10) for s in STEPS)
    monkeypatch.setattr(worker, "find", lambda _key: Ended(state_of(record=replace(run_record(), steps=steps))))
    app = open_page(PAGE)
    table = app.dataframe[-1].value
    assert list(table["Predicted (ms)"]) == ["60.0", "45.0"]
    assert list(table["Forecast by measured rates (ms)"]) == ["100.0", "100.0"]
    assert list(table["Measured / forecast"]) == ["1.25", "0.75"]  # 125 and 75 ms
    assert list(table["Product alone (GFLOP/s)"]) == ["25.0", "25.0"]
    assert "The paler mark is a forecast" in said(app)
    assert "Predicted is a bound: every part at this host's highest rates." in said(app)
    assert "G = 8, 125 measured, 60 predicted, 100 forecast; " in alts(app)[-1]


def test_a_scaled_run_states_the_jobs_own_time(open_page: Opener, monkeypatch):
    record = replace(run_record(), scale=16.0)
    monkeypatch.setattr(worker, "find", lambda _key: Ended(state_of(record=record)))
    app = open_page(PAGE)
    assert "Measured at 1/16 of the job's tokens." in said(app)
    assert list(app.dataframe[0].value["At the job's own size, × 16 (ms)"]) == ["64.0", "16.0"]


@pytest.mark.parametrize(
    ("products", "said_as"),
    [
        ("F.linear", "torch's matrix products read"),
        ("host_product", "our matrix products, faster here than torch's, read"),
    ],
)
def test_a_step_says_what_multiplied_its_weights(open_page: Opener, monkeypatch, products, said_as):
    record = replace(run_record(), steps=tuple(replace(step, products=products) for step in STEPS))
    monkeypatch.setattr(worker, "find", lambda _key: Ended(state_of(record=record)))
    assert said_as in said(open_page(PAGE))


def test_one_layer_and_one_token_are_said_as_one():
    from core.decode.plan import DecodeJob, StepShape
    from pages.tools.decode.inputs import hold_in_words
    from pages.tools.decode.panel import _step_in_words
    from pages.tools.decode.step import _row, _sentence

    one = replace(STEPS[0], num_layers=1)
    assert _sentence((one,)).startswith("**A step of 1 layer takes ")
    assert "Step of 1 layer (ms)" in _row(one, "")
    assert "Step of 10 layers (ms)" in _row(STEPS[0], "")
    assert hold_in_words((1,)) == "one sequence holds 1 token"
    assert hold_in_words((1, 1)) == "2 sequences hold 1 token each"
    shape = StepShape(num_layers=1, hidden_size=64, intermediate_size=64, vocab_size=64)
    job = DecodeJob(num_query_heads=8, kv_heads=(8,), head_dim=64, context_length=1, batch_size=1, step=shape)
    assert _step_in_words(job, shape).startswith("A whole step of 1 layer must read ")


@pytest.mark.parametrize(("scale", "said_as"), [(16.0, "1/16"), (1.5, "1/1.5")])
def test_a_scaled_step_says_so_beside_its_times(open_page: Opener, monkeypatch, scale, said_as):
    record = replace(run_record(), scale=scale, steps=STEPS)
    monkeypatch.setattr(worker, "find", lambda _key: Ended(state_of(record=record)))
    app = open_page(PAGE)
    assert f"Measured at {said_as} of the job's tokens: milliseconds and tokens/s are of that smaller step." in said(
        app
    )
    table = app.dataframe[-1].value
    assert list(table[f"Step of 10 layers at {said_as} of the job's tokens (ms)"]) == ["125.0", "75.0"]
    assert list(table[f"Tokens/s at {said_as} of the job's tokens"]) == ["16.00", "26.67"]  # 2 / 0.125 and 2 / 0.075


@pytest.mark.parametrize(("status", "kind"), [("failed", "error"), ("stopped", "warning")])
def test_an_early_end_is_said_and_what_was_measured_is_shown(open_page: Opener, monkeypatch, status, kind):
    ended = state_of(status=status, message="Memory ran out.", warning="Runs cannot be kept in /x")
    monkeypatch.setattr(worker, "find", lambda _key: Ended(ended))
    app = open_page(PAGE)
    assert app.get(kind)[0].value.startswith("Memory ran out.")
    assert app.warning[-1].value == "Runs cannot be kept in /x"
    assert alts(app)


@pytest.mark.parametrize(
    ("record", "words"),
    [(run_record(), "What had been measured by then is kept."), (None, "Nothing had been measured")],
)
def test_a_stopped_run_says_whether_anything_is_kept(open_page: Opener, monkeypatch, record, words):
    ended = state_of(status="stopped", message="device is cuda, and torch sees no GPU here.", record=record)
    monkeypatch.setattr(worker, "find", lambda _key: Ended(ended))
    assert f"device is cuda, and torch sees no GPU here. {words}" in open_page(PAGE).warning[0].value


def test_recorded_runs_say_that_no_gpu_is_among_them(open_page: Opener):
    app = open_page(PAGE, bench_tab="Recorded runs")
    recorded = store.recorded_runs()
    assert any("No GPU run is recorded yet" in info.value for info in app.info)
    first = next(run for run in recorded if run.job["dtype"] == "bfloat16")
    assert f"{first.device_name}, {first.date}" in said(app)
    assert alts(app)
    options = app.selectbox(key="bench_recorded").options
    assert len(set(options)) == len(recorded)
    assert sum(name.endswith("G = 40, 8, 1 and the whole step") for name in options) == 1


def test_the_command_for_a_gpu_is_the_headline_job_with_half_an_hour():
    command = NO_GPU_RUN.split("`")[1].removeprefix("python -m core.decode ")
    options = parser().parse_args(command.split())
    job = job_of(options)
    assert (job.context_length, job.batch_size, job.seconds_limit, options.record) == (65_536, 32, 1800, True)
    assert job.kv_heads == (40, 20, 10, 8, 5, 4, 2, 1)
    assert job.step == StepShape(num_layers=40, hidden_size=5120, intermediate_size=13_824, vocab_size=32_000)


def import_file(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader(key="bench_import").upload(name, content).run()
    assert not app.exception
    return app


@pytest.mark.parametrize(("written", "name"), [(to_json, "run.json"), (to_csv, "run.csv")])
def test_a_run_from_another_machine_is_imported(open_page: Opener, written, name):
    app = import_file(open_page(PAGE, bench_tab="Kept runs"), name, written(run_record("elsewhere")).encode())
    assert app.success[0].value == "Imported elsewhere, measured on AMD EPYC, 2 threads."
    assert store.load("elsewhere") == run_record("elsewhere")
    assert alts(app)
    app.run()
    assert not [*app.success, *app.warning, *app.error]  # once is enough


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("broken.json", b"{", "not JSON"),
        ("other.json", b'{"schema": 9}', "schema is 9: this version reads 1."),
        ("bytes.json", b"\xff\xfe", "can't decode byte 0xff"),
        ("table.csv", b"a,b\n1,2\n", "no line with a column 'run'"),
    ],
)
def test_a_bad_file_is_refused_in_words_and_nothing_is_kept(open_page: Opener, name, content, reason):
    app = import_file(open_page(PAGE, bench_tab="Kept runs"), name, content)
    assert as_read(app.error[0].value).startswith(f"{name} was not imported: ")
    assert reason in as_read(app.error[0].value)
    assert store.history() == []


def test_words_of_an_imported_run_are_text(open_page: Opener):
    markup = "[a](https://b.example) <b>$x$"
    record = run_record("elsewhere", device_name=markup, message=markup, status="stopped")
    app = import_file(open_page(PAGE, bench_tab="Kept runs"), "run.json", to_json(record).encode())
    shown = r"\[a\]\(https\:" + "\u2060" + r"//b\.example\) \<b\>\$x\$"
    assert app.success[0].value == f"Imported elsewhere, measured on {shown}."
    assert f"This run is stopped: {shown}" in [warning.value for warning in app.warning]


def test_an_import_never_replaces_a_run_that_is_kept(open_page: Opener):
    kept = run_record("same")
    store.save(kept)
    other = to_json(run_record("same", device_name="Another CPU"))
    app = import_file(open_page(PAGE, bench_tab="Kept runs"), "same.json", other.encode())
    assert app.warning[0].value.startswith("same is already kept, and stays as it is")
    assert not app.success
    assert store.load("same") == kept


def test_a_file_that_is_still_there_does_not_bring_a_deleted_run_back(open_page: Opener):
    store.save(run_record("same"))
    app = import_file(open_page(PAGE, bench_tab="Kept runs"), "same.json", to_json(run_record("same")).encode())
    store.delete("same")
    assert not app.run().success
    assert store.load("same") is None


def test_a_link_to_a_comparison_with_a_run_that_is_gone_says_so(open_page: Opener):
    store.save(run_record("one"))
    app = open_page(PAGE, bench_tab="Kept runs", bench_other="gone")
    assert as_read(app.warning[0].value) == "The link asks for gone, which is not here: none stands in its place."


def test_kept_runs_are_compared(open_page: Opener):
    store.save(run_record("one", date="2026-11-22T09:00:00+00:00"))
    store.save(run_record("two", date="2026-11-21T09:00:00+00:00"))
    app = open_page(PAGE, bench_tab="Kept runs", bench_other="two")
    app.selectbox(key="bench_other").select("two").run()
    assert list(app.dataframe[0].value["Second over first, per KV byte"]) == ["1.00", "1.00"]


def test_a_run_is_not_deleted_before_a_second_question(open_page: Opener):
    store.save(run_record("one", date="2026-11-22T09:00:00+00:00"))
    app = open_page(PAGE, bench_tab="Kept runs")
    app.button(key="bench_delete").click().run()
    assert not app.exception
    assert "**2026-11-22 09:00 UTC · AMD EPYC, 2 threads · bfloat16, 2 × 1,024 tokens" in said(app)
    assert [app.button(key=key).label for key in ("bench_delete_sure", "bench_delete_keep")] == ["Delete", "Keep"]
    assert [line.run_id for line in store.history()] == ["one"]


def test_a_kept_run_that_cannot_be_read_can_be_deleted(open_page: Opener):
    store.save(run_record("old", date="2026-11-22T09:00:00+00:00"))
    with store.opened() as db:
        db.execute("UPDATE runs SET record = '{}'")
    app = open_page(PAGE, bench_tab="Kept runs")
    assert "schema is None: this version reads 1." in app.error[0].value
    app.button(key="bench_delete").click().run()
    assert [app.button(key=key).label for key in ("bench_delete_sure", "bench_delete_keep")] == ["Delete", "Keep"]


def test_no_run_kept_and_no_folder_to_keep_one_in(open_page: Opener, monkeypatch, tmp_path):
    assert "No run is kept yet" in open_page(PAGE, bench_tab="Kept runs").info[0].value
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path / "file" / "below"))
    assert "Set HEADROOM_DATA_DIR" in open_page(PAGE, bench_tab="Kept runs").warning[0].value


def test_another_number_of_heads_keeps_mha_and_says_what_no_longer_divides(open_page: Opener):
    app = open_page(PAGE)
    assert app.multiselect(key="bench_kv_heads").value == [40, 8, 1]
    app = app.number_input(key="bench_heads").set_value(64).run()
    assert app.multiselect(key="bench_kv_heads").value == [64, 8, 1]
    app = app.multiselect(key="bench_kv_heads").set_value([64, 16, 1]).run()
    app = app.number_input(key="bench_heads").set_value(8).run()
    assert app.multiselect(key="bench_kv_heads").value == [1]
    assert "64 and 16 are no divisors of 8 query heads: left out of G." in said(app)


def test_a_link_to_a_recorded_run_that_is_not_here_says_what_stands_instead(open_page: Opener):
    app = open_page(PAGE, bench_tab="Recorded runs", bench_recorded="20200101-000000-none")
    assert "The link asks for 20200101-000000-none, which is not here: " in as_read(app.warning[0].value)


def test_a_link_to_a_recorded_run_opens_it_by_what_is_shown_and_by_its_id(open_page: Opener):
    box = open_page(PAGE, bench_tab="Recorded runs").selectbox(key="bench_recorded")
    others = {run.run_id for run in store.recorded_runs()} - {box.value}
    app = open_page(PAGE, bench_tab="Recorded runs", bench_recorded=box.options[-1])
    assert app.selectbox(key="bench_recorded").value in others
    assert not app.warning
    other = min(others)
    app = open_page(PAGE, bench_tab="Recorded runs", bench_recorded=other)
    assert app.selectbox(key="bench_recorded").value == other
    assert not app.warning


@pytest.mark.usefixtures("with_torch")
def test_what_was_measured_stays_while_a_kept_run_is_looked_at(open_page: Opener, monkeypatch):
    store.add(replace(run_record(), run_id="kept"))
    monkeypatch.setattr(worker, "start", lambda *_job: Ended(state_of()))
    monkeypatch.setattr(worker, "find", lambda key: Ended(state_of()) if key == Ended.key else None)
    app = open_page(PAGE)
    assert not app.dataframe
    app = app.button(key="bench_start").click().run()
    measured = app.dataframe[0].value
    app.session_state["bench_tab"] = "Kept runs"
    assert app.run().selectbox(key="bench_run").value == "kept"
    app.session_state["bench_tab"] = "Measure"
    assert app.run().dataframe[0].value.equals(measured)


def test_a_links_g_that_does_not_divide_is_named(open_page: Opener):
    app = open_page(PAGE, bench_heads="32", bench_kv_heads="40")
    assert "40 is no divisor of 32 query heads: left out of G." in said(app)
