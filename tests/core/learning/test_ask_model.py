"""A model's answer is asked for over loopback, shown only if it rests on the passages; every fault is a sentence."""

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from core.learning import ask_model
from core.learning.ask_local import LocalModel
from core.learning.ask_model import Endpoint, ModelError
from core.learning.ask_passages import Passage

PASSAGES = (
    Passage(page="slider", page_title="G is a slider", title="Names", text="G = 1 is MQA.", script="learn/slider.py"),
    Passage(page="draw", page_title="Drawing", title="Heads", text="G = H is MHA.", script="learn/draw.py"),
)


class Server(http.server.ThreadingHTTPServer):
    """Answers as a test sets it, and keeps what it was sent."""

    status, body, delay_s = 200, b"", 0.0
    requests: list[tuple[str, dict[str, str], Any]]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), json.loads(sent)))
        time.sleep(self.server.delay_s)
        try:
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(self.server.body)))
            self.end_headers()
            self.wfile.write(self.server.body)
        except OSError:
            pass  # the client gave up, as the test wants

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(("127.0.0.1", 0), Handler)
    found.requests = []
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def endpoint(server: Server, key: str | None = None) -> Endpoint:
    return Endpoint(url=f"http://127.0.0.1:{server.server_port}/v1", model="small", key=key)


def says(text: object) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def test_a_grounded_answer_and_what_was_sent(server: Server) -> None:
    server.body = says("MQA is G = 1 [1]. MHA is G = H [2].")
    found = ask_model.answer("What is MQA?", PASSAGES, endpoint(server, "secret"))
    assert found.text == "MQA is G = 1 [1]. MHA is G = H [2]."
    assert found.cited == (1, 2)
    (path, headers, sent), *others = server.requests
    assert not others
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert sent["model"] == "small"
    assert sent["temperature"] == 0
    assert "[1] G is a slider: Names\nG = 1 is MQA." in sent["messages"][1]["content"]
    assert "only the numbered passages" in sent["messages"][0]["content"]


def test_without_a_key_none_is_sent(server: Server) -> None:
    server.body = says("Yes [1].")
    ask_model.answer("?", PASSAGES, endpoint(server))
    assert "Authorization" not in server.requests[0][1]


@pytest.mark.parametrize(
    ("text", "why"),
    [("MQA is G = 1.", "does not cite"), ("It is so [3].", "does not cite"), ("It is so [0].", "does not cite"),
     ("NOT COVERED", "no answer in the passages"), ("Not covered.", "no answer"), ("  ", "no answer")],
)  # fmt: skip
def test_an_answer_that_does_not_rest_on_the_passages_is_not_shown(server: Server, text: str, why: str) -> None:
    server.body = says(text)
    with pytest.raises(ModelError, match=why):
        ask_model.answer("?", PASSAGES, endpoint(server))


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "HEADROOM_ASK_KEY"), (403, "HEADROOM_ASK_KEY"), (404, "HEADROOM_ASK_MODEL"), (429, "Wait"), (500, "later")],
)
def test_a_refusal_says_what_to_do(server: Server, status: int, advice: str) -> None:
    server.status, server.body = status, b"{}"
    with pytest.raises(ModelError, match=f"answered {status}.*{advice}"):
        ask_model.answer("?", PASSAGES, endpoint(server))


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"<html>", "not send JSON"), (b"\xff\xfe", "not send JSON"), (b"[]", "no choices"),
     (b'{"choices": []}', "no choices"),
         (says(None), "no text"), (says(["a"]), "no text"), (b" " * 200_001, "far too much")],
)  # fmt: skip
def test_a_strange_reply_is_named(server: Server, body: bytes, why: str) -> None:
    server.body = body
    with pytest.raises(ModelError, match=why):
        ask_model.answer("?", PASSAGES, endpoint(server))


def test_a_server_that_hangs_is_given_up(server: Server) -> None:
    server.body, server.delay_s = says("Late [1]."), 1.0
    with pytest.raises(ModelError, match="cannot be reached or broke off"):
        ask_model.answer("?", PASSAGES, endpoint(server), timeout_s=0.1)


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ModelError, match="cannot be reached"):
        ask_model.answer("?", PASSAGES, Endpoint(url=f"http://127.0.0.1:{port}", model="m"))


def test_a_link_of_the_model_s_own_is_no_link(server: Server) -> None:
    server.body = says("See [1](http://elsewhere) ![x](http://elsewhere/x.png).")
    found = ask_model.answer("?", PASSAGES, endpoint(server))
    assert found.text == "See [1] (http://elsewhere) ![x] (http://elsewhere/x.png)."


def test_configuration() -> None:
    assert ask_model.configured({}) is None
    whole = {"HEADROOM_ASK_URL": "http://localhost:8000/v1/", "HEADROOM_ASK_MODEL": "m", "HEADROOM_ASK_KEY": "secret"}
    found = ask_model.configured(whole)
    assert found == Endpoint(url="http://localhost:8000/v1", model="m", key="secret")
    assert "secret" not in repr(found)
    assert ask_model.configured({"HEADROOM_ASK_MODEL": "/models/small"}) == LocalModel(model="/models/small")
    fetched = ask_model.configured({"HEADROOM_ASK_MODEL": "some/model", "HEADROOM_ASK_DOWNLOAD": "1"})
    assert fetched == LocalModel(model="some/model", may_download=True)
    with pytest.raises(ModelError, match="set HEADROOM_ASK_MODEL"):
        ask_model.configured({"HEADROOM_ASK_URL": "http://localhost"})
    with pytest.raises(ModelError, match="begin with http"):
        ask_model.configured({"HEADROOM_ASK_URL": "file:///etc/passwd", "HEADROOM_ASK_MODEL": "m"})


@pytest.mark.parametrize(
    "said",
    [
        "![x][1]\n\n[1]: https://elsewhere/p.png",
        "![x](https://elsewhere/p.png)",
        "<img src=//elsewhere>",
        "$x$",
        ":red[x]",
    ],
)
def test_what_a_model_says_is_shown_as_words_alone(said: str) -> None:
    shown = ask_model.as_words(said)
    for sign in "[]()<>$:!":
        assert shown.count(sign) == shown.count("\\" + sign) == said.count(sign)  # each one escaped


def test_words_keep_their_citations_readable() -> None:
    assert ask_model.as_words("G = 1 is MQA [1]") == r"G = 1 is MQA \[1\]"
