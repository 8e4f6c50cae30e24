"""The site builds without a warning and asks nobody else for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk.export.data import catalogue

from ..paths import ROOT

pytest.importorskip("mkdocs", reason="edge-sdk[docs]")
pytest.importorskip("mkdocstrings", reason="edge-sdk[docs]")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    # A proxy that nobody is behind: a build that fetched something would fail.
    nobody = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = os.environ | nobody | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?(?:https?:)?//[^\s\">]+", page.read_text()
        )
        assert loaded == [], page.name


def test_the_api_reference_shows_docstrings(site: Path) -> None:
    page = (site / "api" / "edge_sdk.html").read_text()
    assert "Decide whether" in page
    assert ":class:" not in page


def test_the_table_of_data_sets_is_made_from_their_rows(site: Path) -> None:
    page = (site / "data.html").read_text()
    assert [row.specification for row in catalogue.rows() if f"<code>{row.specification}</code>" not in page] == []
