"""One meaning, one name: no two types of the package are called alike."""

from __future__ import annotations

import ast
from collections import defaultdict

from ..paths import ROOT


def test_no_type_name_stands_twice() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "edge_sdk").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path.relative_to(ROOT).as_posix())
    assert not {name: paths for name, paths in homes.items() if len(paths) > 1}
