"""The command line: the page's figures to the byte, exit codes, and a sentence for whatever cannot be."""

import json
import tomllib

import pytest

from core.__main__ import main
from core.models.notebook import html_table
from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.inverse import largest_batch
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.weights import typed_count
from tests.dashboard import ROOT


def asked(capsys, *arguments):
    code = main(["size", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_headline_model_in_json(capsys):
    """2 x 40 x 40 x 128 x 65,536 x 32 x 2 bytes; weights 13,015,864,320 x 2."""
    code, said = asked(capsys, "Llama-2 13B", "--context", "65536", "--batch", "32")
    assert code == 1
    assert said["kv_heads"] == 40
    assert said["kv_cache_bytes"] == said["cache_bytes"] == 1_717_986_918_400
    assert said["weight_bytes"] == 26_031_728_640
    assert (said["fits"], said["largest_batch"], said["engine_bytes"]) == (False, 0, None)


def test_what_a_file_leaves_to_its_class_and_its_cache_width_go_with_the_answer(capsys, tmp_path):
    config = {"model_type": "llama", "quantization_config": {"kv_cache_scheme": {"num_bits": 8, "type": "float"}}}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    _, said = asked(capsys, str(path), "--parameters", "6738415616", "--weight-bits", "16")
    caution, width = said["remarks"]
    assert "defaults of llama in transformers" in caution
    assert width.startswith("Cache width: quantization_config.kv_cache_scheme.num_bits in the file says 8")
    main(["size", str(path), "--parameters", "6738415616", "--weight-bits", "16"])
    assert f"  note: {caution}\n  note: {width}\n" in capsys.readouterr().out


def test_weights_in_a_format_by_name(capsys):
    """Llama-2 13B in fp8: 327,680,000 of embedding and head and 414,720 of norms at 16 bits, the rest at 8."""
    _, said = asked(capsys, "Llama-2 13B", "--weight-format", "fp8")
    kept = 2 * 32_000 * 5_120 + 81 * 5_120
    assert said["weight_bytes"] == 13_015_864_320 + kept
    code, said = asked(capsys, "Llama-2 13B", "--weight-format", "fp8", "--weight-bits", "8")
    assert code == 2
    assert said["error"] == "--weight-bits 8 and --weight-format fp8 answer one question twice: give one"


def test_an_engine_s_answer_is_the_engine_s(capsys):
    code, said = asked(capsys, "Qwen3 32B", "--context", "32768", "--engine", "vllm")
    assert (code, said["fits"], said["largest_batch"]) == (0, True, 1)
    assert said["engine_bytes"] == 2 * 64 * 8 * 128 * 32_768 * 2
    assert said["engine_version"] == "vLLM 0.33.0"


@pytest.mark.parametrize("known", load_registry()[::12], ids=lambda known: known.name)
@pytest.mark.parametrize("engine", ["payload", "vllm"])
def test_every_figure_is_the_plan_s(capsys, known, engine):
    code, said = asked(capsys, known.name, "--engine", engine, "--context", "4096", "--parameters", "7000000000")
    job = ServingJob(
        model=read_config(known.config), batch_size=1, context_length=4_096, parameter_count=typed_count(7_000_000_000),
        engine=engine,
    )  # fmt: skip
    if code == 2:
        assert "vLLM" in said["error"]
        return
    made = plan(job)
    assert (said["total_bytes"], said["fits"]) == (made.total_bytes, made.fits)
    assert said["largest_batch"] == largest_batch(job)


def test_a_file_stands_where_a_name_may(capsys, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(next(known.config for known in load_registry() if known.name == "Qwen3 32B")))
    code, said = asked(capsys, str(path), "--parameters", "32762123264")
    assert (code, said["kv_heads"]) == (0, 8)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["no-such-model"], 3, "no model of the registry is called so"),
        (["./missing.json"], 3, "there is no such file"),
        (["Llama-2 13B", "--context", "0"], 2, "context_length is 0"),
        (["Llama-2 13B", "--batch", "1000000000"], 2, "batch_size is 1000000000"),
        (["Llama-2 13B", "--gpus", "3", "--tensor-parallel", "3"], 2, "3"),
        (["Llama-2 13B", "--gpu", "abacus"], 2, "abacus"),
    ],
)
def test_what_cannot_be_gets_a_sentence_and_its_code(capsys, arguments, code, says):
    found, said = asked(capsys, *arguments)
    assert found == code
    assert says in said["error"]


