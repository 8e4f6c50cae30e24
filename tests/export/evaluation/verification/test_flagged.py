"""Shares of flagged samples by class, and error rates without those that are unfamiliar."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import modalities
from edge_sdk.bundle import Bundle
from edge_sdk.calibration.familiarity import fit
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.export.evaluation.verification import report
from edge_sdk.export.evaluation.verification.evaluate import VerificationEvaluation, evaluate
from edge_sdk.manifest import Image
from edge_sdk.preprocess import INK
from edge_sdk.preprocess.region import InkRegion

Maker = Callable[..., Bundle]
WRITERS, GENUINE, FORGED = 6, 5, 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six writers, of whom the first's forger has a pen ten times as thick, and a blank picture."""
    root = tmp_path_factory.mktemp("data") / "mine"
    for writer in range(WRITERS):
        hand = SyntheticWriter(100 + writer)
        for kind, count, draw in (("genuine", GENUINE, hand.genuine), ("forged", FORGED, hand.forged)):
            for k in range(count):
                path = root / f"w{writer}" / kind / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                thick = writer == 0 and kind == "forged"
                cv2.imwrite(str(path), cv2.erode(draw(k), np.ones((25, 25), np.uint8)) if thick else draw(k))
    cv2.imwrite(str(root / "w1" / "genuine" / "blank.png"), np.full((300, 600), 255, np.uint8))
    return load(f"folder:{root}")


def evaluated(bundle: Bundle, data: Dataset) -> VerificationEvaluation:
    return evaluate(bundle, data, engine="onnxruntime", precision="fp32", references=(1,), replicates=50)


@pytest.fixture(scope="module")
def evaluation(make_bundle: Maker, data: Dataset) -> VerificationEvaluation:
    modality, source = modalities.get("signature"), Image(region=InkRegion())
    usual = [
        sample for sample in data.samples if not sample.path.match("*/w0/forged/*") and sample.path.stem != "blank"
    ]
    values = [modality.measure(modality.prepare(INK, modality.decode(one.path), source)) for one in usual]
    known = fit(modality.measures, np.array(values), [one.subject for one in usual], data="made up")
    return evaluated(make_bundle(familiarity=known), data)


def test_flags_are_counted_by_class_and_what_failed_is_not(evaluation: VerificationEvaluation) -> None:
    genuine, forged = evaluation.report.flagged
    assert (genuine.data, genuine.genuine, genuine.samples) == ("mine", True, WRITERS * GENUINE)
    assert (forged.data, forged.genuine, forged.samples) == ("mine", False, WRITERS * FORGED)
    assert forged.flags["unfamiliar"] == FORGED
    assert genuine.flags.get("unfamiliar", 0) <= 1
    assert evaluation.report.data[0].failed_genuine == 1


def test_the_familiar_samples_are_measured_alone(evaluation: VerificationEvaluation) -> None:
    every = {m.forgeries: m for m in evaluation.report.measurements}
    familiar = {m.forgeries: m for m in evaluation.report.without_unfamiliar}
    assert familiar.keys() == every.keys() == {"skilled", "random"}
    assert familiar["skilled"].impostors <= every["skilled"].impostors - GENUINE * FORGED
    assert familiar["skilled"].mated <= every["skilled"].mated


def test_the_report_shows_both(evaluation: VerificationEvaluation, tmp_path: Path) -> None:
    text = report.text(evaluation.report)
    assert "unfamiliar  3 of 18" in text
    assert "The same without the samples that are unlike those of the bundle." in text
    page, plain = report.html(evaluation), json.loads(report.write(evaluation, tmp_path)[0].read_bytes())
    assert "Quality flags" in page
    assert plain["flagged"][1]["flags"]["unfamiliar"] == FORGED
    assert len(plain["without_unfamiliar"]) == 2


def test_nothing_is_measured_twice_where_all_is_familiar(
    tiny_bundle: Bundle, data: Dataset, evaluation: VerificationEvaluation
) -> None:
    without = evaluated(tiny_bundle, data)
    assert without.report.without_unfamiliar == ()
    assert all("unfamiliar" not in one.flags for one in without.report.flagged)
    assert without.report.measurements == evaluation.report.measurements
    assert "unlike those" not in report.text(without.report)
