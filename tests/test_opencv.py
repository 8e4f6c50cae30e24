"""Two OpenCV packages in one environment are noticed, and the message says which to keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk import cli, opencv


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Let pip know these packages, and none of the real ones."""
    real = opencv.installed()

    def put(*names: str) -> None:
        monkeypatch.setattr(opencv, "PACKAGES", tuple(name for name in opencv.PACKAGES if name not in real))
        for name in names:
            folder = tmp_path / f"{name.replace('-', '_')}-4.14.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 4.14\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    return put


def test_one_package_needs_no_advice() -> None:
    assert len(opencv.installed()) == 1
    assert opencv.advice() == ""


def test_none_is_no_problem(install) -> None:
    install()
    assert opencv.advice() == ""


def test_two_packages_are_named_with_the_way_out(install) -> None:
    install("opencv-python", "opencv-contrib-python")
    assert opencv.installed() == ("opencv-python", "opencv-contrib-python")
    said = opencv.advice()
    assert "keep one" in said
    assert "pip uninstall -y opencv-python opencv-contrib-python;" in said
    assert 'pip install "opencv-python-headless>=4.10,<5"' in said


def test_the_self_test_says_so(install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    install("opencv-python", "opencv-contrib-python")
    assert cli.main(["selftest", "deepsign", "--engine", "onnxruntime", "--json"]) == 0
    output = capsys.readouterr()
    assert "keep one" in output.err
    assert "keep one" not in output.out
