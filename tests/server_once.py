"""What a server does once in its life and AppTest anew each time: neither changes while tests run.

A look into every installed package for components with each AppTest (half a second), each script compiled with each
run, and a picture held against Vega-Lite's schema anew whenever it is drawn, which is a third of a page whose pictures
are forgotten.
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Any

from altair.utils import schemapi
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import app_test


def replacements() -> list[tuple[object, str, object]]:
    """What to set where, for a process that opens pages."""
    scripts = ScriptCache()
    return [
        (manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests)),
        (app_test, "ScriptCache", lambda: scripts),
        (schemapi, "_get_errors_from_spec", valid_once(schemapi._get_errors_from_spec)),
    ]


def valid_once(errors_of: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """The same answer: what had no error is not looked at again against the same schema. Schemas are Altair's own."""
    valid: set[tuple[int, bytes]] = set()

    def errors(spec: Any, schema: dict[str, Any], rootschema: dict[str, Any] | None = None) -> list[Any]:
        key = (id(schema), sha256(repr(spec).encode()).digest())
        if key in valid:
            return []
        found = errors_of(spec, schema, rootschema=rootschema)
        if not found:
            valid.add(key)
        return found

    return errors


def look_once() -> None:
    """For the whole life of a process of a test's own."""
    for module, name, replacement in replacements():
        setattr(module, name, replacement)
