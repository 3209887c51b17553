"""Drop a .gguf file: the browser sends its first 64 KiB, up to 8 MiB where the header goes on, and never the weights.

Streamlit's own uploader sends the whole file, which for a model means gigabytes. What the browser sends is a
stranger's: it is bounded and checked here before core reads it.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.models.gguf.header import FIRST_BYTES, MOST_BYTES, metadata_of
from core.models.rules.facts import UnsupportedConfig

MAX_BASE64 = -(-MOST_BYTES // 3) * 4
LARGEST_FILE = 2**50
_HTML = """
<div id="zone">
  <label for="file" id="says">Drop a .gguf file, or choose one</label>
  <input id="file" type="file" accept=".gguf">
  <p id="note" aria-live="polite"></p>
</div>
"""
_CSS = """
#zone { border: 1px dashed var(--st-border-color); border-radius: var(--st-base-radius); padding: .75rem 1rem;
  background: var(--st-secondary-background-color); color: var(--st-text-color); font: 400 .875rem/1.5 var(--st-font); }
#zone.over { border: 2px solid var(--st-primary-color); }
label { display: block; margin-bottom: .5rem; }
input { font: inherit; color: inherit; max-width: 100%; }
input:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
p { margin: .5rem 0 0; min-height: 1.3em; }
"""
_JS = """
const held = new WeakMap()
export default function ({ data, parentElement, setTriggerValue }) {
  const zone = parentElement.querySelector("#zone")
  const input = parentElement.querySelector("#file")
  const note = parentElement.querySelector("#note")
  const send = (file, bytes) => {
    const part = file.slice(0, Math.min(bytes, data.most))
    const reader = new FileReader()
    note.textContent = `Reading ${(part.size / 1024).toFixed(0)} KiB of ${(file.size / 1048576).toFixed(0)} MiB`
    reader.onerror = () => { note.textContent = "The browser cannot read this file. Choose it again." }
    reader.onload = () => {
      const base64 = reader.result.slice(reader.result.indexOf(",") + 1)
      setTriggerValue("head", { name: file.name.slice(0, 200), size: file.size, base64: part.size ? base64 : "" })
    }
    reader.readAsDataURL(part)
  }
  const take = (files) => {
    if (!files?.length) return
    held.set(parentElement, { file: files[0], served: data.asked })
    send(files[0], data.first)
  }
  input.onchange = () => take(input.files)
  zone.ondragover = (event) => { event.preventDefault(); zone.classList.add("over") }
  zone.ondragleave = () => zone.classList.remove("over")
  zone.ondrop = (event) => { event.preventDefault(); zone.classList.remove("over"); take(event.dataTransfer.files) }
  const kept = held.get(parentElement)
  if (!kept) return
  if (data.more && kept.served !== data.asked) {
    kept.served = data.asked
    send(kept.file, data.more)
  } else {
    note.textContent = data.says
  }
}
"""
_component = st.components.v2.component("headroom_gguf_drop", html=_HTML, css=_CSS, js=_JS)


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A file that was dropped: its keys, or why they cannot be read."""

    name: str
    file_bytes: int
    metadata: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class MoreBytes:
    """The header goes on: so many bytes of the file's start are wanted."""

    count: int


def gguf_drop(key: str) -> Dropped | None:
    """Mounts the drop zone; the file that was dropped last, once its header is whole."""
    asked, more = st.session_state.get(f"_{key}_asked", (0, 0))
    dropped: Dropped | None = st.session_state.get(f"_{key}_dropped")
    says = "" if dropped is None else f"{dropped.name}: {dropped.error or 'its header is read'}"
    _component(
        key=key,
        data={"first": FIRST_BYTES, "most": MOST_BYTES, "more": more, "asked": asked, "says": says},
        on_head_change=lambda: _take(key),
    )
    return dropped


def _take(key: str) -> None:
    state = st.session_state.get(key) or {}
    answer = received(state.get("head"))
    asked, _ = st.session_state.get(f"_{key}_asked", (0, 0))
    if isinstance(answer, MoreBytes):
        st.session_state[f"_{key}_asked"] = (asked + 1, answer.count)
    elif answer is not None:
        st.session_state[f"_{key}_asked"] = (asked, 0)
        st.session_state[f"_{key}_dropped"] = answer


class _Wanted(Exception):
    def __init__(self, count: int) -> None:
        self.count = count


def received(head: object) -> Dropped | MoreBytes | None:
    """What the bytes that a browser sent amount to; None where it sent nothing of the kind."""
    if not isinstance(head, dict):
        return None
    name, size, coded = head.get("name"), head.get("size"), head.get("base64")
    if not isinstance(name, str) or not isinstance(coded, str) or isinstance(size, bool) or not isinstance(size, int):
        return None
    if not 0 <= size <= LARGEST_FILE or len(coded) > MAX_BASE64:
        return None
    try:
        data = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        return None

    def start(count: int) -> bytes:
        if count > len(data) and len(data) < size:
            raise _Wanted(min(count, size))
        return data[:count]

    try:
        metadata = metadata_of(start, file_bytes=size)
    except _Wanted as wanted:
        return MoreBytes(count=wanted.count)
    except UnsupportedConfig as error:
        return Dropped(name=name[:200], file_bytes=size, error=str(error))
    return Dropped(name=name[:200], file_bytes=size, metadata=metadata)
