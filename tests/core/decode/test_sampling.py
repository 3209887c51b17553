"""How long a run samples is the host's setting, and stands in what it keeps."""

import pytest

from core.decode.plan import InvalidJob
from core.decode.sampling import is_trial, times_as_long


@pytest.mark.parametrize(("said", "times"), [(None, 1.0), ("", 1.0), ("0.04", 0.04), ("100", 100.0), ("1e-2", 0.01)])
def test_what_the_host_says_is_taken(monkeypatch, said, times):
    monkeypatch.delenv("HEADROOM_SAMPLING") if said is None else monkeypatch.setenv("HEADROOM_SAMPLING", said)
    assert times_as_long() == times


@pytest.mark.parametrize("said", ["long", "0", "-1", "0.009", "101", "nan", "inf"])
def test_what_is_no_number_in_reach_is_named(monkeypatch, said):
    monkeypatch.setenv("HEADROOM_SAMPLING", said)
    with pytest.raises(InvalidJob, match=f"HEADROOM_SAMPLING is '{said}': say how many times as long as usual"):
        times_as_long()


@pytest.mark.parametrize(("said", "trial"), [("", False), ("0.06", False), ("0.05", True), ("0.04", True)])
def test_few_samples_are_a_trial(monkeypatch, said, trial):
    monkeypatch.setenv("HEADROOM_SAMPLING", said)
    assert is_trial() == trial
