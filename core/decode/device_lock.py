"""One measurement per device at a time, over all processes of this machine: a lock that goes with its holder."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from core.host.lock import Held, only_one

BUSY_WORDS = "Another measurement is running on"


class DeviceBusy(RuntimeError):
    """Another measurement holds the device: the message says which process, since when."""


@contextmanager
def device_lock(device: str) -> Iterator[None]:
    """Holds the device for the length of the block. Raises DeviceBusy at once when another process holds it."""
    with ExitStack() as held:
        try:
            held.enter_context(only_one(f"decode-{_physical(device).replace(':', '-')}"))
        except Held as e:
            raise DeviceBusy(f"{BUSY_WORDS} {device} ({e.holder}): wait for it to end, or cancel it.") from e
        yield


def _physical(device: str) -> str:
    """'cuda:0' of a process that CUDA_VISIBLE_DEVICES shows GPU 3 alone is 'cuda:3': two such processes do not share a
    device, though each calls its own cuda:0."""
    kind, _, number = device.partition(":")
    shown = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    if kind != "cuda" or not number.isdigit() or int(number) >= len(shown) or not shown[int(number)]:
        return device
    return f"cuda:{re.sub(r'[^0-9A-Za-z-]', '-', shown[int(number)])}"
