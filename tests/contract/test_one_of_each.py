"""One writer of files, one place for caches and settings, one printer of tables, one way to escape HTML."""

from __future__ import annotations

import ast
import re
from functools import cache

from ..paths import ROOT

PACKAGE = ROOT / "edge_sdk"
WRITES = re.compile(r"(mkstemp|NamedTemporaryFile|write_text|write_bytes|savefig|imwrite|savez|user_cache_\w+)$")
OWN_FOLDERS = {
    "files/": "it is the writer",
    "bundle/": "publishes a whole folder in two steps, and reads it back before",
    "export/data/signatures/synthetic.py": "fills a folder that appears as a whole",
    "calibration/quantization/": "files of a TemporaryDirectory, read by a library",
    "export/formats/": "files of a TemporaryDirectory, read by a library",
}
FOLDERS = re.compile(r"XDG_\w+|EDGE_SDK_CACHE|EDGE_SDK_CONFIG|LOCALAPPDATA")


@cache
def sources() -> dict[str, ast.Module]:
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def code() -> dict[str, str]:
    """Without comments, in one spelling."""
    return {name: ast.unparse(tree) for name, tree in sources().items()}


def called(tree: ast.Module) -> set[str]:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {ast.unparse(function) for function in calls}


def test_files_are_written_by_one_module() -> None:
    elsewhere = {
        name: found
        for name, tree in sources().items()
        if not name.startswith(tuple(OWN_FOLDERS))
        if (found := {call for call in called(tree) if WRITES.search(call) and not call.startswith("files.")})
    }
    assert elsewhere == {
        "export/training/log.py": {"figure.savefig"},
        "export/evaluation/plots.py": {"figure.savefig"},
    }


def test_folders_of_the_user_are_known_to_one_module() -> None:
    found = {
        name
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and FOLDERS.fullmatch(node.value)
    }
    assert found == {"files/folders.py"}


def test_tables_are_printed_by_one_module() -> None:
    aligned = {name for name, text in code().items() if re.search(r"\b[lr]just\b", text)}
    markdown = {name for name, text in code().items() if re.search(r"' \| '\.join|\| ---", text)}
    assert aligned == {"tables.py"}
    assert markdown <= {"tables.py"}


def test_html_is_escaped_by_one_module_or_by_templates() -> None:
    """No element is put together by hand, where an escape may be forgotten."""
    by_hand = {name for name, text in code().items() if re.search(r"<(p|td|th|div|figure|img|h\d)\b", text)}
    assert by_hand <= {"markup.py", "tables.py"}
    assert {name for name, text in code().items() if "html.escape" in text} <= {"markup.py"}
    assert {name for name, text in code().items() if "from html import escape" in text} == {"markup.py"}


def test_missing_extras_are_named_by_one_module() -> None:
    by_hand = {name for name, text in code().items() if "MissingToolError(" in text}
    assert by_hand == {"errors.py", "extras.py"}
