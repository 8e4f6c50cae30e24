"""The package runs on the oldest Python that ``pyproject.toml`` names; the wheel's tests install it there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import tomllib

from ..paths import ROOT

SOURCES = sorted(Path(ROOT, "edge_sdk").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_source_is_in_its_grammar(path: Path) -> None:
    ast.parse(path.read_bytes(), str(path), feature_version=(3, 10))


def test_every_tool_knows_which_it_is() -> None:
    """By it mypy refuses what the standard library of newer ones has added."""
    project = tomllib.loads(Path(ROOT, "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.10"
    assert project["tool"]["mypy"]["python_version"] == "3.10"
    assert project["tool"]["ruff"]["target-version"] == "py310"
