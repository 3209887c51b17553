"""What the first picture needs is loaded while the first viewer's browser loads the client.

Otherwise the one waits for the other: a browser takes a second for Streamlit's client, and only then asks for a run,
whose first picture imports pandas and Altair. A server to which nobody came has neither: a request for a page is the
sign that somebody does.
"""

import gc
import threading
from functools import cache

from streamlit import delta_generator


@cache
def begin() -> threading.Thread:
    """The one thread of this server that loads it; a page that needs something earlier waits in its import."""
    thread = threading.Thread(target=_load, name="ahead", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    _look_for_a_repl()
    gc.disable()  # modules stay: the collector looks at them neither while they come nor when the first run ends
    try:
        _draw_once()
    finally:
        gc.freeze()
        gc.enable()


def _look_for_a_repl() -> None:
    """Streamlit 1.67 asks at the first element of a process whether it is a REPL (env_util.is_repl).

    It has inspect.stack() find the module of every frame by the real path of each file that is imported: a tenth of
    a second once pandas is.
    """
    look = getattr(delta_generator, "_maybe_print_use_warning", None)
    if look is not None:
        look()


def _draw_once() -> None:
    """The first page's picture, for what Altair and the plan of a job make on first use and keep."""
    import PIL.ImageFile  # noqa: F401, PLC0415  by st.logo

    from core.figures import drawing, overview, palette  # noqa: PLC0415
    from core.serving import headline  # noqa: PLC0415

    drawing.trust()
    drawing.written(overview.headline_chart(headline.headline_points(), palette.palette("light")))
