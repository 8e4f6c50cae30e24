"""The device library, built once: OpenCV, nlohmann/json, CMake and a compiler are needed.

``ONNXRUNTIME_ROOT`` and ``TFLITE_ROOT``, folders with ``include`` and ``lib``, name the engines (docs/native.md).
Without them the tests that run a network are skipped, and the others run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ..paths import ROOT
from .hooks import Hooks
from .interface import Library

ENGINES = {"onnxruntime": "ONNXRUNTIME_ROOT", "tflite": "TFLITE_ROOT"}


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the built libraries."""
    if not shutil.which("cmake"):
        pytest.skip("CMake is not installed")
    kept = os.environ.get("EDGE_SDK_NATIVE_BUILD")  # a folder that is kept between runs
    folder = Path(kept) if kept else tmp_path_factory.mktemp("native")
    roots = [
        f"-DEDGE_SDK_{name.upper()}={os.environ[variable]}"
        for name, variable in ENGINES.items()
        if variable in os.environ
    ]
    configure = ["cmake", "-S", str(ROOT / "native"), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Debug",
                 "-DEDGE_SDK_TESTS=ON", "-DEDGE_SDK_WARNINGS_ARE_ERRORS=ON", *roots]  # fmt: skip
    done = subprocess.run(configure, capture_output=True, text=True, check=False)
    if done.returncode:
        missing = next((line for line in done.stderr.splitlines() if "ould not find" in line), done.stderr[-300:])
        pytest.skip(f"a C++ toolchain with OpenCV and nlohmann/json is not installed: {missing.strip()}")
    made = subprocess.run(["cmake", "--build", str(folder), "-j2"], capture_output=True, text=True, check=False)
    assert not made.returncode, (made.stdout + made.stderr)[-5000:]
    return folder


@pytest.fixture(scope="session")
def library(build: Path) -> Library:
    """The shared library."""
    return Library(build / "libedge_sdk.so")


@pytest.fixture(scope="session")
def hooks(build: Path) -> Hooks:
    """Parts of the library, and sessions on an engine that says what it is told."""
    return Hooks(build / "libedge_sdk_hooks.so")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, library: Library) -> str:
    """Each engine in turn."""
    if request.param not in library.engines:
        pytest.skip(f"{ENGINES[request.param]} names no folder with the engine's headers and library")
    return str(request.param)


@pytest.fixture
def onnxruntime(library: Library) -> Library:
    """The library with ONNX Runtime."""
    if "onnxruntime" not in library.engines:
        pytest.skip("ONNXRUNTIME_ROOT names no folder with the engine's headers and library")
    return library
