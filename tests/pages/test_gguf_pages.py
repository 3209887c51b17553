"""GGUF headers on Models and Size: pasted, on the Hub, and by a path where the server is this machine's alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.models.hub import gguf
from pages.tools import gguf_inputs
from tests.core.models.gguf.files import LLAMA, header, tokens
from tests.core.models.gguf.test_dump import TEXT
from tests.hub_server import HubServer
from tests.pages.conftest import own_inputs
from tests.pages.tables import sortable_tables

Opener = Callable[..., AppTest]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(header({**LLAMA, **tokens(100)}) + bytes(10**5))
    return path


def rows(app: AppTest) -> list[str]:
    return [str(frame.to_dict()) for frame in (*sortable_tables(app), *(frame.value for frame in app.dataframe))]


def test_what_gguf_dump_prints_can_be_pasted_on_models(open_page: Opener) -> None:
    app = own_inputs(open_page("tools/models/models.py"))
    app.text_area(key="models_paste").set_value(TEXT).run()
    assert not app.exception
    assert any("llama.attention.head_count_kv" in text for text in rows(app))


def test_a_path_is_read_on_size_and_sized(open_page: Opener, model: Path) -> None:
    """2 layers of 2 and 1 KV heads: (2 + 1) x 32 elements a token."""
    app = open_page("tools/size/size.py", size_model="A file of your own")
    app.text_input(key="size_gguf_path").set_value(str(model)).run()
    assert not app.exception
    assert not app.error, app.error[0].value


def test_a_path_is_not_asked_for_where_others_reach_the_server(
    open_page: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_inputs, "local_server", lambda: False)
    app = open_page("tools/size/size.py", size_model="A file of your own")
    assert "size_gguf_path" not in [field.key for field in app.text_input]


def test_a_file_on_the_hub_is_read_by_its_start(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    st.cache_data.clear()
    with HubServer() as hub:
        hub.add("someone/tiny-GGUF", files={"tiny.gguf": model.read_bytes()})
        monkeypatch.setattr(gguf, "pull_gguf", partial(gguf.pull_gguf, endpoint=hub.url))
        found = gguf_inputs._from_hub("someone/tiny-GGUF")
    assert found.problem is None, found.problem
    assert found.metadata is not None
    assert found.metadata["llama.block_count"] == 2


def test_a_refused_file_says_why_on_models(open_page: Opener, tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    app = own_inputs(open_page("tools/models/models.py"))
    app.text_input(key="models_gguf_path").set_value(str(path)).run()
    assert not app.exception
    assert "PyTorch" in app.error[0].value
