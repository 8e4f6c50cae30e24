"""CITATION.cff says of the version, the licence and the words what the package says."""

from __future__ import annotations

import pytest
import tomllib

import edge_sdk

from ..paths import ROOT

yaml = pytest.importorskip("yaml", reason="edge-sdk[docs]")


def test_it_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (cited["cff-version"], cited["type"], cited["title"]) == ("1.2.0", "software", project["name"])
    assert (cited["version"], cited["license"]) == (edge_sdk.__version__, project["license"])
    assert {"message", "authors", "abstract"} <= cited.keys()