def test_words_say_the_answer_first(capsys):
    assert main(["size", "Qwen3 32B", "--engine", "vllm"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "Qwen3 32B on 1 x H100 SXM5 80 GB on vLLM 0.33.0: 1 request at 32,768 tokens"


def test_words_say_what_states_take(capsys):
    """Mamba-Codestral: 64 layers x (128 heads x 64 x 128 x 4 bytes + 4 x 10,240 x 2) = 273,678,336 bytes for each of 64
    requests, and no keys and values; an engine's cache has them, and without states nothing is said."""
    main(["size", "Mamba-Codestral 7B", "--batch", "64", "--context", "8192"])
    said = capsys.readouterr().out
    assert "  cache                           0 B" in said
    assert "  states of constant size         17.52 GB (16.31 GiB)\n" in said
    main(["size", "Mamba-Codestral 7B", "--batch", "64", "--context", "8192", "--engine", "vllm"])
    assert "states" not in capsys.readouterr().out
    main(["size", "Qwen3 32B"])
    assert "states" not in capsys.readouterr().out


def test_the_registry_is_listed(capsys):
    assert main(["models"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(load_registry())


def loaded(*arguments):
    """Modules that a command brought in, of a process of its own."""
    import subprocess
    import sys

    code = f"import sys; from core.__main__ import main; main({list(arguments)}); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("engine", ["payload", "vllm"])
def test_a_config_counted_by_rule_is_answered_by_few_modules(tmp_path, engine):
    """Nothing from outside the standard library, and of core no other format, rule or engine than the one asked."""
    import sys

    config = next(known.config for known in load_registry() if known.name == "Qwen3 32B")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**config, "architectures": ["Qwen3ForCausalLM"]}), encoding="utf-8")
    names = loaded("size", str(path), "--engine", engine, "--json")
    outside = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - set(sys.builtin_module_names)
    assert not outside & {
        "torch", "transformers", "streamlit", "pandas", "numpy", "altair", "yaml", "pydantic", "huggingface_hub",
        "httpx2", "psutil", "filelock", "platformdirs",
    }  # fmt: skip
    of_core = [name for name in names if name.startswith("core.")]
    unasked = (
        "core.models.registry", "core.models.hub", "core.models.gguf.header", "core.models.formats.table",
        "core.parameters.meta", "core.parameters.recurrent", "core.parameters.towers", "core.engines.sglang",
        "core.engines.mlx", "core.engines.llama_cpp", "core.engines.transformers", "core.host", "core.decode",
        "core.figures", "core.reports", "core.learning",
    )  # fmt: skip
    assert not [name for name in of_core if name.startswith(unasked)]
    assert ("core.engines.vllm" in of_core) == (engine == "vllm")


def test_the_command_brings_in_neither_torch_nor_streamlit():
    assert not {"torch", "transformers", "streamlit", "pandas"} & set(loaded("size", "Llama-2 13B", "--json"))


def test_a_reader_that_closes_its_end_ends_it_without_a_traceback():
    import subprocess
    import sys

    command = [sys.executable, "-m", "core", "models"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    with process.stderr as said:
        assert said.read() == b""
    assert process.wait() == 0


def test_the_registry_as_json(capsys):
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == [known.name for known in load_registry()]
    assert next(row for row in rows if row["name"] == "Qwen3 32B") == {
        "name": "Qwen3 32B", "repository": "Qwen/Qwen3-32B", "kv_heads": 8, "bytes_per_token": 2 * 64 * 8 * 128 * 2,
    }  # fmt: skip


def test_what_a_notebook_shows_is_escaped_and_whole():
    model = read_config(next(known.config for known in load_registry() if known.name == "Qwen3 32B"))
    made = plan(ServingJob(model=model, batch_size=1, context_length=1_024))
    for shown in (model, made, made.job, made.parameters, largest_batch(made.job)):
        html = shown._repr_html_()
        assert html.startswith("<table>")
        assert html.endswith("</table>")
    assert "GQA" in model._repr_html_()
    assert html_table("<b>", [("a<b", None), ("n", 1_000)]).count("&lt;") == 1
    assert "1,000" in html_table("t", [("n", 1_000)])


def test_what_pip_installs_is_pinned_as_the_requirements_are():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    files = ("requirements.txt", "requirements-look.txt", "requirements-cluster.txt")
    text = "".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    pins = {line.split("#")[0].strip() for line in text.splitlines()}
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    assert set(wanted) - pins == {"numpy>=2"}
    assert not any(one.startswith(("torch", "transformers", "streamlit")) for one in project["dependencies"])
    assert project["scripts"] == {"headroom": "core.__main__:main"}


def test_what_a_server_does_besides(capsys, tmp_path):
    """A plain draft of 16 layers x 2 x 8 heads x 64 in vLLM's pool, of 1,235,814,400 parameters at 16 bits; a prefix of
    4,010 tokens is 250 blocks of 16; 64 GB keep 15 requests of 4,026,531,840 bytes."""
    draft = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 16,
             "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 8192,
             "vocab_size": 128_256, "tie_word_embeddings": True}  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(draft), encoding="utf-8")
    besides = ["--draft", str(path), "--shared-prefix", "4010", "--offload-gb", "64", "--offload-link", "32"]
    asked_for = ["Llama-3 8B", "--context", "24576", "--batch", "2", "--engine", "vllm"]
    _, said = asked(capsys, *asked_for, *besides)
    _, bare = asked(capsys, *asked_for)
    a_token = (32 * 128 + 16 * 64) * 2 * 8 * 2
    assert said["draft"] == {"method": "draft_model", "tokens": 3, "parameters": 1_235_814_400,
                             "weight_bytes": 2_471_628_800, "cache_bytes": None}  # fmt: skip
    assert said["shared_prefix"] == {"tokens": 4_010, "held_once_bytes": 4_000 * a_token}
    assert said["engine_bytes"] == (2 * 24_576 - 4_000) * a_token
    assert said["offload"]["requests_kept"] == 15
    assert said["offload"]["load_seconds"] == pytest.approx(24_576 * a_token / 32e9)
    assert said["bounds"]["tokens_per_second_all_drafts_accepted"] > said["bounds"]["tokens_per_second"] > 0
    assert (bare["draft"], bare["shared_prefix"], bare["offload"]) == (None, None, None)
    assert bare["bounds"]["first_token_seconds"] == said["bounds"]["first_token_seconds"] > 0
    code, said = asked(capsys, *asked_for, "--offload-gb", "64", "--offload-link", "usb")
    assert (code, said["error"].startswith("offload tier is 'usb': use one of pcie4")) == (2, True)
    code, said = asked(capsys, *asked_for, "--draft-method", "eagle")
    assert (code, said["error"]) == (2, "--draft-method eagle says how, not who: give --draft too")


