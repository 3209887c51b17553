"""Altair as our pictures use it: each is held against Vega-Lite's schema once, whole, when it is written.

Altair looks at every part when it is made too, and again with each part that takes it up: a tenth to a fifth of
the time of drawing. A server draws what the tests have held against the schema, and looks no more (`trust`): that
takes three to four times as long as writing the picture.

And an encoding that is given as a word or as alt.value(...) is read as any dictionary would be: Altair 6.3 makes a
table of the schemas of all its classes for each such encoding, hashed as JSON, to find the classes of what is nested
in it (findings/altair_hashes_every_schema_for_a_word.sh). The channel's own class takes the same and writes the same.
As it writes, Altair asks each number and word of a picture whether it has a method to_dict, by a protocol that looks it
up class by class: a quarter of the time of writing.

And where charts are laid over or beside each other, it copies each of them several times with all that they hold, the
rows of data too, to change names, sizes and selections of the copies: half the time that a picture of three layers over
40 rows takes to make and write. It changes nothing inside data, marks and encodings, so the copies share them.
"""

from typing import Any

import altair as alt
from altair.utils import core, schemapi
from altair.vegalite.v6.schema import core as schema

__all__ = ["alt", "trust", "written"]

schemapi.disable_debug_mode()
_looks = True
_PLAIN = frozenset((str, int, float, bool, type(None)))
_in_channel = core._ChannelCache._wrap_in_channel
_to_dict = schemapi._todict
_deep_copy = schemapi._deep_copy
_CHANGED_LATER = (alt.TopLevelMixin, schema.TopLevelParameter, schema.SelectionParameter, schema.VariableParameter)


def written(chart: Any) -> dict[str, Any]:
    """The chart as Vega-Lite. Raises altair.utils.schemapi.SchemaValidationError unless this process trusts it."""
    spec: dict[str, Any] = chart.to_dict(validate=_looks)
    return spec


def trust() -> None:
    """From now on this process writes pictures without a look at the schema."""
    global _looks
    _looks = False


def _in_own_channel(channels: Any, given: Any, encoding: str) -> Any:
    """What Altair makes of one encoding of .encode(): an object of the channel's class."""
    classes = channels.name_to_channel.get(encoding)
    if isinstance(given, str) and classes is not None:
        return classes["field"](given)
    if isinstance(given, dict) and classes is not None:
        return classes["value" if "value" in given else "field"](**given)
    return _in_channel(channels, given, encoding)


def _plain_or_to_dict(obj: Any, context: dict[str, Any] | None, np_opt: Any, pd_opt: Any) -> Any:
    """A part of a chart as it is written: what JSON has is written as it is."""
    return obj if type(obj) in _PLAIN else _to_dict(obj, context, np_opt, pd_opt)


def _copied(obj: Any, by_ref: set[str]) -> Any:
    """A part of a chart for the copy of that chart: a chart within it, what selects and lists of those anew."""
    if isinstance(obj, schemapi.SchemaBase) and not isinstance(obj, _CHANGED_LATER):
        return obj
    return _deep_copy(obj, by_ref)


schemapi._todict = _plain_or_to_dict
schemapi._deep_copy = _copied
core._ChannelCache._wrap_in_channel = _in_own_channel  # type: ignore[method-assign]
