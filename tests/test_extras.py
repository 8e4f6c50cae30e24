from __future__ import annotations

import sys
import types

import pytest

from edge_sdk import errors
from edge_sdk.errors import MissingEngineError, MissingToolError
from edge_sdk.extras import needs_extra


def test_a_missing_package_is_named_with_the_extra_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingToolError) as caught, needs_extra("export"):
        import torch  # noqa: F401
    assert str(caught.value) == 'torch is not installed; run: pip install "edge-sdk[export]"'
    assert (caught.value.package, caught.value.extra) == ("torch", "export")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("line", ["import old.nn", "from old import nn"])
def test_a_package_that_is_too_old_is_not_called_missing(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setitem(sys.modules, "old", types.ModuleType("old"))
    said = r'^old cannot be used: .*; run: pip install "edge-sdk\[export\]"$'
    with pytest.raises(MissingToolError, match=said), needs_extra("export"):
        exec(line)


@pytest.mark.parametrize(
    "line", ["import edge_sdk.nothing", "from edge_sdk.errors import nothing", "raise ImportError('loaded by a link')"]
)
def test_an_import_error_of_our_own_is_no_missing_package(line: str) -> None:
    with pytest.raises(ImportError) as caught, needs_extra("export"):
        exec(line)
    assert not isinstance(caught.value, errors.EdgeSdkError)


def test_errors_that_say_what_is_missing_stay_as_they_are() -> None:
    for error in (MissingEngineError("onnxruntime", "onnx"), MissingToolError("litert_torch", "tflite-export")):
        with pytest.raises(type(error)) as caught, needs_extra("export"):
            raise error
        assert caught.value is error
