"""``selftest``: passes, fails and says why."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.runtime import Verifier

Maker = Callable[..., Bundle]


def test_selftest(
    make_bundle: Maker, tiny_bundle: Bundle, signer: Callable[..., np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    with Verifier(tiny_bundle) as verifier:
        score = verifier.verify(signer(1), signer(2)).score
    good, wrong = (str(make_bundle(golden={"int8.onnx": value}).path) for value in (score, score + 0.1))
    assert main(["selftest", good, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["passed"] is True
    assert said["replays"][0]["score"] == pytest.approx(score, abs=1e-6)
    assert main(["selftest", good]) == 0
    assert "PASS" in capsys.readouterr().out
    assert main(["selftest", wrong]) == 1
    assert "FAIL" in capsys.readouterr().out
    assert main(["selftest", str(tiny_bundle.path)]) == 1
    assert "nothing was replayed" in capsys.readouterr().out
    assert main(["selftest", good, "--engine", "litert"]) == 1
    shown = capsys.readouterr().out
    assert "litert does not run int8.onnx; it runs int8.tflite" in shown
    assert max(map(len, shown.splitlines())) <= 80
