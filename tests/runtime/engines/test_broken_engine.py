"""An engine that is installed and cannot be loaded is not the same as one that is not installed."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.errors import BrokenEngineError, MissingEngineError
from edge_sdk.runtime import Verifier, engines
from edge_sdk.runtime.engines import ENGINES, installed, load_engine
from edge_sdk.runtime.engines.placement import placement
from edge_sdk.runtime.selection import choose
from edge_sdk.runtime.selftest import passed, selftest

Maker = Callable[..., Bundle]
WHY = "libfoo.so.1: cannot open shared object file: No such file or directory"
FAULTS = {
    f"raise ImportError({WHY!r})": "ImportError",
    f"raise OSError({WHY!r})": "OSError",
    f"raise AttributeError({WHY!r})": "AttributeError",  # such as one built for another numpy
    f"raise ModuleNotFoundError({WHY!r}, name='numpy._core.libfoo')": "ModuleNotFoundError",
}


EMPTY = "module 'onnxruntime' has no attribute 'InferenceSession'"


@pytest.fixture
def broken(only_onnxruntime: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Install a package ``onnxruntime`` with this code; there is no other engine."""

    def install(code: str) -> None:
        package = tmp_path / "onnxruntime"
        package.mkdir()
        (package / "__init__.py").write_text(code + "\n", encoding="utf-8")
        for name in list(sys.modules):
            if name.partition(".")[0] == "onnxruntime" or name == ENGINES["onnxruntime"].module:
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(engines, "onnxruntime", raising=False)
        monkeypatch.syspath_prepend(tmp_path)

    return install


@pytest.mark.parametrize(("code", "kind"), FAULTS.items())
def test_the_reason_of_the_loader_is_told(code: str, kind: str, broken: Callable[[str], None]) -> None:
    broken(code)
    assert installed("onnxruntime")
    with pytest.raises(BrokenEngineError, match="pip install --force-reinstall --no-deps onnxruntime") as caught:
        load_engine("onnxruntime", b"", "onnx")
    assert f'engine "onnxruntime" is installed but cannot be loaded: {kind}: {WHY}' in str(caught.value)
    assert not isinstance(caught.value, MissingEngineError)
    assert isinstance(caught.value, ImportError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(BrokenEngineError):
        placement("onnxruntime", b"", {}, threads=1)


def test_what_is_left_of_an_uninstalled_package_is_broken(broken: Callable[[str], None]) -> None:
    broken("")  # as where one of onnxruntime and onnxruntime-gpu was uninstalled
    with pytest.raises(BrokenEngineError, match=EMPTY):
        load_engine("onnxruntime", b"", "onnx")


def test_a_module_without_a_specification_counts_as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    assert installed("onnxruntime")


def test_auto_does_not_pass_over_it_and_selftest_fails(
    broken: Callable[[str], None], make_bundle: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(golden={"fp32.onnx": 0.5})
    broken(f"raise OSError({WHY!r})")
    assert choose(bundle).engine == "onnxruntime"
    with pytest.raises(BrokenEngineError, match="libfoo"):
        Verifier(bundle)
    for engine in ("all", "auto", "onnxruntime"):
        replays = selftest(bundle, engine=engine)
        assert [(one.engine, one.status) for one in replays] == [("onnxruntime", "fail")]
        assert replays[0].detail.startswith("BrokenEngineError: ")
        assert WHY in replays[0].detail
        assert not passed(replays)
    assert main(["selftest", str(bundle.path), "--engine", "all"]) == 1
    assert "FAILED" in capsys.readouterr().out
    assert main(["inspect", str(bundle.path)]) == 0
    assert f"cannot be loaded: OSError: {WHY}" in " ".join(capsys.readouterr().out.split())
    assert main(["tune", str(bundle.path), "--seconds", "0.1"]) == 3
    assert WHY in capsys.readouterr().err


def test_a_package_that_is_not_there_is_missing(
    monkeypatch: pytest.MonkeyPatch, signer: Callable[..., np.ndarray]
) -> None:
    for name in list(sys.modules):
        if name == ENGINES["onnxruntime"].module:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # makes its import fail
    assert not installed("onnxruntime")
    with pytest.raises(MissingEngineError):
        Verifier("deepsign_nano", engine="onnxruntime")
