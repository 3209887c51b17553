"""Imports point one way: no circle of modules or rooms, a short way down, and docs/architecture.md draws it."""

from tests.architecture import PAGE, circle, longest_chain, modules, rooms, written

LONGEST = 8  # rooms from the top to the ground
# Of a module these say nothing by themselves: beside what, the parts of which, and what was kept?
SAY_NOTHING = {
    "base", "beside", "besides", "common", "elsewhere", "extra", "extras", "held", "helpers", "instead", "kept", "misc",
    "nearly", "neighbours", "other", "others", "parts", "reserve", "tidy", "util", "utils", "wanted",
}  # fmt: skip


def test_no_modules_import_each_other_in_a_circle():
    assert circle({name: set(used) for name, used in modules().items()}) == []


def test_no_rooms_use_each_other_in_a_circle():
    assert circle(rooms()) == []


def test_the_way_down_is_short():
    way = longest_chain(rooms())
    assert len(way) <= LONGEST, " -> ".join(way)


def test_every_module_has_a_name_that_says_something_by_itself():
    assert [name for name in modules() if name.rpartition(".")[2] in SAY_NOTHING] == []


def test_core_never_imports_pages():
    assert [
        name for name, used in rooms().items() if name.startswith("core.") and any("pages." in u for u in used)
    ] == []


def test_a_circle_is_found_where_there_is_one():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})[:1] != []
    assert len(longest_chain({"a": {"b", "c"}, "b": {"c"}, "c": set()})) == 3


def test_the_architecture_page_draws_the_house_as_it_stands():
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "run: python -m tests.architecture"
