"""The golden trial: replayed with every variant, and not passed by replaying nothing."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable

import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import IntegrityError, UsageError
from edge_sdk.runtime import Verifier
from edge_sdk.runtime.engines import ENGINES
from edge_sdk.runtime.selftest import passed, selftest

Maker = Callable[..., Bundle]


@pytest.fixture(scope="module")
def expected(tiny_bundle: Bundle, signer: Callable[..., np.ndarray]) -> dict[str, float]:
    """Scores of the pictures that ``make_bundle`` takes as golden."""
    scores = {}
    for variant in tiny_bundle.manifest.variants:
        with Verifier(tiny_bundle, precision=variant.id) as verifier:
            scores[variant.id] = verifier.verify(signer(1), signer(2)).score
    return scores


def test_right_scores_pass(make_bundle: Maker, expected: dict[str, float]) -> None:
    replays = selftest(make_bundle(golden=expected))
    assert [(r.variant_id, r.status) for r in replays] == [("fp32.onnx", "pass"), ("int8.onnx", "pass")]
    assert {r.variant_id: r.score for r in replays} == pytest.approx(expected, abs=1e-4)
    assert passed(replays)


def test_one_wrong_score_fails(make_bundle: Maker, expected: dict[str, float]) -> None:
    replays = selftest(make_bundle(golden=expected | {"int8.onnx": expected["int8.onnx"] + 2e-4}))
    assert [r.status for r in replays] == ["pass", "fail"]
    assert not passed(replays)
    assert passed(selftest(make_bundle(golden=expected | {"int8.onnx": expected["int8.onnx"] + 2e-4}, tolerance=1e-3)))


def test_every_engine_that_takes_it(
    make_bundle: Maker, expected: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle(golden=expected)
    row = ENGINES["onnxruntime"]
    for name in set(ENGINES) - {"onnxruntime"}:  # whatever else is installed here
        monkeypatch.delitem(ENGINES, name)
    monkeypatch.setitem(ENGINES, "second", dataclasses.replace(row, variants=("fp32.onnx",)))
    monkeypatch.setitem(ENGINES, "absent", dataclasses.replace(row, packages=("no_such_package",)))
    replays = selftest(bundle, engine="all")
    assert [(r.variant_id, r.engine) for r in replays] == [
        ("fp32.onnx", "onnxruntime"),
        ("fp32.onnx", "second"),
        ("int8.onnx", "onnxruntime"),
    ]
    assert passed(replays)
    assert [(r.engine, r.status) for r in selftest(bundle, engine="second")] == [
        ("second", "pass"),
        ("none", "skipped"),
    ]
    with pytest.raises(UsageError):
        selftest(bundle, engine="nonesuch")


def test_no_golden_inputs_are_not_passed(tiny_bundle: Bundle) -> None:
    assert selftest(tiny_bundle) == ()
    assert not passed(())


def test_without_an_engine_it_is_skipped_and_not_passed(
    make_bundle: Maker, expected: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle(golden=expected)
    monkeypatch.delitem(sys.modules, "edge_sdk.runtime.engines.onnxruntime", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    replays = selftest(bundle, engine="onnxruntime")
    assert {r.status for r in replays} == {"skipped"}
    assert {r.engine for r in replays} == {"onnxruntime"}
    assert "pip install" in replays[0].detail
    assert not passed(replays)


@pytest.mark.usefixtures("fake_engine")
def test_a_failing_engine_fails(make_bundle: Maker, expected: dict[str, float]) -> None:
    replays = selftest(make_bundle(golden=expected), engine="fake")  # an ONNX file is no fake model
    assert {r.status for r in replays} == {"fail"}
    assert replays[0].detail.startswith("EngineError")


def test_a_damaged_golden_input_is_an_error(make_bundle: Maker, expected: dict[str, float]) -> None:
    bundle = make_bundle(golden=expected)
    path = bundle.path / "golden" / "0.png"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError):
        selftest(bundle.path)
