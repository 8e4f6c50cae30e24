"""Two OpenCV packages in one environment are noticed, and the message says which to keep."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk import cli, opencv
from edge_sdk.errors import InstallationError

from .paths import ROOT


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


# --- a cv2 that cannot be used ---

UNINSTALL = "pip uninstall -y "
REINSTALL = 'pip install --force-reinstall "opencv-python-headless>=4.10,<5"'
BROKEN = {
    "": ["cv2 is empty", UNINSTALL, REINSTALL],
    "__version__ = '4.14.0'\n": ["cv2 is empty", UNINSTALL, REINSTALL],
    "raise ImportError('libGL.so.1: cannot open shared object file')": [
        "library of the system",
        "libGL.so.1",
        REINSTALL,
    ],
    "raise ImportError('numpy.core.multiarray failed to import')": ["numpy do not fit", '"numpy>=1.26"', REINSTALL],
    "raise AttributeError('_ARRAY_API not found')": ["numpy do not fit", "AttributeError", REINSTALL],
    "import no_such_part": ["No module named 'no_such_part'", UNINSTALL, REINSTALL],
    "raise AttributeError('partially initialized\\nmodule')": ["AttributeError: partially initialized)", REINSTALL],
    "raise ModuleNotFoundError('none', name='cv2')": ["is not installed", 'pip install "opencv-python-headless'],
}


def put_in_the_way(folder: Path, text: str) -> None:
    (folder / "cv2").mkdir()
    (folder / "cv2" / "__init__.py").write_text(text)


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_module_is_one_error_with_the_way_out(tmp_path: Path, monkeypatch, text: str) -> None:
    put_in_the_way(tmp_path, text)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "cv2"]:
        monkeypatch.delitem(sys.modules, name)
    spec = importlib.util.spec_from_file_location("another_opencv", opencv.__file__)
    with pytest.raises(InstallationError) as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert [word for word in BROKEN[text] if word not in str(caught.value)] == []
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.name == "cv2"


def test_a_folder_without_a_module_is_empty(tmp_path: Path, monkeypatch) -> None:
    """What is left where files of one's own lay among those that were uninstalled."""
    (tmp_path / "cv2").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for name in [name for name in sys.modules if name.partition(".")[0] == "cv2"]:
        monkeypatch.delitem(sys.modules, name)
    spec = importlib.util.spec_from_file_location("another_opencv", opencv.__file__)
    with pytest.raises(InstallationError, match="cv2 is empty"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


def test_the_command_line_and_the_package_say_so_without_a_traceback(tmp_path: Path) -> None:
    put_in_the_way(tmp_path, "")
    done = run(tmp_path, "-m", "edge_sdk", "verify", "a.png", "b.png")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-sdk: InstallationError: OpenCV cannot be loaded (the module cv2 is empty")
    assert run(tmp_path, "-m", "edge_sdk", "--version").returncode == 0
    done = run(tmp_path, "-c", "import edge_sdk\ntry: edge_sdk.Verifier\nexcept edge_sdk.EdgeSdkError: print('typed')")
    assert done.stdout == "typed\n"


def test_every_module_imports_it_here() -> None:
    paths = sorted((ROOT / "edge_sdk").rglob("*.py"))
    found = [path.name for path in paths if "import cv2" in path.read_text("utf-8").split("from edge_sdk.opencv ")[0]]
    assert found == ["opencv.py"]
