"""The Hub client against a loopback server that answers like the Hub, and breaks like it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.models.hub import client as model_hub
from core.models.hub.client import (
    HubError,
    PulledConfig,
    PullRequest,
    pull_config,
    pull_many,
    repository_id,
    safetensors_parameter_count,
)
from core.models.hub.pulls import repository_at
from tests.hub_server import COMMIT, HubServer

ROOT = Path(__file__).resolve().parents[4]
FALCON = {"model_type": "falcon", "num_attention_heads": 71, "multi_query": True}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A server, and caches of its own: huggingface_hub reads HF_HOME once, at import, into these constants."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    with HubServer() as server:
        server.add("tiiuae/falcon-7b", config=FALCON)
        yield server


def refused(hub: HubServer, repository: str, **options: object) -> HubError:
    with pytest.raises(HubError) as caught:
        pull_config(repository, endpoint=hub.url, timeout=0.5, **options)  # type: ignore[arg-type]
    return caught.value


def test_a_config_comes_with_its_commit_and_text(hub: HubServer) -> None:
    pulled = pull_config("tiiuae/falcon-7b", endpoint=hub.url)
    assert pulled.config == FALCON
    assert pulled.text == json.dumps(FALCON, indent=2)
    assert pulled.commit == COMMIT
    assert (pulled.repository, pulled.filename, pulled.from_cache) == ("tiiuae/falcon-7b", "config.json", False)


def test_an_unchanged_file_is_not_read_twice(hub: HubServer) -> None:
    pull_config("tiiuae/falcon-7b", endpoint=hub.url)
    again = pull_config("tiiuae/falcon-7b", endpoint=hub.url)
    assert again.from_cache
    assert again.config == FALCON
    assert hub.methods("tiiuae/falcon-7b") == ["HEAD", "GET", "HEAD"]


def test_a_new_commit_with_the_same_file_is_not_read_again_but_named(hub: HubServer) -> None:
    pull_config("tiiuae/falcon-7b", endpoint=hub.url)
    hub.add("tiiuae/falcon-7b", config=FALCON, commit="f" * 40)
    again = pull_config("tiiuae/falcon-7b", endpoint=hub.url)
    assert (again.commit, again.from_cache) == ("f" * 40, True)


def test_a_changed_file_is_read_again(hub: HubServer) -> None:
    pull_config("tiiuae/falcon-7b", endpoint=hub.url)
    hub.add("tiiuae/falcon-7b", config={**FALCON, "num_attention_heads": 72}, commit="f" * 40)
    again = pull_config("tiiuae/falcon-7b", endpoint=hub.url)
    assert again.config["num_attention_heads"] == 72
    assert not again.from_cache


def test_a_file_in_the_cache_of_huggingface_hub_is_used(hub: HubServer, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--tiiuae--falcon-7b" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(FALCON), encoding="utf-8")
    assert pull_config("tiiuae/falcon-7b", endpoint=hub.url).from_cache
    assert hub.methods("tiiuae/falcon-7b") == ["HEAD"]


def test_a_cache_that_cannot_be_written_costs_only_the_next_read(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_options: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(model_hub.tempfile, "NamedTemporaryFile", full)
    assert pull_config("tiiuae/falcon-7b", endpoint=hub.url).config == FALCON
    assert not pull_config("tiiuae/falcon-7b", endpoint=hub.url).from_cache


def test_a_renamed_repository_is_followed(hub: HubServer) -> None:
    hub.add("old/name", moved_to="tiiuae/falcon-7b")
    assert pull_config("old/name", endpoint=hub.url).config == FALCON


def test_a_repository_without_config_json_gives_its_params_json(hub: HubServer) -> None:
    hub.add("meta/original", files={"params.json": b'{"dim": 4096, "n_heads": 32, "n_layers": 32}'})
    pulled = pull_config("meta/original", endpoint=hub.url)
    assert (pulled.filename, pulled.config["n_heads"]) == ("params.json", 32)


def test_a_revision_is_asked_for_by_name_and_by_commit(hub: HubServer) -> None:
    assert pull_config("tiiuae/falcon-7b", COMMIT, endpoint=hub.url).commit == COMMIT
    assert "revision" in str(refused(hub, "tiiuae/falcon-7b", revision="v9"))


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("gated", "gated", "Accept its conditions at https://huggingface.co/some/model"),
        ("gated_403", "gated", "Accept its conditions at https://huggingface.co/some/model"),
        ("forbidden", "gated", "Ask for access at https://huggingface.co/some/model"),
        ("bad_token", "bad_token", "does not accept this HF_TOKEN"),
        ("missing", "not_found", "The Hub shows no some/model. Check the spelling"),
        ("missing_404", "not_found", "The Hub shows no some/model. Check the spelling"),
        ("no_revision", "not_found", "has no such revision"),
        ("plain_404", "not_found", "has no config.json for some/model"),
        ("rate_limited", "rate_limited", "Try again in 37 seconds"),
        ("server_error", "server_error", "answered 500 for some/model"),
        ("unavailable", "server_error", "answered 503 for some/model"),
        ("hang", "timeout", "did not answer for some/model in time"),
        ("hang_body", "timeout", "did not answer for some/model in time"),
        ("drip", "timeout", "did not answer for some/model in time"),
        ("truncated", "server_error", "broke off"),
        ("endless", "too_large", "larger than 4 MiB"),
        ("not_a_hub", "server_error", "does not answer like the Hub. Check HF_ENDPOINT"),
        ("short", "bad_json", "config.json of some/model cannot be read"),
        ("drop", "server_error", "broke off"),
        ("drop_body", "server_error", "broke off"),
        ("bomb", "server_error", "is packed, though asked plain"),
        ("packed", "server_error", "is packed, though asked plain"),
        ("circle", "server_error", "sends some/model round in a circle"),
    ],
)
def test_each_fault_has_its_kind_and_says_what_to_do(hub: HubServer, fault: str, kind: str, words: str) -> None:
    hub.add("some/model", config=FALCON, fault=fault)
    error = refused(hub, "some/model")
    assert error.kind == kind
    assert words in str(error)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{not json", "bad_json"),
        (b"", "bad_json"),
        (b"[1, 2]", "bad_json"),
        (b'{"model_type": "\xff"}', "bad_json"),
        (b"<html>sign in</html>", "bad_json"),
        (b'{"a": "' + b" " * (5 * 2**20) + b'"}', "too_large"),
        (b"[" * 100_000, "bad_json"),
    ],
)
def test_a_body_that_is_no_config_is_refused_and_not_cached(hub: HubServer, body: bytes, kind: str) -> None:
    hub.add("some/model", config=body)
    assert refused(hub, "some/model").kind == kind
    hub.add("some/model", config=FALCON)
    assert pull_config("some/model", endpoint=hub.url).config == FALCON


def test_a_large_body_is_refused_by_its_announced_size_before_it_is_read(hub: HubServer) -> None:
    hub.add("some/model", config=b" " * (5 * 2**20))
    assert refused(hub, "some/model").kind == "too_large"
    assert hub.methods("some/model") == ["HEAD"]


def test_a_repository_with_neither_file_is_not_found(hub: HubServer) -> None:
    hub.add("some/adapter", files={"adapter_config.json": b"{}"})
    assert "has no config.json and no params.json" in str(refused(hub, "some/adapter"))


def test_a_gated_repository_falls_back_to_its_mirror_and_says_so(hub: HubServer) -> None:
    hub.add("meta-llama/Llama-2-7b-hf", fault="gated")
    hub.add("NousResearch/Llama-2-7b-hf", config={"model_type": "llama"})
    pulled = pull_config("meta-llama/Llama-2-7b-hf", mirror="NousResearch/Llama-2-7b-hf", endpoint=hub.url)
    assert (pulled.requested, pulled.repository) == ("meta-llama/Llama-2-7b-hf", "NousResearch/Llama-2-7b-hf")


def test_a_gate_whose_mirror_fails_too_tells_both(hub: HubServer) -> None:
    hub.add("meta-llama/Llama-2-7b-hf", fault="gated")
    error = refused(hub, "meta-llama/Llama-2-7b-hf", mirror="gone/mirror")
    assert error.kind == "gated"
    assert "Its mirror gone/mirror gave nothing either: The Hub shows no gone/mirror" in str(error)


def test_only_a_gate_leads_to_the_mirror(hub: HubServer) -> None:
    hub.add("some/model", fault="server_error")
    assert refused(hub, "some/model", mirror="tiiuae/falcon-7b").kind == "server_error"
    assert hub.methods("tiiuae/falcon-7b") == []


def test_a_refused_connection_is_offline() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening: a connection is refused
        with pytest.raises(HubError, match="cannot be reached") as caught:
            pull_config("tiiuae/falcon-7b", endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}", timeout=2)
    assert caught.value.kind == "offline"


def test_a_hub_out_of_reach_is_found_once_and_known_files_still_come(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [PullRequest(key=str(row), repository=f"owner/model-{row}") for row in range(20)]
    hub.add("owner/model-19", config=FALCON)
    pull_config("owner/model-19", endpoint=hub.url)
    asked: list[str] = []

    def out_of_reach(repository: str, *_others: object) -> PulledConfig:
        asked.append(repository)
        raise HubError("offline", repository, "127.0.0.1 cannot be reached.")

    monkeypatch.setattr(model_hub, "_pull_through_gate", out_of_reach)
    results = list(pull_many(requests, workers=1, timeout=2, endpoint=hub.url))
    assert asked == ["owner/model-0"]
    assert [result.error.kind for result in results if result.error] == ["offline"] * 19
    (known,) = [result.pulled for result in results if result.pulled]
    assert known.requested == "owner/model-19"
    assert "cannot be reached" in (known.stale_because or "")


def test_one_connection_that_broke_is_not_a_hub_out_of_reach(hub: HubServer) -> None:
    """A cut in one answer was taken for it, and the others were told so without being asked."""
    hub.add("some/model", config=FALCON, fault="drop_body")
    requests = [PullRequest(key=name, repository=name) for name in ("some/model", "tiiuae/falcon-7b")]
    results = {result.request.repository: result for result in pull_many(requests, endpoint=hub.url, workers=1)}
    assert str(results["some/model"].error) == "The answer for some/model broke off or is no JSON. Try again."
    assert results["tiiuae/falcon-7b"].pulled is not None


def test_offline_mode_asks_nothing(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in str(refused(hub, "tiiuae/falcon-7b"))
    assert hub.asked == []


@pytest.mark.parametrize(
    "text",
    ["", " ", "a b", "../etc/passwd", "owner/name/extra", "owner//name", "<b>x</b>/y", "owner/na\nme", "x" * 300,
     "own--er/name", "owner/..", "/falcon-7b", "owner/", "ownér/name", "https://example.com/tiiuae/falcon-7b"],
)  # fmt: skip
def test_a_bad_id_is_refused_before_any_request(hub: HubServer, text: str) -> None:
    error = refused(hub, text)
    assert error.kind == "bad_id"
    assert "is not a repository id. Write owner/name" in str(error)
    assert hub.asked == []


@pytest.mark.parametrize("revision", ["", "a b", "../x", "refs/../x", "x" * 200])
def test_a_bad_revision_is_refused_before_any_request(hub: HubServer, revision: str) -> None:
    assert refused(hub, "tiiuae/falcon-7b", revision=revision).kind == "bad_id"
    assert hub.asked == []


@pytest.mark.parametrize(
    "text",
    ["tiiuae/falcon-7b", "  tiiuae/falcon-7b\n", "https://huggingface.co/tiiuae/falcon-7b",
     "huggingface.co/tiiuae/falcon-7b/blob/main/config.json", "https://hf.co/tiiuae/falcon-7b?library=transformers"],
)  # fmt: skip
def test_an_id_is_read_from_what_people_paste(text: str) -> None:
    assert repository_id(text) == "tiiuae/falcon-7b"


def test_an_old_id_without_owner_is_an_id() -> None:
    assert repository_id("gpt2") == "gpt2"


def test_many_are_pulled_together_and_each_fault_stays_its_own(hub: HubServer) -> None:
    faults = ["gated", "missing", "rate_limited", "server_error", "hang", "truncated"]
    for fault in faults:
        hub.add(f"some/{fault}", config=FALCON, fault=fault)
    requests = [PullRequest(key=fault, repository=f"some/{fault}") for fault in faults]
    requests.append(PullRequest(key="fine", repository="tiiuae/falcon-7b"))
    requests.append(PullRequest(key="bad", repository="no id at all"))
    results = list(pull_many(requests, timeout=0.5, endpoint=hub.url))
    kinds = {result.request.key: result.error.kind if result.error else "pulled" for result in results}
    assert kinds == {
        "gated": "gated", "missing": "not_found", "rate_limited": "rate_limited", "server_error": "server_error",
        "hang": "timeout", "truncated": "server_error", "fine": "pulled", "bad": "bad_id",
    }  # fmt: skip
    assert results[-1].request.key == "hang"  # the others did not wait for it


def test_the_whole_pull_is_bounded_however_long_a_host_stays_silent(hub: HubServer) -> None:
    hub.add("some/silent", fault="hang")
    requests = [
        PullRequest(key="silent", repository="some/silent"),
        PullRequest(key="fine", repository="tiiuae/falcon-7b"),
    ]
    results = list(pull_many(requests, timeout=600, total_seconds=1, endpoint=hub.url))
    assert [result.request.key for result in results] == ["fine", "silent"]
    assert "within 1 seconds" in str(results[1].error)


def test_one_request_more_than_workers_still_gets_its_result(hub: HubServer) -> None:
    requests = [PullRequest(key=str(number), repository="tiiuae/falcon-7b") for number in range(20)]
    results = list(pull_many(requests, workers=3, endpoint=hub.url))
    assert sorted(int(result.request.key) for result in results) == list(range(20))
    assert all(result.pulled for result in results)
    assert list(pull_many([], endpoint=hub.url)) == []


def test_a_caller_that_leaves_early_stops_the_rest(hub: HubServer) -> None:
    hub.add("some/silent", fault="hang")
    requests = [PullRequest(key="first", repository="tiiuae/falcon-7b")]
    requests += [PullRequest(key=str(number), repository="some/silent") for number in range(50)]
    results = pull_many(requests, workers=1, timeout=0.2, endpoint=hub.url)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(hub.methods("some/silent")) <= 1


def test_parameter_counts_come_from_the_safetensors_metadata(hub: HubServer) -> None:
    hub.add("some/model", parameters={"BF16": 7_217_189_760})
    count = safetensors_parameter_count("some/model", endpoint=hub.url)
    assert (count.total, count.by_dtype) == (7_217_189_760, {"BF16": 7_217_189_760})


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("gated", "gated"), ("missing", "not_found"), ("rate_limited", "rate_limited"), ("server_error", "server_error"),
     ("hang", "timeout"), ("not_a_hub", "bad_json"), (None, "not_found")],
)  # fmt: skip
def test_a_parameter_count_fails_as_a_config_does(hub: HubServer, fault: str | None, kind: str) -> None:
    hub.add("some/model", fault=fault)
    with pytest.raises(HubError) as caught:
        safetensors_parameter_count("some/model", endpoint=hub.url, timeout=0.5)
    assert caught.value.kind == kind


def test_token_home_and_endpoint_come_from_the_environment(hub: HubServer, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_sesame"}
    code = "from core.models.hub.client import pull_config; print(pull_config('tiiuae/falcon-7b').commit)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.stdout.strip() == COMMIT, run.stderr
    assert [asked.authorization for asked in hub.asked] == ["Bearer hf_sesame"] * 2
    assert list((tmp_path / "home" / "assets" / "headroom").rglob("*")) != []  # the cache is there


def test_a_config_is_not_read_from_another_host(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_sesame")
    with HubServer() as elsewhere:
        hub.add("some/large", config=FALCON, large_file_elsewhere=f"{elsewhere.url}/other/cdn/resolve/main")
        elsewhere.add("other/cdn", config=FALCON)
        monkeypatch.setenv("HEADROOM_STORAGE_HOSTS", elsewhere.url.removeprefix("http://"))  # for large files alone
        assert "sends some/large to 127.0.0.1, which was not followed" in str(refused(hub, "some/large"))
        assert {asked.authorization for asked in hub.asked} == {"Bearer hf_sesame"}
        assert elsewhere.asked == []


def test_a_config_on_another_host_is_said_with_what_helps(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was to be named in HEADROOM_STORAGE_HOSTS, which changed nothing."""
    hub.add("some/large", config=FALCON, large_file_elsewhere="http://127.0.0.1:9/cdn")
    monkeypatch.setenv("HEADROOM_STORAGE_HOSTS", "127.0.0.1:9")
    said = str(refused(hub, "some/large"))
    assert "are read from the Hub alone. Download the file and give it itself." in said
    assert "HEADROOM_STORAGE_HOSTS" not in said


