"""The comparison as a table: sortable, and as CSV."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from core.figures.comparison import MAX_COMPARED, ComparedModel, table_row
from pages.shell import present, share, sortable
from pages.shell.sortable import Cell, Column

WIDTH: dict[str, int] = {
    "Model": 138, "Family": 78, "Kind": 86, "H": 42, "G": 42, "head_dim": 82, "L": 42, "Window": 82, "KiB/token": 84,
    "Declared by": 178, "Status": 90, "Layers": 260, "Facts": 620,
}  # fmt: skip
IN_THE_CSV = ("Bytes per token", "Window (tokens)", "Layers with that window")  # alone
LEFT_OUT_IN_A_ROOM = ("Status", "Layers", "Facts")
HELP = {
    "H": "Query heads of a layer.",
    "G": "Key/value heads of a layer. Empty where the cache has no heads (a latent, a state).",
    "L": "Layers of the model; the column Layers says what each kind of them keeps.",
    "KiB/token": "Payload of a 16-bit cache while no window is full; index keys and compressed entries are in it.",
    "Declared by": "The key of config.json that declared G, and its raw value; absent where the file says nothing.",
    "Status": "Recorded in the registry, or pulled at that commit; Facts has the whole sentence.",
    "Facts": "Where the figures come from: recorded, or pulled at a commit.",
}


def frame(models: Sequence[ComparedModel], families: Sequence[str] = ()) -> pd.DataFrame:
    """One row a model, with its family where families are given; whole numbers stay whole beside empty cells."""
    table = pd.DataFrame([table_row(model) for model in models])
    if families:
        table.insert(1, "Family", list(families))
    for column in ("H", "G", "head_dim", "L", *IN_THE_CSV):
        if column in table:
            table[column] = table[column].astype("Int64")
    return table


def show(table: pd.DataFrame, *, key: str, file_name: str) -> None:
    """The table, which sorts on a click, and the button that saves it.

    In a room type is larger: there the columns are as wide as what is in them, and the last sentences are left out.
    """
    in_a_room = present.in_a_room()
    left_out = {*IN_THE_CSV, *(LEFT_OUT_IN_A_ROOM if in_a_room else ())}
    names = [str(name) for name in table.columns if name not in left_out]
    columns = [
        Column(
            name=name,
            help=HELP.get(name, ""),
            width=None if in_a_room else WIDTH[name],
            digits=1 if name == "KiB/token" else None,
        )
        for name in names
    ]
    sortable.show(
        columns,
        [[_cell(cell) for cell in row] for row in table[names].itertuples(index=False)],
        key=key,
        alt=_alt(table),
        tallest_px=None if len(table) <= MAX_COMPARED else 460,
    )
    lines = [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]
    rows = [{name: cell for name, cell in line.items() if name != "Window"} for line in lines]
    shown = [{name: cell for name, cell in line.items() if name not in IN_THE_CSV[1:]} for line in lines]
    share.save_csv(rows, key=f"{key}_csv", file_name=file_name, shown=shown)


def _cell(value: Any) -> Cell:
    """As Python has it: pandas keeps numbers of its own, and several kinds of nothing."""
    if pd.isna(value):
        return None
    return value if isinstance(value, str) else float(value) if isinstance(value, float) else int(value)


def _alt(table: pd.DataFrame) -> str:
    return f"{len(table)} models with heads, layers, window, KiB per token and where each figure comes from."