def test_a_split_copy_says_every_rank_and_which_is_the_fullest(capsys):
    """61 layers of DeepSeek-V3 over two stages, 31 and 30; the second has no dense layer and is the fullest."""
    arguments = ["size", "DeepSeek-V3", "--gpus", "16", "--data-parallel", "8", "--pipeline-parallel", "2",
                 "--expert-parallel", "--batch", "16", "--gpu", "h200-sxm"]  # fmt: skip
    main([*arguments, "--json"])
    said = json.loads(capsys.readouterr().out)["split"]
    assert (said["fullest_rank"], len(said["ranks"])) == (1, 16)
    assert [rank["layers"] for rank in said["ranks"][:2]] == [[1, 31], [32, 61]]
    assert {rank["experts"] for rank in said["ranks"]} == {32}
    assert [rank["requests"] for rank in said["ranks"]] == [2] * 16
    assert max(rank["total_bytes"] for rank in said["ranks"]) == said["ranks"][1]["total_bytes"]
    main(arguments)
    assert "8 ranks, 2 the first: layers 32–61, 32 experts, 2 requests" in capsys.readouterr().out
    main(["size", "Qwen3 32B", "--json"])
    assert json.loads(capsys.readouterr().out)["split"] is None


def test_registry_models_weigh_what_their_files_store(capsys):
    """gpt-oss-120b ships its experts in MXFP4, 4.25 bits; DeepSeek-V3 its matrices in FP8: 671 GB over eight cards."""
    _, said = asked(capsys, "gpt-oss-120b", "--gpu", "h200-sxm")
    assert 65.0e9 < said["weight_bytes"] < 65.5e9
    _, said = asked(capsys, "DeepSeek-V3", "--gpu", "h200-sxm", "--gpus", "8", "--tensor-parallel", "8")
    assert 671e9 < 8 * said["weight_bytes"] < 675e9
    assert said["fits"]


