"""Several distributions of OpenCV in one environment."""

from __future__ import annotations

from importlib import metadata

import pytest

from edge_sdk import installation


def pretend(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    installed = {name.replace("_", "-"): version for name, version in versions.items()}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)


def test_one_opencv_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in installation.OPENCV:
        pretend(monkeypatch, **{name.replace("-", "_"): "4.13.0.92"})
        assert installation.warnings() == ()
    pretend(monkeypatch)  # a system's own OpenCV has no distribution
    assert installation.warnings() == ()


def test_two_are_named_with_the_commands_that_leave_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, opencv_python_headless="4.13.0.92", opencv_python="4.12.0.88")
    (warning,) = installation.warnings()
    assert "opencv-python-headless 4.13.0.92 and opencv-python 4.12.0.88 are installed" in warning
    remove = "pip uninstall -y opencv-python-headless opencv-python && pip install"
    assert f'{remove} "opencv-python-headless>=4.10,<5"' in warning
    assert f'{remove} "opencv-python>=4.10,<5"' in warning


def test_a_contrib_build_is_kept_where_it_is_the_one_with_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, opencv_python_headless="4.13.0.92", opencv_contrib_python="4.12.0.88")
    assert 'pip install "opencv-contrib-python>=4.10,<5"' in installation.warnings()[0]
