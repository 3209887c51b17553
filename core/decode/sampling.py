"""How long a run samples each of its figures, against what is usual."""

import os

from core.decode.plan import InvalidJob

SAMPLING = "HEADROOM_SAMPLING"
LEAST, MOST = 0.01, 100.0
TRIAL = 0.05  # and below: a run shows that it works, not how fast the host is
TRIAL_READ_BYTES = 2**26  # on a CPU, in place of a buffer far beyond its caches, which takes seconds to fill


def times_as_long() -> float:
    """HEADROOM_SAMPLING, and 1 where it is not set: the seconds that are spent on a figure are multiplied by it.

    Each figure keeps its least number of samples, each sample its least duration. Raises InvalidJob where it is no
    number from 0.01 to 100.
    """
    said = os.environ.get(SAMPLING) or "1"
    try:
        times = float(said)
    except ValueError:
        times = 0.0
    if not LEAST <= times <= MOST:
        raise InvalidJob(
            f"{SAMPLING} is '{said}': say how many times as long as usual a run samples, from {LEAST} to {MOST:.0f}."
        )
    return times


def is_trial() -> bool:
    """Whether the host asks for so few samples that reads and copies of a cache are those of TRIAL_READ_BYTES."""
    return times_as_long() <= TRIAL
