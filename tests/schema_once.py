"""A picture is held against Vega-Lite's schema once for each content: drawn again, its parts are found valid again.

Altair looks at each part when it is made and at the whole when it is written, a third of the time of drawing.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from altair.utils import schemapi

Errors = Callable[..., list[Any]]


def valid_once(errors_of: Errors) -> Errors:
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


def replacement() -> tuple[object, str, Errors]:
    """What to set where, for a process that draws."""
    return schemapi, "_get_errors_from_spec", valid_once(schemapi._get_errors_from_spec)
