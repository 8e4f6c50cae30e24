"""Enrolments of several references on folds of made-up writers: what is measured, on whom, and what is refused."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import cli
from edge_sdk.calibration.metrics.pairs import build_pairs
from edge_sdk.calibration.person_model import fit_background
from edge_sdk.errors import DatasetError, ScoreError, TrainingError, UsageError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.verification.comparers import DensityModel
from edge_sdk.export.reproduction import enrolment, enrolment_rules, fold_runs, protocols
from edge_sdk.export.reproduction.enrolment import EnrolmentRequest, EnrolmentRow
from edge_sdk.export.reproduction.enrolment_rules import (
    ELSEWHERE,
    NEW,
    OLD,
    EmbeddedPeople,
    rules_of,
    with_background,
)
from edge_sdk.export.reproduction.fold_runs import FoldRun
from edge_sdk.export.reproduction.protocols import ALL
from edge_sdk.export.reproduction.reproduce import ReproductionRequest
from edge_sdk.scoring.background import Background
from edge_sdk.scoring.person_model import PersonModel

from .conftest import WRITERS

DATA = "synthetic:12"
CROSS_VALIDATION = protocols.get("cross-validation")
TRAIN = ["train", "deepsign", "--preset", "quick", "--tiny", "--steps", "2", "--data", DATA]


def quiet(_line: str) -> None:
    """Nobody listens."""


def trainings(out: Path, **changes: object) -> ReproductionRequest:
    request = ReproductionRequest((DATA,), out, ("deepsign",), ("quick",), steps=2, tiny=True)
    return replace(request, **changes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two folds, and a run on everybody, by the command line."""
    folder = tmp_path_factory.mktemp("runs")
    chosen: dict[str, list[str]] = {"first": ["--fold", "1/2"], "second": ["--fold", "2/2"], "whole": []}
    for name, people in chosen.items():
        assert cli.main([*TRAIN, *people, "--out", str(folder / name)]) == 0
    return {name: folder / name for name in chosen}


@pytest.fixture(scope="module")
def folds(runs: dict[str, Path]) -> tuple[Path, ...]:
    return runs["second"], runs["first"]  # in no order


