"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

from ..paths import ROOT

PACKAGE = [path for path in sorted((ROOT / "edge_sdk").rglob("*.py")) if ">>> " in path.read_text()]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", [module_name(path) for path in PACKAGE])
def test_doctests(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name), report=True)
    assert found.attempted > 0
    assert found.failed == 0


def test_doctests_of_the_documentation() -> None:
    pytest.importorskip("griffe", reason="edge-sdk[docs]")
    specification = importlib.util.spec_from_file_location("roles", ROOT / "docs" / "_roles.py")
    assert specification and specification.loader
    roles = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = roles
    specification.loader.exec_module(roles)
    assert doctest.testmod(roles).failed == 0
    assert roles.markdown("As::\n\n    a = 1\n\n    b = 2\n\nand so on") == (
        "As:\n\n```python\na = 1\n\nb = 2\n```\n\nand so on"
    )
    assert roles.markdown("One.\n\n::\n\n    a = 1\n") == "One.\n\n\n\n```python\na = 1\n```\n\n"
