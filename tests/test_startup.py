"""What a start and the pages may import: nothing heavy before it is used.

Each case runs in a Python of its own, since what one test imports another would find loaded.
"""

import subprocess
import sys

from pages.server import page_html
from tests.dashboard import ROOT
from tests.paths import page_files

HEAVY = ("torch", "transformers", "huggingface_hub", "vl_convert", "pptx")

RUN_EVERY_PAGE = """
import logging, sys
logging.disable(logging.CRITICAL)
from streamlit.testing.v1 import AppTest
from tests.server_once import look_once
look_once()
for script in {scripts!r}:
    app = AppTest.from_file("pages/frame.py", default_timeout=120)
    app.switch_page(script).run()
    assert not app.exception, app.exception
    found = [name for name in {heavy!r} if name in sys.modules]
    if found:
        print(script, *found)
        break
"""


def imported(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_starting_the_server_imports_nothing_heavy():
    heavy = (*HEAVY, "altair", "pandas", "prometheus_client", "psutil")
    assert imported(f"import sys, dashboard; print(*[name for name in {heavy!r} if name in sys.modules])") == ""


def test_every_part_that_the_browser_loads_early_is_one_file_of_the_installed_streamlit():
    assert [name.split(".")[0] for name in page_html.client_files()] == list(page_html.PARTS)


def test_no_page_imports_a_model_library_or_an_exporter():
    """Altair may load where a page draws; what measures, reads the Hub or writes files may not."""
    assert imported(RUN_EVERY_PAGE.format(scripts=page_files(), heavy=HEAVY)) == ""


def test_a_run_sets_what_it_imported_aside_from_garbage_collection():
    """Streamlit collects garbage after each run: it should not search pandas and Altair each time."""
    program = RUN_EVERY_PAGE.format(scripts=["overview.py"], heavy=()) + "import gc; print(gc.get_freeze_count())"
    assert int(imported(program)) > 50_000
