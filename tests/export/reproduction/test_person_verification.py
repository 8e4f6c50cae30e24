"""Document 004's table on made-up faces with miniatures: what it says, and that nothing is done twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.cli import main
from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.recipes.person_verification import OURS, ROWS, TRAINED
from edge_sdk.export.reproduction import person_verification
from edge_sdk.export.reproduction.person_verification import MeasuredRow, PersonRequest, read, reproduce, table

PRESETS = ("mobilenet-bce-adam-2e-4-8", "mobilenet-cosine-plain-adam-2e-4-8")


@pytest.fixture(scope="module")
def cfp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CFP's layout: two people a fold, each with two frontal pictures and a profile, coloured blobs."""
    root = tmp_path_factory.mktemp("cfp")
    rng = np.random.default_rng(0)
    listed: dict[str, list[str]] = {"F": [], "P": []}
    for person in range(1, 21):
        coarse = rng.uniform(0, 255, (3, 3, 3)).astype(np.float32)
        for kind, letter, count in (("frontal", "F", 2), ("profile", "P", 1)):
            for number in range(1, count + 1):
                name = f"Data/Images/{person:03d}/{kind}/{number:02d}.jpg"
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                noisy = (coarse + rng.normal(0, 9, coarse.shape)).clip(0, 255).astype(np.uint8)
                cv2.imwrite(str(root / name), cv2.resize(noisy, (48, 60), interpolation=cv2.INTER_CUBIC))
                listed[letter].append(f"{len(listed[letter]) + 1} ../{name}\n")
    for fold in range(1, 11):
        one, other = 4 * fold - 3, 4 * fold - 1
        lists = {
            "FF/same": [(one, one + 1), (other, other + 1)],
            "FF/diff": [(one, other), (other + 1, one + 1)],
            "FP/same": [(one, 2 * fold - 1)],
            "FP/diff": [(one, 2 * fold)],
        }
        for name, pairs in lists.items():
            kind, label = name.split("/")
            path = root / f"Protocol/Split/{kind}/{fold:02d}/{label}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{first},{second}\n" for first, second in pairs))
    for letter, lines in listed.items():
        (root / f"Protocol/Pair_list_{letter}.txt").write_text("".join(lines))
    return root


@pytest.fixture(scope="module")
def request_(cfp: Path, tmp_path_factory: pytest.TempPathFactory) -> PersonRequest:
    return PersonRequest(tmp_path_factory.mktemp("table"), PRESETS, (f"cfp:{cfp}",), steps=2, tiny=True)


def quiet(_line: str) -> None:
    """Nobody listens."""


def test_rows_are_trained_and_tested_once(request_: PersonRequest) -> None:
    first = reproduce(request_, quiet)
    runs = {path: path.stat().st_mtime_ns for path in request_.out.glob("runs/*/*.safetensors")}
    assert len(runs) == 4  # two trainings, the best and the last weights of each
    again = reproduce(request_, quiet)
    assert again.as_dict() == first.as_dict()
    assert {path: path.stat().st_mtime_ns for path in runs} == runs
    measured = read(request_.out)
    assert [one.preset for one in measured] == sorted(PRESETS)
    assert all(not one.pretrained and one.steps == 2 and one.best_epoch == 1 for one in measured)
    assert [one.threshold == 0.5 for one in measured] == [True, False]
    assert reproduce(replace(request_, presets=(), data=()), quiet).as_dict() == first.as_dict()


def test_the_people_of_the_folds_train_validate_and_test(request_: PersonRequest) -> None:
    reproduce(request_, quiet)
    record = json.loads(next(request_.out.glob(f"runs/{PRESETS[0]}*/run.json")).read_text())
    assert record["train"] == [f"cfp/{person:03d}" for person in range(1, 13)]
    assert record["validation"] == [f"cfp/{person:03d}" for person in range(13, 17)]
    assert record["settings"]["objective"]["published"].startswith("cfp-pooled, 60 pairs ")


