"""A tab is told of the navigation once a page, whatever runs again; one that may not hold it is told again."""

from types import SimpleNamespace

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.runtime import Runtime

from pages.shell import lean_navigation


class Tab:
    """A connection that notes the kinds of what it was sent."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def write_forward_msg(self, msg: ForwardMsg) -> None:
        self.kinds.append(str(msg.WhichOneof("type")))


class Lost(Tab):
    def write_forward_msg(self, msg: ForwardMsg) -> None:
        if msg.HasField("navigation"):
            raise ConnectionError("the tab is gone")
        super().write_forward_msg(msg)


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the patch for this test alone, whether or not a page of another test has it."""
    found = Runtime._send_message
    monkeypatch.setattr(Runtime, lean_navigation.NAME, getattr(found, "__wrapped__", found))
    lean_navigation.install()


def send(tab: Tab, msg: ForwardMsg) -> None:
    Runtime._send_message(None, SimpleNamespace(client=tab, script_run_count=0), msg)  # type: ignore[arg-type]


def run(tab: Tab, page: str, pages: tuple[str, ...] = ("size", "models")) -> list[str]:
    """What the tab is sent by a run of a page."""
    before = len(tab.kinds)
    session, navigation = ForwardMsg(), ForwardMsg()
    session.new_session.page_script_hash = navigation.navigation.page_script_hash = page
    for name in pages:
        navigation.navigation.app_pages.add(page_script_hash=name, page_name=name)
    send(tab, session)
    send(tab, navigation)
    return tab.kinds[before:]


def test_a_rerun_of_the_page_that_stands_sends_no_navigation():
    tab = Tab()
    assert run(tab, "size") == ["new_session", "navigation"]
    assert run(tab, "size") == ["new_session"]
    assert run(tab, "size") == ["new_session"]


def test_another_page_and_another_list_of_pages_are_sent():
    tab = Tab()
    run(tab, "size")
    assert run(tab, "models") == ["new_session", "navigation"]
    assert run(tab, "size") == ["new_session", "navigation"]
    assert run(tab, "size", ("size",)) == ["new_session", "navigation"]


def test_a_page_that_was_begun_and_left_before_its_navigation_came_is_turned_back_from():
    tab = Tab()
    run(tab, "size")
    begun = ForwardMsg()
    begun.new_session.page_script_hash = "models"
    send(tab, begun)
    assert run(tab, "size") == ["new_session", "navigation"]


def test_after_an_address_without_a_page_the_navigation_comes_again():
    tab = Tab()
    run(tab, "size")
    nowhere = ForwardMsg()
    nowhere.page_not_found.page_name = "nowhere"
    send(tab, nowhere)
    assert run(tab, "size") == ["new_session", "navigation"]


def test_each_connection_is_told_by_itself():
    run(Tab(), "size")
    assert run(Tab(), "size") == ["new_session", "navigation"]


def test_what_could_not_be_sent_does_not_count_as_told():
    lost = Lost()
    with pytest.raises(ConnectionError):
        run(lost, "size")
    with pytest.raises(ConnectionError):
        run(lost, "size")


def test_installed_twice_it_stands_once():
    once = Runtime._send_message
    lean_navigation.install()
    assert Runtime._send_message is once
