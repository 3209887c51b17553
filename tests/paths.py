"""The URL path of every page, read from pages/frame.py so that no test forgets a new one."""

import ast
from pathlib import Path

FRAME = Path(__file__).parents[1] / "pages" / "frame.py"


def page_paths() -> list[str]:
    """'' for the default page, else url_path, in the order of the navigation."""
    return [_url_path(call) for call in ast.walk(ast.parse(FRAME.read_text())) if _is_page(call)]


def page_files() -> list[str]:
    """The script of each page, relative to pages/."""
    return [call.args[0].value for call in ast.walk(ast.parse(FRAME.read_text())) if _is_page(call)]


def _is_page(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "Page"


def _url_path(call: ast.Call) -> str:
    named = {keyword.arg: keyword.value.value for keyword in call.keywords if isinstance(keyword.value, ast.Constant)}
    if named.get("default"):
        return ""
    return named.get("url_path") or Path(call.args[0].value).stem
