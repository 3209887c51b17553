"""What a server does once in its life and AppTest anew each time: neither changes while tests run.

A look into every installed package for components with each AppTest (half a second), and each script compiled with each
run.
"""

from functools import cache

from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import app_test

from tests import schema_once


def replacements() -> list[tuple[object, str, object]]:
    """What to set where, for a process that opens pages."""
    scripts = ScriptCache()
    return [
        (manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests)),
        (app_test, "ScriptCache", lambda: scripts),
    ]


def look_once() -> None:
    """For the whole life of a process of a test's own."""
    for module, name, replacement in (*replacements(), schema_once.replacement()):
        setattr(module, name, replacement)
