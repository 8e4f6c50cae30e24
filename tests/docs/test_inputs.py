"""Every row of docs/inputs.md names a test that is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from ..paths import ROOT

PAGE = ROOT / "docs" / "inputs.md"
ROWS = [
    line
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and not re.match(r"\|[-| ]+$", line) and not line.endswith("| test |")
]


@cache
def _tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_a_test_that_is_there(row: str) -> None:
    cells = re.split(r"(?<!\\)\|", row)[1:-1]
    assert len(cells) == 3, "input, what happens, test"
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", cells[2])
    assert named, "no test"
    for path, test in named:
        assert test in _tests(ROOT / path), f"{path} has no {test}"