def test_a_refusal_speaks_of_a_token_only_where_one_was_sent(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("some/model", config=FALCON, fault="forbidden")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert "refuses some/model to whoever sends no HF_TOKEN. Ask for access at" in str(refused(hub, "some/model"))
    monkeypatch.setenv("HF_TOKEN", "hf_sesame")
    assert "refuses some/model to this HF_TOKEN. Ask for access at" in str(refused(hub, "some/model"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_config_is_read_in_each_encoding_that_a_dropped_one_is(hub: HubServer, encoding: str) -> None:
    hub.add("some/model", config=json.dumps(FALCON).encode(encoding))
    pulled = pull_config("some/model", endpoint=hub.url)
    assert (pulled.config, pulled.text) == (FALCON, json.dumps(FALCON))
    assert pull_config("some/model", endpoint=hub.url).from_cache


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("https://huggingface.co/some/model/tree/v2", "v2"),
        ("https://huggingface.co/some/model/blob/v2/config.json", "v2"),
        ("hf.co/some/model/resolve/v2/config.json?download=true", "v2"),
        ("https://huggingface.co/some/model/commit/" + COMMIT, COMMIT),
        ("https://huggingface.co/some/model/blob/main/config.json", "main"),
        ("https://huggingface.co/some/model/tree/main", "main"),
        ("https://huggingface.co/some/model/discussions/3", "main"),
        ("some/model", "main"),
    ],
)
def test_an_address_is_read_at_the_revision_that_it_names(hub: HubServer, address: str, asked: str) -> None:
    hub.add("some/model", config=FALCON, commit=asked if asked != "main" else COMMIT)
    assert pull_config(address, endpoint=hub.url).requested == "some/model"
    assert hub.asked[0].path == f"/some/model/resolve/{asked}/config.json"


def test_a_revision_with_a_stroke_stands_quoted_in_an_address() -> None:
    assert repository_at("https://huggingface.co/some/model/tree/refs%2Fpr%2F1") == ("some/model", "refs/pr/1")


@pytest.mark.parametrize("page", ["blob/main/README.md", "tree/main/onnx", "blob/v2/onnx/config.json"])
def test_the_page_of_another_file_is_refused_before_any_request(hub: HubServer, page: str) -> None:
    error = refused(hub, f"https://huggingface.co/some/model/{page}")
    assert error.kind == "bad_id"
    assert "of some/model is not read: its config.json or params.json at the top is" in str(error)
    assert hub.asked == []
