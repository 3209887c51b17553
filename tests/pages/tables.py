"""The tables of a page that sort on a click (pages/shell/sortable.py), as they are shown."""

import json

import pandas as pd
from streamlit.testing.v1 import AppTest


def sortable_tables(app: AppTest) -> list[pd.DataFrame]:
    """Each in the page's order, with the names of its heads."""
    sent = [element.proto for element in app.get("bidi_component")]
    data = [json.loads(proto.json) for proto in sent if proto.component_name.endswith("headroom_sortable")]
    return [pd.DataFrame(one["rows"], columns=[column["name"] for column in one["columns"]]) for one in data]
