"""Which pictures a page was sent, read from what Streamlit's server writes to its socket."""

import re

from playwright.sync_api import Page, WebSocket
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


def pictures_sent(page: Page) -> list[str]:
    """A list that grows by each picture that is sent, or named by its hash, from now on: how its alt text begins."""
    by_hash: dict[str, str] = {}
    found: list[str] = []

    def note(frame: bytes | str) -> None:
        assert isinstance(frame, bytes)
        message = ForwardMsg.FromString(frame)
        if (element := message.delta.new_element).HasField("vega_lite_chart"):
            by_hash[message.hash] = re.split("[:.]", element.vega_lite_chart.alt)[0]
        found.extend(by_hash[key] for key in (message.hash, message.ref_hash) if key in by_hash)

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", note)

    page.on("websocket", listen)
    return found
