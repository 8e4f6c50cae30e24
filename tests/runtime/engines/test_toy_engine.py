"""What adding an engine takes: one file and one row."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edge_sdk import Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.errors import MissingEngineError
from edge_sdk.runtime.engines import ENGINES, _Row, version
from edge_sdk.runtime.selection import candidates, choose

from ...conftest import png

FILE = '''
import numpy as np
import toy_vendor

from edge_sdk.runtime.engines import TensorInfo


class ToyEngine:
    """Gray in each quarter of the picture."""

    inputs = (TensorInfo("image", ("batch", 1, 150, 180), "float32"),)
    outputs = (TensorInfo("embedding", ("batch", 4), "float32"),)

    def run(self, inputs):
        quarters = inputs["image"].reshape(-1, 2, 75, 2, 90).mean(axis=(2, 4))
        return {"embedding": 1 + quarters.reshape(-1, 4)}

    def close(self):
        pass


def load(model, *, threads):
    return ToyEngine()
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_engine.py").write_text(FILE)
    (tmp_path / "toy_vendor.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("toy_engine", "toy_vendor"):  # forgotten after the test
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(ENGINES, "toy", _Row("toy_engine", ("int8.onnx", "fp32.onnx"), ("toy_vendor",), "toy"))


@pytest.mark.usefixtures("toy")
def test_a_file_and_a_row_make_an_engine(
    tiny_bundle: Bundle, signature: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Verifier(tiny_bundle, engine="toy", precision="fp32") as verifier:
        assert verifier.verify(signature, signature).score == pytest.approx(1)
    assert "toy" in {choice.engine for choice in candidates(tiny_bundle)}
    assert choose(tiny_bundle).engine != "toy"  # an engine that nobody has measured comes last
    assert version("toy") == "unknown"
    (tmp_path / "signature.png").write_bytes(png(signature))
    pair = [str(tmp_path / "signature.png")] * 2
    assert main(["verify", *pair, "--bundle", str(tiny_bundle.path), "--engine", "toy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"] is True


def test_without_its_package_the_extra_is_named(toy: None, make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    (tmp_path / "toy_vendor.py").unlink()
    with pytest.raises(MissingEngineError, match='with the extra "toy"'):
        Verifier(make_bundle(), engine="toy")
