"""The golden trial: replayed with every variant, and not passed by replaying nothing."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, EngineError, IntegrityError, UsageError
from edge_sdk.runtime import SpoofDetector, Verifier
from edge_sdk.runtime.engines import ENGINES
from edge_sdk.runtime.selftest import passed, selftest

from ..bundle.made import edit_manifest

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
    monkeypatch.setitem(ENGINES, "second", msgspec.structs.replace(row, variants=("fp32.onnx",)))
    monkeypatch.setitem(ENGINES, "absent", msgspec.structs.replace(row, packages=("no_such_package",)))
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
    assert "install edge-sdk with the extra" in replays[0].detail
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


# --- at opening ---


def test_at_opening_the_right_score_is_needed(make_bundle: Maker, expected: dict[str, float]) -> None:
    with Verifier(make_bundle(golden=expected), precision="fp32", selftest=True) as verifier:
        assert verifier.variant.id == "fp32.onnx"
    wrong = make_bundle(golden=expected | {"fp32.onnx": expected["fp32.onnx"] + 2e-4})
    with pytest.raises(BundleError, match=r"scores 0\.\d+ with fp32\.onnx on onnxruntime, not 0\."):
        Verifier(wrong, precision="fp32", engine="onnxruntime", selftest=True)
    Verifier(wrong, precision="fp32").close()


def test_at_opening_nothing_replayed_is_not_passed(tiny_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"no golden trial for .*\.onnx: open it without selftest"):
        Verifier(tiny_bundle, selftest=True)


def test_at_opening_a_failed_trial_closes_the_engine(
    make_bundle: Maker, expected: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Verifier] = []
    close = Verifier.close
    monkeypatch.setattr(Verifier, "close", lambda self: (closed.append(self), close(self)))
    with pytest.raises(BundleError):
        Verifier(make_bundle(golden=dict.fromkeys(expected, 0.0)), selftest=True)
    with pytest.raises(EngineError):
        closed[0].embed(np.full((380, 600), 255, np.uint8))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_swapped_metric_is_noticed_whatever_the_hashes_say(tmp_path: Path, precision: str) -> None:
    shutil.copytree(Bundle.open("deepsign_nano").path, tmp_path / "edited")
    assert Bundle.open("deepsign_nano").manifest.score.metric == "euclidean"  # type: ignore[union-attr]
    edit_manifest(tmp_path / "edited", "score", "metric", value="cosine")
    with pytest.raises(BundleError, match="the bundle was changed"):
        Verifier(tmp_path / "edited", precision=precision, engine="onnxruntime", selftest=True)


@pytest.mark.parametrize("name", ["liveness", "ganomaly_lite"])
def test_a_detector_replays_its_crops(tmp_path: Path, name: str) -> None:
    bundle = Bundle.open(name)
    with SpoofDetector(bundle, precision="fp32", engine="onnxruntime", selftest=True):
        pass
    shutil.copytree(bundle.path, tmp_path / "edited")
    edit_manifest(
        tmp_path / "edited", "golden", "scores", "fp32.onnx", value=bundle.manifest.golden.scores["fp32.onnx"] * 0.9
    )
    with pytest.raises(BundleError, match="the golden trial of"):
        SpoofDetector(tmp_path / "edited", precision="fp32", engine="onnxruntime", selftest=True)