@pytest.fixture(scope="module")
def rows(folds: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[EnrolmentRow, ...]:
    request = EnrolmentRequest(trainings=trainings(tmp_path_factory.mktemp("out")), counts=(1, 3), runs=folds)
    return enrolment.reproduce(CROSS_VALIDATION, request, quiet)


@pytest.fixture(scope="module")
def read(runs: dict[str, Path]) -> tuple[FoldRun, ...]:
    """The folds with the people whom their own splits keep for the test."""
    data = load(DATA)
    first, second = CROSS_VALIDATION.trainings(data)
    assert first.test == Split.read(runs["first"] / "split.json").test
    return FoldRun.read(runs["first"], first, data), FoldRun.read(runs["second"], second, data)


def loops(people: Dataset, embeddings: np.ndarray, references: int) -> dict[str, list[tuple[float, bool]]]:
    """(score, mated?) of each person's comparisons with skilled forgeries, by explicit loops."""
    subjects = [sample.subject for sample in people.samples]
    pairs = build_pairs(subjects, [sample.genuine for sample in people.samples], references=references)
    found: dict[str, list[tuple[float, bool]]] = {}
    for enrolled, query, mated in zip(pairs.references, pairs.queries, pairs.mated, strict=True):
        distances = [np.linalg.norm(embeddings[row].astype(float) - embeddings[query]) for row in enrolled]
        score = 1 - float(np.mean(np.round(distances, 6))) / 2
        found.setdefault(subjects[query], []).append((score, bool(mated)))
    return found


def equal_error_rate(scores: list[tuple[float, bool]]) -> float:
    """Within half a step of the rates: the least that the larger of both can be."""
    mated, impostors = ([score for score, kind in scores if kind is wanted] for wanted in (True, False))
    rates = [
        (sum(score < t for score in mated) / len(mated), sum(score >= t for score in impostors) / len(impostors))
        for t in sorted(score for score, _ in scores)
    ]
    return float(np.mean(min(rates, key=lambda rate: abs(rate[0] - rate[1]))))


def test_rows_are_in_order_and_of_every_writer_once(rows: tuple[EnrolmentRow, ...]) -> None:
    assert [(row.test, row.forgeries, row.references, row.artifact) for row in rows] == [
        ("synthetic", *key) for key in itertools.product(("skilled", "random"), (1, 3), ("int8", "fp32"))
    ]
    assert {row.subjects for row in rows} == {12}
    assert {(row.model, row.preset, row.steps) for row in rows} == {("deepsign", "quick", 2)}


def test_the_rates_are_those_of_explicit_loops(rows: tuple[EnrolmentRow, ...], read: tuple[FoldRun, ...]) -> None:
    by_person: dict[str, list[tuple[float, bool]]] = {}
    for fold in read:
        by_person |= loops(fold.test, fold.embeddings("fp32", fold.test), 3)
    (row,) = (row for row in rows if (row.forgeries, row.references, row.artifact) == ("skilled", 3, "fp32"))
    pooled = list(itertools.chain.from_iterable(by_person.values()))
    assert row.mated == sum(mated for _, mated in pooled)
    assert row.impostors == len(pooled) - row.mated
    assert row.rates[OLD].eer.value == pytest.approx(equal_error_rate(pooled), abs=0.02)
    own = [equal_error_rate(scores) for scores in by_person.values()]
    assert row.rates[OLD].own.value == pytest.approx(float(np.mean(own)), abs=0.04)


def test_int8_and_float_are_compared_on_the_same_signatures(rows: tuple[EnrolmentRow, ...]) -> None:
    for int8, fp32 in zip(rows[::2], rows[1::2], strict=True):
        assert (int8.mated, int8.impostors) == (fp32.mated, fp32.impostors)
        assert int8.rates != fp32.rates


def test_changes_are_against_the_mean_score_on_the_same_comparisons(rows: tuple[EnrolmentRow, ...]) -> None:
    for row in rows:
        assert list(row.rates) == [OLD, NEW]  # of one data set nobody is of another
        old, new = row.rates[OLD], row.rates[NEW]
        assert (old.eer_change, old.own_change) == (None, None)
        for rate in ("eer", "own"):
            change = getattr(new, f"{rate}_change")
            assert change.value == pytest.approx(getattr(new, rate).value - getattr(old, rate).value)
            assert change.low <= change.value <= change.high


def test_the_rule_scores_as_a_bundle_does(read: tuple[FoldRun, ...]) -> None:
    """Step by step: the background of the training people by the float network, and each comparison by itself."""
    fold, _ = read
    samples = fold.train.samples
    subjects, genuine = [sample.subject for sample in samples], [sample.genuine for sample in samples]
    fitted = fit_background(fold.embeddings("fp32", fold.train), subjects, genuine)
    model = DensityModel(backgrounds={"background": Background.decode(fitted.encode())})
    score = PersonModel(output="embedding", background="background")
    embeddings = fold.embeddings("int8", fold.test)
    people = EmbeddedPeople.of(fold.test, embeddings)
    for count in (1, 3):
        pairs = build_pairs(people.subjects, people.genuine, references=count)
        found = people.scores({NEW: with_background(fold, fold.train)}, "skilled", count)[NEW]
        for number in range(0, len(found), 97):
            enrolled = score.enroll(embeddings[pairs.references[number]], model)
            expected = score.compare(enrolled, embeddings[pairs.queries[number]][np.newaxis], model).score
            assert found.scores[number] == pytest.approx(expected, abs=1e-6)


def test_everybody_is_the_training_people_and_elsewhere_those_of_other_data(
    read: tuple[FoldRun, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[set[str]] = []

    def noted(embeddings: np.ndarray, subjects: list[str], genuine: list[bool], *, seed: int) -> Background:
        fitted.append(set(subjects))
        return fit_background(embeddings, subjects, genuine, seed=seed)

    monkeypatch.setattr(enrolment_rules, "fit_background", noted)
    fold, _ = read
    assert rules_of(fold, fold.test).keys() == {OLD, NEW}
    assert fitted == [set(fold.train.subjects)]
    assert not fitted.pop().intersection(fold.test.subjects)
    others = tuple(replace(one, dataset="other", subject=f"other/{one.subject}") for one in fold.train.samples)
    wider = replace(fold, train=Dataset("both", (*others, *fold.train.samples)))
    assert rules_of(wider, fold.test).keys() == {OLD, NEW, ELSEWHERE}
    assert fitted == [set(wider.train.subjects), {one.subject for one in others}]


def test_too_few_training_people_make_no_background(read: tuple[FoldRun, ...]) -> None:
    fold, _ = read
    with pytest.raises(ScoreError, match="a background needs"):
        with_background(fold, fold.train.select(fold.train.subjects[:2]))


def test_each_data_set_is_tested_by_the_run_that_was_trained_without_it(
    folders: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [tmp_path / "on-cedar", tmp_path / "on-svc2004"]
    for specification, run in zip(folders, runs, strict=True):
        command = [*TRAIN[:-1], specification, "--out", str(run)]
        assert cli.main(command) == 0
    capsys.readouterr()
    command = ["reproduce", "leave-one-out", "--references", "1", "3", "--data", *folders, "--out", str(tmp_path)]
    assert cli.main([*command, "--runs", *map(str, runs), "--json"]) == 0
    rows = msgspec.convert(json.loads(capsys.readouterr().out)["rows"], tuple[EnrolmentRow, ...])
    assert {(row.test, row.subjects) for row in rows} == {("cedar", WRITERS), ("svc2004", WRITERS), (ALL, 2 * WRITERS)}
    assert {tuple(row.rates) for row in rows} == {(OLD, NEW)}  # whoever is trained on is of other data sets


def test_an_artifact_embeds_people_once(read: tuple[FoldRun, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    fold, _ = read
    first = fold.embeddings("int8", fold.test)
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    monkeypatch.setattr(fold_runs, "embed", pytest.fail)
    assert np.array_equal(fold.embeddings("int8", fold.test), first)
    assert not np.array_equal(fold.embeddings("fp32", fold.test), first)


def test_trainings_of_the_command_are_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = EnrolmentRequest(trainings=trainings(tmp_path), counts=(3,))
    found = enrolment.reproduce(CROSS_VALIDATION, request, quiet)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("best.safetensors")}
    assert len(before) == 2
    assert enrolment.reproduce(CROSS_VALIDATION, request, quiet) == found
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_runs_that_do_not_fit_the_table_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    def measured(*folders: Path, **changes: object) -> None:
        request = EnrolmentRequest(trainings=trainings(tmp_path, **changes), runs=folders)
        enrolment.reproduce(CROSS_VALIDATION, request, quiet)

    with pytest.raises(UsageError, match="1 runs were given for 2 trainings"):
        measured(runs["first"], runs["first"])
    with pytest.raises(UsageError, match="none learned from and chose by nobody whom fold-2-of-2 tests"):
        measured(runs["first"], runs["whole"])
    with pytest.raises(UsageError, match="none learned from"):
        measured(runs["first"], runs["second"], seed=1)  # which deals people otherwise
    again = tmp_path / "again"
    shutil.copytree(runs["second"], again)
    with pytest.raises(UsageError, match="fold-1-of-2"):
        measured(runs["second"], again)
    with pytest.raises(TrainingError, match="describes no training run"):
        measured(runs["first"], tmp_path / "nothing")


def test_runs_of_one_table_are_alike(runs: dict[str, Path], tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    command = [argument if argument != "2" else "3" for argument in TRAIN]
    assert cli.main([*command, "--fold", "2/2", "--out", str(longer)]) == 0
    request = EnrolmentRequest(trainings=trainings(tmp_path), runs=(runs["first"], longer))
    with pytest.raises(UsageError, match=r"alike in recipe, preset and steps: .*quick, 2; .*quick, 3"):
        enrolment.reproduce(CROSS_VALIDATION, request, quiet)


def test_a_run_that_knows_a_test_person_or_is_unfinished_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    data = load(DATA)
    first, second = CROSS_VALIDATION.trainings(data)
    with pytest.raises(TrainingError, match=r"has learned from synthetic/.*, whom fold-2-of-2 tests"):
        FoldRun.read(runs["first"], second, data)
    unfinished = tmp_path / "unfinished"
    shutil.copytree(runs["first"], unfinished)
    record = json.loads((unfinished / "run.json").read_text())
    (unfinished / "run.json").write_text(json.dumps({**record, "steps": 9}))
    with pytest.raises(TrainingError, match="is unfinished"):
        FoldRun.read(unfinished, first, data)


@pytest.mark.parametrize("counts", [(), (0,), (3, 3)])
def test_an_enrolment_takes_references(tmp_path: Path, counts: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="1 reference or more"):
        EnrolmentRequest(trainings=trainings(tmp_path), counts=counts)


def test_scores_are_those_of_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave --cohort out"):
        EnrolmentRequest(trainings=trainings(tmp_path, cohort=3))


def test_more_references_than_anybody_has_are_refused(folds: tuple[Path, ...], tmp_path: Path) -> None:
    request = EnrolmentRequest(trainings=trainings(tmp_path), counts=(3, 500), runs=folds)
    with pytest.raises(DatasetError, match="nobody has more than 500"):
        enrolment.reproduce(CROSS_VALIDATION, request, quiet)


def test_the_command_writes_a_table_and_a_figure(
    folds: tuple[Path, ...], rows: tuple[EnrolmentRow, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["reproduce", "cross-validation", "--data", DATA, "--out", str(tmp_path), "--json"]
    assert cli.main([*command, "--runs", *map(str, folds)]) == 2
    assert "--references" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert cli.main([*command, "--runs", *map(str, folds), "--references", "1", "3"]) == 0
    printed: Mapping[str, object] = json.loads(capsys.readouterr().out)
    assert msgspec.convert(printed["rows"], tuple[EnrolmentRow, ...]) == rows
    lines = (tmp_path / "cross-validation-references.md").read_text().splitlines()
    assert sum(line.startswith("| synthetic |") for line in lines) == len(rows)
    assert (tmp_path / "cross-validation-references.png").read_bytes().startswith(b"\x89PNG")
