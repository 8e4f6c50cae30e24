"""The device library, built once with the engines that are there, for all tests of this folder."""

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

BUILD = ROOT / "build" / "native-tests"
DEPENDENCIES = ROOT / "build" / "native-deps"  # what `make native-deps` fills
ENGINES = {"onnx": "onnxruntime", "tflite": "tflite"}  # by the format that they run


@dataclass(frozen=True)
class Built:
    """A build folder, and the formats that the library runs: none where no engine for C++ is there."""

    folder: Path
    formats: frozenset[str]

    def file(self, name: str) -> Path:
        """A program or library of the build."""
        found = next(self.folder.glob(f"**/{name}"), None)
        if found is None:
            pytest.skip(f"{name} was not built: a JDK is not installed")
        return found

    def need(self, format_: str) -> None:
        """Skip without the engine of a format."""
        if format_ not in self.formats:
            pytest.skip(f"{ENGINES[format_]} for C++ is not there: make native-deps")


def root(engine: str) -> Path | None:
    """An engine's include/ and lib/: ``ONNXRUNTIME_ROOT``, ``TFLITE_ROOT``, or what ``make native-deps`` made."""
    given = os.environ.get(f"{engine.upper()}_ROOT")
    found = Path(given) if given else DEPENDENCIES / engine
    return found if found.is_dir() else None


@pytest.fixture(scope="session")
def built() -> Built:
    """The build; tests are skipped where a compiler, CMake, OpenCV or nlohmann/json is not installed."""
    roots = {format_: found for format_, engine in ENGINES.items() if (found := root(engine))}
    if not shutil.which("cmake"):
        pytest.skip("CMake is not installed")
    javac = shutil.which("javac")
    java = {"JAVA_HOME": str(Path(javac).resolve().parents[1])} if javac else {}
    options = ["-DEDGE_SDK_WARNINGS_ARE_ERRORS=ON"]
    options += [f"-DEDGE_SDK_{ENGINES[format_].upper()}={found}" for format_, found in roots.items()]
    unset = [f"-UEDGE_SDK_{engine.upper()}" for format_, engine in ENGINES.items() if format_ not in roots]
    configure = ["cmake", "-S", str(Path(__file__).parent), "-B", str(BUILD), *options, *unset]
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test process may be building
        done = subprocess.run(configure, env=os.environ | java, capture_output=True, text=True, check=False)
        if done.returncode:
            missing = next((line for line in done.stderr.splitlines() if "ould not find" in line), None)
            assert missing, done.stderr
            pytest.skip(f"a C++ toolchain with OpenCV and nlohmann/json is not installed: {missing.strip()}")
        made = subprocess.run(
            ["cmake", "--build", str(BUILD), "--parallel", "2"],
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
        assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    return Built(BUILD, frozenset(roots))


@pytest.fixture(scope="session")
def library(built: Built) -> Library:
    """The shared library."""
    return Library(built.file("libedge_sdk.so"))


@pytest.fixture(scope="session")
def hooks(built: Built) -> Hooks:
    """Parts of the library, and sessions on an engine that says what it is told."""
    return Hooks(built.file("libedge_sdk_hooks.so"))


@pytest.fixture(params=ENGINES)
def form(request: pytest.FixtureRequest, built: Built) -> str:
    """The format of each engine in turn."""
    built.need(request.param)
    return str(request.param)
