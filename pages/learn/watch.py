"""Watch it decode: a small real transformer writes, and every row of its KV cache is counted, at three G at once."""

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from core.uptraining.small_decoder import Watched
from pages.learn.screens import decoding
from pages.shell import share

if TYPE_CHECKING:
    from core.reports.closing import Rests

NAME = "watch"


def rests(found: Watched, here: int, _colours: object) -> "Rests":
    """What the step's figures rest on, for a file."""
    from core.reports.rests.watching import watch_rests  # noqa: PLC0415  with the first file

    return watch_rests(found, here)


def screen(found: Watched, accelerator: str) -> None:
    """Title, keys and picture of the step; a fragment, so that a step runs nothing else."""
    was_playing = decoding.plays(NAME)
    here = decoding.step_of(NAME, found.last)
    st.title(decoding.heading(found, here), anchor=False)
    decoding.turn_buttons(NAME, here, found.last, keys=True)
    decoding.picture(NAME, found, here, accelerator)
    share.remember_answer(decoding.said(found, here), partial(rests, found, here))
    if was_playing != decoding.plays(NAME) or decoding.just_pressed(NAME):
        st.rerun()  # the fragment's own clock starts and stops with the whole page


prompt, accelerator = decoding.controls(NAME)
found = decoding.begin(NAME, prompt)
if found is None:
    st.title("Watch it decode", anchor=False)
else:
    clock = decoding.PLAY_S if decoding.plays(NAME) else None
    st.fragment(screen, run_every=clock)(found, accelerator)
st.caption(
    "A transformer of 4 layers, 8 query heads and head_dim 8, trained on this dashboard's own texts, decodes on this "
    "server in numpy. For G = 2 and 1 its key and value heads were merged by their mean and trained on for a tenth as "
    "long. Bytes are those of its cache arrays, 16 bits. Pale rows are read; solid rows are written, and read too."
)
