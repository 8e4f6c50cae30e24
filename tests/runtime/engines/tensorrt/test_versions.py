"""Which TensorRT serves, and what is said where none does; with made-up modules, so it runs everywhere."""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from types import ModuleType, SimpleNamespace

import msgspec
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineVersionError, MissingEngineError
from edge_sdk.runtime.engines import ENGINES, installed, load_engine, tensorrt, usable
from edge_sdk.runtime.selection import choose

BUILD = "edge_sdk.runtime.engines.tensorrt.build"
ENGINE = "edge_sdk.runtime.engines.tensorrt.engine"


def vendor(version: str) -> ModuleType:
    """As much of TensorRT's Python package as importing our engine takes."""
    module = ModuleType("tensorrt")
    module.__dict__.update(__version__=version, ILogger=object, IProgressMonitor=object)
    return module


@pytest.fixture(autouse=True)
def _none_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)  # makes its import fail
    for name in (BUILD, ENGINE):  # what a test imports is forgotten after it, by the package above it too
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(tensorrt, name.rpartition(".")[2], None, raising=False)


def test_a_missing_package_names_the_extra() -> None:
    with pytest.raises(
        MissingEngineError,
        match=r'with the extra "tensorrt".* \(on a Jetson .*JetPack 6\.1.*python3-libnvinfer',
    ):
        load_engine("tensorrt", b"", "onnx")


@pytest.mark.parametrize("version", ["10.3.0", "11.4.1"])
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx"])
def test_either_package_serves(monkeypatch: pytest.MonkeyPatch, name: str, version: str) -> None:
    found = vendor(version)
    monkeypatch.setitem(sys.modules, name, found)
    assert importlib.import_module(BUILD).trt is found


def test_tensorrt_comes_before_tensorrt_for_rtx(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, rtx = vendor("8.6.2"), vendor("10.3.0"), vendor("1.7.1")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", rtx)
    for installed_version, expected in ((new, new), (old, rtx)):
        monkeypatch.setitem(sys.modules, "tensorrt", installed_version)
        monkeypatch.delitem(sys.modules, BUILD, raising=False)
        assert importlib.import_module(BUILD).trt is expected


def test_the_tensorrt_of_jetpack_6_0_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", vendor("8.6.2"))
    with pytest.raises(EngineVersionError) as caught:
        load_engine("tensorrt", b"", "onnx")
    said = str(caught.value)
    for words in ("TensorRT 8.6.2 is too old", "needs TensorRT 10 or newer", "6.0 has TensorRT 8.6, 6.1 has 10.3"):
        assert words in said


@pytest.mark.parametrize(("version", "taken"), [("8.6.2", False), ("10.3.0", True), ("unknown", True)])
def test_auto_passes_over_a_tensorrt_that_is_too_old(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Bundle, version: str, taken: bool
) -> None:
    module = vendor(version)
    module.__spec__ = SimpleNamespace()  # type: ignore[assignment]  # what find_spec looks for
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setattr(metadata, "version", lambda name: version if name == "tensorrt" else "1")
    monkeypatch.setitem(ENGINES, "tensorrt", msgspec.structs.replace(ENGINES["tensorrt"], devices=()))
    assert installed("tensorrt") == usable("tensorrt", "fp32.onnx") == taken
    assert choose(tiny_bundle, precision="fp32.onnx").engine in (["tensorrt"] if taken else ["openvino", "onnxruntime"])
