"""What remembers valid pictures lets no invalid one through, however often it comes."""

import pytest
from altair.utils.schemapi import SchemaValidationError

from core.figures.drawing import alt
from tests.schema_once import valid_once


def test_an_invalid_picture_is_refused_each_time():
    """When it is written: core.figures.drawing has no part looked at before."""
    bars = alt.Chart(alt.Data(values=[{"a": 1}]))
    for _ in range(2):
        assert bars.mark_bar(size=3).to_dict()["mark"] == {"type": "bar", "size": 3}
        with pytest.raises(SchemaValidationError):
            alt.layer(bars, bars.mark_bar(size="big")).to_dict()


def test_what_was_valid_is_asked_once_for_each_content_and_schema():
    asked = []
    errors = valid_once(
        lambda spec, schema, rootschema=None: asked.append(spec) or (["no"] if spec is not True else [])
    )
    one, other = {"type": "a"}, {"type": "b"}
    assert [errors(spec, schema) for spec, schema in ((True, one), (True, one), (True, other), (1, one), (1, one))] == [
        [], [], [], ["no"], ["no"],
    ]  # fmt: skip
    assert asked == [True, True, 1, 1]