def test_the_command_prints_the_documents_rows(cfp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "person_verification", "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == []
    assert len(found["document"]) == len(ROWS)
    text = (tmp_path / "person_verification.md").read_text()
    assert text.count("the paper") == len(ROWS)
    arguments = ["--data", f"cfp:{cfp}", "--out", str(tmp_path), "--presets", PRESETS[1], "--steps", "1", "--tiny"]
    assert main(["reproduce", "person_verification", *arguments]) == 0
    assert "| ours " in capsys.readouterr().out


def measured(preset: str, *, pretrained: bool = True) -> MeasuredRow:
    return MeasuredRow(preset, pretrained, 1200, 3, 0.5, 0.7, 0.71, 0.8, 0.28)


def test_ours_stand_below_the_rows_they_belong_to() -> None:
    ours = [
        measured("13-sgd-1e-3-20"),
        measured("mobilenet-ce-adam-2e-4-8"),  # as row 13 but for the body
        measured("mobilenet-ce-adam-2e-4-8", pretrained=False),  # which the document has not
        measured("mobilenet-lin-bce-plain-adam-2e-4-8", pretrained=False),  # row 06
    ]
    lines = [line[:3] for line in table(ours).table.rows]
    place = {(line[0], line[1]): number for number, line in enumerate(lines)}
    assert lines[place["06", "the paper"] + 1] == ("", "ours", "mobilenet_v2")
    assert lines[9:12] == [
        ("11", "the paper", "vgg16_bn"),
        ("13", "the paper", "vgg16_bn"),
        ("", "ours", "mobilenet_v2"),
    ]
    sgd = next(number for number, line in enumerate(table(ours).table.rows) if line[5:7] == ("sgd", "0.001"))
    assert lines[sgd : sgd + 2] == [("13", "the paper", "vgg16_bn"), ("13", "ours", "vgg16_bn")]
    assert lines[-1] == ("", "ours", "mobilenet_v2")
    assert len(lines) == len(ROWS) + 4


def test_rows_are_the_documents() -> None:
    assert len(ROWS) == 28
    assert len({row.name for row in (*ROWS, *OURS)}) == 28 + 10
    by_name = {row.name: row for row in ROWS}
    sgd, half, blank = by_name["13-sgd-1e-3-20"], by_name["33-adam-1e-4-14"], by_name["73-adam-1e-4-14"]
    assert (sgd.loss, sgd.validation, sgd.test, sgd.best_epoch) == ("cross_entropy", 0.826, 0.834, 20)
    assert (half.frozen, half.body, half.test) == (7, "vgg16_bn", 0.749)
    assert (blank.body, blank.validation, blank.test) == ("resnext101_32x8d", None, None)
    preset = recipes.get("person_verification").preset("13-sgd-1e-3-20")
    assert (preset.optimizer, preset.learning_rate, preset.weight_decay) == ("sgd", 1e-3, 5e-4)
    assert (preset.steps, preset.validate_every, preset.objective.pairs) == (12_000, 600, 14)
    assert preset.input_shape == (3, 224, 224)


def test_figures_are_those_of_the_scores() -> None:
    mated = np.array([True, True, True, False, False, False])
    people = np.arange(6)
    tested = ScoreSet([0.9, 0.6, 0.4, 0.5, 0.2, 0.1], mated, people)
    row = next(one for one in OURS if one.loss == "bce")
    found = MeasuredRow.of(row, pretrained=True, steps=900, best_step=TRAINED // 28 + 1, validation=tested, test=tested)
    assert found.threshold == 0.5
    assert found.best_epoch == 2
    assert found.test == found.validation == pytest.approx(4 / 6)  # 0.4 is missed, 0.5 accepted
    assert found.auroc == pytest.approx(8 / 9)
    cosine = next(one for one in OURS if one.loss == "cosine")
    fitted = MeasuredRow.of(cosine, pretrained=True, steps=1, best_step=1, validation=tested, test=tested)
    assert fitted.threshold == pytest.approx(np.percentile([0.9, 0.6, 0.4], 5)) or fitted.validation >= 5 / 6


def test_what_cannot_be_reproduced_is_refused(cfp: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no row 99"):
        reproduce(PersonRequest(tmp_path, ("99",)), quiet)
    for data in ((), ("lfw:PATH",), (f"cfp:{cfp}", "lfw:PATH"), ("cfp:",)):
        with pytest.raises(UsageError, match="cfp:PATH"):
            reproduce(PersonRequest(tmp_path, PRESETS[:1], data), quiet)
    assert person_verification.read(tmp_path) == ()
