"""One measurement per device at a time, over all processes of this machine: a lock that goes with its holder."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from core.host.lock import Held, only_one


class DeviceBusy(RuntimeError):
    """Another measurement holds the device: the message says which process, since when."""


@contextmanager
def device_lock(device: str) -> Iterator[None]:
    """Holds the device for the length of the block. Raises DeviceBusy at once when another process holds it."""
    with ExitStack() as held:
        try:
            held.enter_context(only_one(f"decode-{device.replace(':', '-')}"))
        except Held as e:
            raise DeviceBusy(
                f"Another measurement is running on {device} ({e.holder}): wait for it to end, or cancel it."
            ) from e
        yield
