"""A whole table on made-up writers with a miniature: what it says, and that nothing is done twice."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import cli
from edge_sdk.bundle import Bundle
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export.data.cache import prepared
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.formats.inference import embed
from edge_sdk.export.reproduction import protocols, reproduce, tables
from edge_sdk.export.reproduction.protocols import ALL
from edge_sdk.export.reproduction.reproduce import ReproductionRequest, ResultRow
from edge_sdk.export.reproduction.scores import SINGLE

from .conftest import FORGED, GENUINE, WRITERS

TABLE_7 = protocols.get("deepsign-table7")


def quiet(_line: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def request_7(folders: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> ReproductionRequest:
    out = tmp_path_factory.mktemp("tables")
    return ReproductionRequest(folders, out, ("deepsign",), ("quick",), steps=2, tiny=True)


@pytest.fixture(scope="module")
def rows(request_7: ReproductionRequest) -> tuple[ResultRow, ...]:
    return reproduce.reproduce(TABLE_7, request_7, quiet)


def embeddings_of(people: Dataset, model: bytes, run: reproduce.training.Run) -> dict[tuple[str, bool], np.ndarray]:
    """By person and kind of signature."""
    found = embed(model, prepared(people.samples, run.preset.preprocessing))
    by: dict[tuple[str, bool], list[np.ndarray]] = {}
    for sample, row in zip(people.samples, found, strict=True):
        by.setdefault((sample.subject, sample.genuine), []).append(row.astype(np.float64))
    return {key: np.stack(group) for key, group in by.items()}


def compared(by: dict[tuple[str, bool], np.ndarray]) -> list[tuple[float, bool]]:
    """(score, mated?) of all pairs: genuine with genuine, and with forgery, of one person."""
    found = []
    for subject in {subject for subject, _ in by}:
        genuine, forged = by[subject, True], by[subject, False]
        pairs = [(a, b, True) for a, b in itertools.combinations(genuine, 2)]
        pairs += [(a, b, False) for a, b in itertools.product(genuine, forged)]
        found += [(1 - round(float(np.linalg.norm(a - b)), 6) / 2, mated) for a, b, mated in pairs]
    return found


def accuracy(scores: list[tuple[float, bool]], threshold: float) -> float:
    return sum((score >= threshold) == mated for score, mated in scores) / len(scores)


def test_the_numbers_are_those_of_explicit_loops(rows: tuple[ResultRow, ...], request_7: ReproductionRequest) -> None:
    data = load(*request_7.data)
    (planned,) = TABLE_7.trainings(data)
    budgeted = reproduce._budgeted("deepsign", "quick", TABLE_7, request_7)
    run = reproduce._run(planned, budgeted, data, request_7)
    for artifact, model in reproduce.artifacts(run).items():
        chosen = compared(embeddings_of(data.select(planned.validation), model, run))
        best = max(accuracy(chosen, score) for score, _ in chosen)
        for test in ("cedar", "svc2004"):
            people = [person for person in planned.test if person.startswith(test)]
            scores = compared(embeddings_of(data.select(people), model, run))
            (row,) = (row for row in rows if (row.test, row.artifact) == (test, artifact))
            single = row.of(SINGLE)
            assert (single.subjects, single.mated, single.impostors) == (
                len(people),
                len(people) * GENUINE * (GENUINE - 1) // 2,
                len(people) * GENUINE * FORGED,
            )
            mated, impostor = ([s for s, kind in scores if kind is wanted] for wanted in (True, False))
            wins = sum((m > i) + (m == i) / 2 for m, i in itertools.product(mated, impostor))
            assert single.auroc.value == pytest.approx(wins / (len(mated) * len(impostor)))
            point = single.points[0]
            assert point.name == "best_accuracy"
            assert accuracy(chosen, point.threshold) == pytest.approx(best)
            assert point.accuracy.value == pytest.approx(accuracy(scores, point.threshold))
            accepted = [kind for score, kind in scores if score >= point.threshold]
            assert point.recall.value == pytest.approx(sum(accepted) / len(mated))
            assert point.precision.value == pytest.approx(sum(accepted) / len(accepted) if accepted else 0)


def test_rows_are_in_order_and_hold_every_comparison(rows: tuple[ResultRow, ...]) -> None:
    assert [(row.test, row.artifact) for row in rows] == [
        (test, artifact) for test in ("cedar", "svc2004") for artifact in ("fp32", "int8")
    ]
    for row in rows:
        kinds = [(m.forgeries, m.references) for m in row.measurements]
        assert kinds == [("skilled", 1), ("skilled", 3), ("random", 1)]  # five signatures carry no five references
        assert (row.accuracy is not None) == (row.artifact == "int8")
        assert row.steps == 2


def test_a_second_call_trains_and_measures_nothing(
    rows: tuple[ResultRow, ...], request_7: ReproductionRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in request_7.out.rglob("*") if path.is_file()}
    assert any(path.name == "best.safetensors" for path in before)
    monkeypatch.setattr(reproduce, "artifacts", pytest.fail)
    assert reproduce.reproduce(TABLE_7, request_7, quiet) == rows
    assert {path: path.stat().st_mtime_ns for path in request_7.out.rglob("*") if path.is_file()} == before


def test_what_was_measured_on_other_weights_or_otherwise_is_measured_again(
    rows: tuple[ResultRow, ...],
    request_7: ReproductionRequest,
    monkeypatch: pytest.MonkeyPatch,
    tiny_models: dict[str, bytes],
) -> None:
    monkeypatch.setattr(reproduce, "artifacts", lambda _run: tiny_models)
    otherwise = reproduce.reproduce(TABLE_7, replace(request_7, cohort=3), quiet)
    assert otherwise[0].of(SINGLE).points[0].threshold != rows[0].of(SINGLE).points[0].threshold
    (best,) = request_7.out.rglob("best.safetensors")
    content = best.read_bytes()
    best.write_bytes(content + b" ")
    try:
        assert reproduce.reproduce(TABLE_7, request_7, quiet) != rows
    finally:
        best.write_bytes(content)


@pytest.fixture
def tiny_models(tiny_bundle: Bundle) -> dict[str, bytes]:
    """Two equal artifacts that are quickly had."""
    return dict.fromkeys(("fp32", "int8"), tiny_bundle.read_model("fp32.onnx"))


def test_cross_validation_pools_every_writer_once(
    folders: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_models: dict[str, bytes]
) -> None:
    monkeypatch.setattr(reproduce, "artifacts", lambda _run: tiny_models)
    request = ReproductionRequest(folders, tmp_path, ("deepsign",), ("quick",), steps=1, tiny=True)
    rows = reproduce.reproduce(protocols.get("cross-validation"), request, quiet)
    assert {(row.test, row.of(SINGLE).subjects) for row in rows} == {
        ("cedar", WRITERS),
        ("svc2004", WRITERS),
        (ALL, 2 * WRITERS),
    }
    assert not any(row.of(SINGLE).points for row in rows)  # each fold's model would need a threshold of its own
    assert all(row.accuracy.delta == 0 for row in rows if row.accuracy)  # the two artifacts are one
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "fold-1-of-2-deepsign-quick-1",
        "fold-2-of-2-deepsign-quick-1",
    ]


def test_the_papers_lines_stand_above_ours(
    rows: tuple[ResultRow, ...], request_7: ReproductionRequest, tmp_path: Path
) -> None:
    table = tables.accuracy_table(TABLE_7, request_7, rows)
    markdown, plain = table.write(tmp_path)
    lines = [line.split(" | ") for line in markdown.read_text().splitlines() if line.startswith("| ")]
    assert len({len(line) for line in lines}) == 1
    assert [(line[0].removeprefix("| "), line[4]) for line in lines[2:]] == [
        *(("cedar", artifact) for artifact in ("the paper", "fp32", "int8")),
        *(("svc2004", artifact) for artifact in ("fp32", "int8")),
        ("bhsig260", "the paper"),
    ]
    assert lines[2][7:11] == ["0.76", "0.65", "0.59", "0.80"]
    facts = json.loads(plain.read_text())
    assert facts["rows"][0]["measurements"][0]["auroc"]["value"] == rows[0].of(SINGLE).auroc.value
    assert {"test": "cedar", "model": "signet", "accuracy": 0.65, "precision": 0.7, "recall": 0.15, "auroc": 0.78} in (
        facts["paper"]
    )


def test_a_folder_with_trainings_on_other_people_is_left_alone(
    request_7: ReproductionRequest, rows: tuple[ResultRow, ...]
) -> None:
    with pytest.raises(TrainingError, match="choose another folder"):
        reproduce.reproduce(TABLE_7, replace(request_7, seed=1), quiet)


def test_the_steps_are_the_tables_unless_the_preset_takes_fewer(request_7: ReproductionRequest) -> None:
    def steps(preset: str, asked: int | None) -> int:
        budgeted = reproduce._budgeted("deepsign", preset, TABLE_7, replace(request_7, steps=asked))
        assert budgeted.presets[preset].keep == "last"
        assert budgeted.presets[preset].patience is None
        return budgeted.presets[preset].steps

    assert steps("paper", None) == 400 < TABLE_7.steps
    tight = replace(TABLE_7, steps=300)
    unasked = replace(request_7, steps=None)
    assert reproduce._budgeted("deepsign", "paper", tight, unasked).presets["paper"].steps == 300
    assert steps("paper", 9000) == 9000


def test_wrong_requests_are_refused_before_anything_is_trained(folders: tuple[str, ...], tmp_path: Path) -> None:
    for changes, message in (
        ({"data": ()}, "--data"),
        ({"steps": 0}, "at least one step"),
        ({"cohort": 1}, "at least 2"),
    ):
        with pytest.raises(UsageError, match=message):
            ReproductionRequest(**{"data": folders, "out": tmp_path, "models": ("deepsign",), **changes})
    for models, presets in ((("nothing",), ("best",)), (("deepsign", "deepsign"), ("quick", "nothing"))):
        with pytest.raises(UsageError, match="nothing"):
            reproduce.reproduce(TABLE_7, ReproductionRequest(folders, tmp_path, models, presets), quiet)
    pretrained = ReproductionRequest(folders, tmp_path, ("deepsign",), ("quick",), weights=tmp_path / "none.pth")
    with pytest.raises(UsageError, match="deepsign starts from pretrained weights"):
        reproduce.reproduce(TABLE_7, pretrained, quiet)
    assert list(tmp_path.iterdir()) == []


def test_the_command_refuses_and_prints(
    folders: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out"), "--json"]
    assert cli.main(["reproduce", "table8", *out]) == 2
    assert "deepsign-table4" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert cli.main(["reproduce", "deepsign-table7", "--data", folders[1], *out]) == 2
    assert "cedar:PATH" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert not (tmp_path / "out").exists()
    assert cli.main(["reproduce", "deepsign-table4", "--models", "deepsign", "--tiny", *out]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["paper"]["deepsign"]["parameters"] == 256_992
    assert [row["model"] for row in printed["rows"]] == ["deepsign"]
    assert all(Path(file).is_file() for file in printed["files"])
