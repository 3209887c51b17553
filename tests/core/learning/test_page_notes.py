"""What a presenter says: a note for every screen of the pages that came after G, of pages that are there."""

import pytest

from core.learning.lessons import ORDER
from core.learning.page_notes import NOTES, notes_of
from tests.paths import page_paths

SCREENS = {"watch": 1, "bound": 2, "after": 3, "timeline": 1}  # a heading begins a screen, and the title the first


@pytest.mark.parametrize(("page", "screens"), SCREENS.items())
def test_a_page_has_a_note_for_each_screen(page: str, screens: int) -> None:
    assert len(notes_of(page)) == screens
    assert all(60 < len(note) < 700 for note in notes_of(page))


def test_notes_are_of_pages_that_are_no_lessons() -> None:
    assert set(NOTES) <= set(page_paths()) - set(ORDER)
    assert notes_of("quiz") == ()
