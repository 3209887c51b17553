"""Tables that leave: plain numbers and units in heads for a spreadsheet, thousands apart in Markdown."""

from core.reports.tables import amount_and_unit, markdown_rows, spreadsheet_rows, table_of

ROWS = [
    {"G": 8, "Of the roofline": "67%", "Half of the samples (ms)": "1.205 to 1.310", "Note": "3 to 4 others wait"},
    {"G": 1, "Of the roofline": "limit measured too low", "Half of the samples (ms)": "0.100 to 0.120", "Note": ""},
]


def test_a_share_and_a_range_become_numbers_with_their_unit_in_the_head():
    assert spreadsheet_rows(ROWS) == [
        {"G": 8, "Of the roofline (%)": "67", "Half of the samples, from (ms)": "1.205",
         "Half of the samples, to (ms)": "1.310", "Note": "3 to 4 others wait"},
        {"G": 1, "Of the roofline (%)": "limit measured too low", "Half of the samples, from (ms)": "0.100",
         "Half of the samples, to (ms)": "0.120", "Note": ""},
    ]  # fmt: skip
    assert spreadsheet_rows([]) == []


def test_an_amount_is_parted_from_its_unit():
    assert amount_and_unit("63.44 GiB") == ("63.44", "GiB")
    assert amount_and_unit("63,152 tokens") == ("63,152", "tokens")
    assert amount_and_unit("–") == ("–", "")
    assert amount_and_unit("auto") == ("auto", "")


def test_a_report_and_markdown_say_the_same():
    rows = [{"Model": "Llama-2 70B", "Bytes": 327_680, "Share": 0.125, "None": None}]
    assert table_of(rows) == (("Model", "Bytes", "Share", "None"), (("Llama-2 70B", "327,680", "0.125", "–"),))
    assert markdown_rows(rows).splitlines()[2] == "| Llama-2 70B | 327,680 | 0.125 | – |"
