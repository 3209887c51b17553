"""What a first picture needs comes with the first request for a page, and not with one for anything else."""

import json
import subprocess
import sys

from tests.dashboard import ROOT

ASKED = """
import asyncio, json, sys
from starlette.responses import HTMLResponse, PlainTextResponse
from pages.server import ahead
from pages.server.page_html import OursInThePage

def loaded():
    return [name for name in ("pandas", "altair", "PIL.ImageFile", "core.figures.overview") if name in sys.modules]

async def ask(answer):
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        pass
    scope = {"type": "http", "method": "GET", "path": "/layouts", "headers": [], "query_string": b""}
    await OursInThePage(answer)(scope, receive, send)

said = {}
asyncio.run(ask(PlainTextResponse("ok")))
said["words"] = loaded()
asyncio.run(ask(HTMLResponse("<html><head></head></html>")))
thread = ahead.begin()
asyncio.run(ask(HTMLResponse("<html><head></head></html>")))
said["one thread"] = ahead.begin() is thread
thread.join()
said["a page"] = loaded()
from core.figures.drawing import alt, written
said["not looked at"] = written(alt.Chart().mark_bar(opacity="a word"))["mark"]["opacity"]
print(json.dumps(said))
"""


def test_a_page_that_is_asked_for_brings_what_its_first_picture_needs():
    done = subprocess.run([sys.executable, "-c", ASKED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {
        "words": [],
        "one thread": True,
        "a page": ["pandas", "altair", "PIL.ImageFile", "core.figures.overview"],
        "not looked at": "a word",
    }


PATHS = """
import sys
import dashboard
from streamlit.runtime.scriptrunner.exec_code import modified_sys_path
before = list(sys.path)
with modified_sys_path("pages/frame.py"):
    assert sys.path == before, set(sys.path) ^ set(before)
assert sys.path == before
"""


def test_no_run_of_a_page_changes_where_another_thread_looks_for_modules():
    """Else an import beside it steps over a folder: a server's Altair was broken so until it was started again."""
    done = subprocess.run([sys.executable, "-c", PATHS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
