"""What source archives hold: the documentation, and none of the links at the top of a checkout."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ..paths import ROOT

LINKS = {"export", "runtime", "calibration"}


def names(archive: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return set(tar.getnames())


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Paths in the source distribution, without its own folder."""
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.tar.gz")
    return {name.partition("/")[2] for name in names(built.read_bytes())}


def test_the_source_distribution_holds_the_documentation(sdist: set[str]) -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in Path(ROOT, "docs").rglob("*.md")}
    wanted = {
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "CITATION.cff",
        "containers/x86.Dockerfile",
        "sboms/bundles.cdx.json",
        "LICENSE",
        "Makefile",
        "mkdocs.yml",
        "docs/_roles.py",
        "docs/_hooks.py",
        "docs/wide.css",
    }
    assert pages | wanted <= sdist


def test_the_source_distribution_builds_and_tests(sdist: set[str]) -> None:
    for folder in ("edge_sdk", "native", "tests", "examples", "benchmarks", "requirements"):
        assert any(path.startswith(f"{folder}/") for path in sdist), folder


def test_the_links_stay_out(sdist: set[str]) -> None:
    assert LINKS.isdisjoint(path.partition("/")[0] for path in sdist)


def test_the_links_stay_out_of_archives_of_the_repository() -> None:
    command = ["git", "archive", "--worktree-attributes", "HEAD"]
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    found = names(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60).stdout)
    assert "edge_sdk/__init__.py" in found
    assert LINKS.isdisjoint(found)