def test_the_scales_of_a_files_cache_width_are_counted(capsys, tmp_path):
    """Llama-2 7B's layers at NVFP4: 4 bits and an 8-bit scale for 16 of them."""
    scheme = {"num_bits": 4, "type": "float", "group_size": 16}
    config = {"model_type": "llama", "quantization_config": {"kv_cache_scheme": scheme}}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    _, said = asked(capsys, str(path), "--parameters", "6738415616", "--weight-bits", "16", "--context", "4096")
    assert said["kv_cache_bytes"] == 2 * 32 * 32 * 128 * 4_096 * 4.5 / 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--engine", "vllm", "--setting", "context_length=1"), "has an argument of its own: give --context"),
        (("--engine", "vllm", "--setting", "draft_method=mtp"), "has an argument of its own: give --draft"),
        (("--engine", "vllm", "--cache-bits", "8", "--setting", "cache_type=nvfp4"), "--cache-bits 8 and nvfp4 of"),
        (("--setting", "foo=1"), "is of an engine, and the payload has none: name one by --engine"),
        (("--cache-memory-gib", "nan"), "give a number from 0 to 1,048,576"),
        (("--cache-memory-gib", "40000"), "one H100 SXM5 80 GB has 79.65: choose the accelerator of the log"),
        (("--shared-prefix", "40000"), "more than the 32,768 of a request"),
        (("--draft-tokens", "5"), "--draft-tokens 5 says how much, not who: give --draft too"),
        (("--offload-link", "pcie4"), "--offload-link pcie4 says over what, not how much: give --offload-gb too"),
    ],
)
def test_what_would_answer_twice_or_cannot_be_is_refused(capsys, arguments, said):
    code, answer = asked(capsys, "Llama-3.1 8B", *arguments)
    assert code == 2
    assert said in answer["error"]


def test_a_context_that_memory_does_not_limit_says_so(capsys):
    """Mamba-2 keeps a state, whatever the context: what is searched no further is no limit."""
    for name, limited in (("Llama-3.1 8B", True), ("Mamba-Codestral 7B", False)):
        _, answer = asked(capsys, name, "--context", "4096")
        assert answer["memory_limits_context"] is limited


def test_json_in_place_of_a_path_is_no_file(capsys):
    code, answer = asked(capsys, json.dumps({"model_type": "llama", "note": "x" * 300}))
    assert code == 3
    assert "no model of the registry is called so" in answer["error"]


def test_a_file_of_another_tool_is_sized_by_a_typed_count_alone(capsys, tmp_path):
    """Meta's params.json of Llama-3.1 70B states no width of its FFN: 42 billion were made of the carrier's."""
    path = tmp_path / "params.json"
    params = {"dim": 8192, "n_layers": 80, "n_heads": 64, "n_kv_heads": 8, "vocab_size": 128256, "multiple_of": 4096}
    path.write_text(json.dumps(params), encoding="utf-8")
    code, answer = asked(capsys, str(path), "--gpu", "h200-sxm")
    assert code == 2
    assert answer["error"].startswith("The file says how params.json attends, and too little to add up its parameters.")
    _, answer = asked(capsys, str(path), "--gpu", "h200-sxm", "--parameters", "70553706496")
    assert answer["weight_bytes"] == 141_107_412_992


@pytest.mark.parametrize("arguments", [("--context", "0"), ("--context", "99999999999999"), ("--out", ".")])
def test_a_table_that_cannot_be_is_refused(capsys, arguments):
    assert main(["engines", "--engine", "vllm", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"headroom: {arguments[0]} ")


def test_what_limits_a_context_beside_memory_is_said(capsys):
    main(["size", "Llama-3.1 8B"])
    assert " tokens, of which the config declares 131,072 at most\n" in capsys.readouterr().out
    main(["size", "Mamba-Codestral 7B"])
    assert "1,073,741,824 tokens (memory sets no limit)\n" in capsys.readouterr().out


def test_the_models_of_the_registry_have_the_bytes_that_one_more_token_adds(capsys):
    """DeepSeek-V4-Flash's compressed entries stand for many tokens each."""
    main(["models", "--json"])
    by_name = {row["name"]: row["bytes_per_token"] for row in json.loads(capsys.readouterr().out)}
    assert by_name["DeepSeek-V4-Flash"] == 52_960
