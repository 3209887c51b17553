"""What the drills share: the question as a number in the link, the score of this visit, the clock of one question."""

from time import monotonic
from typing import Any

import streamlit as st

from core.learning.drills import LARGEST_SEED, Score


def question_number(key: str) -> int:
    """The number of the question, from 1, kept in the link; out-of-range numbers are drawn back to the range."""
    return int(min(max(st.session_state.get(key, 1), 1), LARGEST_SEED))


def next_question(key: str) -> None:
    """The next number; after the last one the first."""
    st.session_state[key] = question_number(key) % LARGEST_SEED + 1


def start_clock(name: str) -> None:
    """Seconds count from the first time that a question is shown."""
    st.session_state.setdefault(f"{name}_since", monotonic())


def take_answer(name: str, given: Any, answers: bool, otherwise: str) -> None:
    """The form's button: what was given is the answer to check; where it answers nothing, that is said and no miss."""
    if not st.form_submit_button("Check", type="primary"):
        return
    if answers:
        st.session_state[f"{name}-checked"] = given
    else:
        st.info(otherwise)


def note(drill: str, name: str, right: bool) -> None:
    """Count a question once, at its first answer."""
    counted: set[str] = st.session_state.setdefault(f"{drill}_counted", set())
    if name not in counted:
        counted.add(name)
        seconds = monotonic() - st.session_state.get(f"{name}_since", monotonic())
        st.session_state[f"{drill}_score"] = score(drill).after(right, seconds)


def score(drill: str) -> Score:
    """How this visit went so far."""
    kept = st.session_state.get(f"{drill}_score")
    # the dataclass is compared by its fields: a rerun after a code change would have another class
    return kept if isinstance(kept, Score) else Score()


def show_score(drill: str) -> None:
    """Streak, right answers and time, in one line."""
    now = score(drill)
    each = f"{now.seconds_each:.0f} s each" if now.asked else "no answer yet"
    best = f" (best {now.best_streak})" if now.best_streak > now.streak else ""
    st.caption(f"Streak **{now.streak}**{best} · **{now.right} of {now.asked}** right · {each}")
