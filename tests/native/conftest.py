"""The device library, its examples and its Kotlin library, built once: OpenCV, nlohmann/json, CMake and a compiler.

``make native-deps`` brings the engines, or ``ONNXRUNTIME_ROOT`` and ``TFLITE_ROOT`` name folders with ``include`` and
``lib`` (docs/native.md). Without them the tests that run a network are skipped, and the others run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..paths import ROOT
from .hooks import Hooks
from .interface import Library

BUILD = ROOT / "build" / "native-tests"  # kept between runs
DEPENDENCIES = ROOT / "build" / "native-deps"  # what `make native-deps` fills
ENGINES = {"onnx": "onnxruntime", "tflite": "tflite"}  # by the format that they run


@dataclass(frozen=True)
class Built:
    """A build folder, and the engines in the library."""

    folder: Path
    engines: frozenset[str]

    def file(self, name: str) -> Path:
        """A program or library of the build."""
        found = next(self.folder.glob(f"**/{name}"), None)
        if found is None:
            pytest.skip(f"{name} was not built: a JDK is not installed")
        return found

    def need(self, engine: str) -> None:
        """Skip without an engine."""
        if engine not in self.engines:
            pytest.skip(f"{engine} for C++ is not there: make native-deps, or {engine.upper()}_ROOT")


def root(engine: str) -> Path | None:
    """An engine's include/ and lib/."""
    given = os.environ.get(f"{engine.upper()}_ROOT")
    found = Path(given) if given else DEPENDENCIES / engine
    return found if found.is_dir() else None


@pytest.fixture(scope="session")
def built() -> Built:
    """The build."""
    if not shutil.which("cmake"):
        pytest.skip("CMake is not installed")
    roots = {engine: found for engine in ENGINES.values() if (found := root(engine))}
    javac = shutil.which("javac")
    java = {"JAVA_HOME": str(Path(javac).resolve().parents[1])} if javac else {}
    options = [f"-DEDGE_SDK_{engine.upper()}={roots.get(engine, '')}" for engine in ENGINES.values()]
    options += ["-DEDGE_SDK_TESTS=ON", "-DEDGE_SDK_WARNINGS_ARE_ERRORS=ON"]
    configure = ["cmake", "-S", str(Path(__file__).parent), "-B", str(BUILD), *options]
    make = ["cmake", "--build", str(BUILD), "--parallel", "2"]
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test process may be building
        done = subprocess.run(configure, env=os.environ | java, capture_output=True, text=True, check=False)
        if done.returncode:
            missing = next((line for line in done.stderr.splitlines() if "ould not find" in line), None)
            assert missing, done.stderr
            pytest.skip(f"a C++ toolchain with OpenCV and nlohmann/json is not installed: {missing.strip()}")
        made = subprocess.run(make, capture_output=True, text=True, check=False, timeout=1200)
        assert not made.returncode, (made.stdout + made.stderr)[-5000:]
    return Built(BUILD, frozenset(roots))


@pytest.fixture(scope="session")
def library(built: Built) -> Library:
    """The shared library."""
    return Library(built.file("libedge_sdk.so"))


@pytest.fixture(scope="session")
def without_openssl(built: Built) -> Library:
    """The shared library as it is built without OpenSSL."""
    return Library(built.file("libedge_sdk_without_openssl.so"))


@pytest.fixture(scope="session")
def hooks(built: Built) -> Hooks:
    """Parts of the library, and sessions on an engine that says what it is told."""
    return Hooks(built.file("libedge_sdk_hooks.so"))


@pytest.fixture(params=ENGINES.values())
def engine(request: pytest.FixtureRequest, built: Built) -> str:
    """Each engine in turn."""
    built.need(request.param)
    return str(request.param)


@pytest.fixture
def onnxruntime(built: Built, library: Library) -> Library:
    """The library with ONNX Runtime."""
    built.need("onnxruntime")
    return library
