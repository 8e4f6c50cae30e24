"""Published pairs, decided fold by fold by the runtime, on people who are new to the weights."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import Verifier
from edge_sdk.cli import main
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.modality_data import Holdout
from edge_sdk.export.data.pair_lists import IDENTICAL, LeftOutPair, PairList
from edge_sdk.export.data.same_people import SamePeople
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.evaluation.verification import pair_report
from edge_sdk.export.evaluation.verification.evaluate import evaluate
from edge_sdk.export.evaluation.verification.knowledge import Knowledge
from edge_sdk.export.evaluation.verification.pairs import evaluate_pairs
from edge_sdk.export.evaluation.verification.report import text
from edge_sdk.export.training.records import RunRecord
from edge_sdk.manifest import TrainingProvenance

FOLDS, PEOPLE, PICTURES = 4, 3, 3


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, signer) -> PairList:
    """Folds of three people, each person's pictures with each other and with the next person's."""
    root = tmp_path_factory.mktemp("pairs")
    samples, rows = [], []
    for person in range(FOLDS * PEOPLE):
        for picture in range(PICTURES):
            path = root / f"{person:02d}-{picture}.png"
            cv2.imwrite(str(path), signer(100 * person + picture // 2))  # the last looks like nobody's
            samples.append(Sample("drawn", f"drawn/{person:02d}", True, path, modality="signature"))
    for person in range(FOLDS * PEOPLE):
        fold, first = 1 + person // PEOPLE, PICTURES * person
        other = PICTURES * ((person // PEOPLE) * PEOPLE + (person + 1) % PEOPLE)
        rows += [(fold, first, first + 1, True), (fold, first + 1, first + 2, True)]
        rows += [(fold, first, other, False), (fold, first + 2, other + 1, False)]
    folds, one, two, mated = (np.array(column) for column in zip(*rows, strict=True))
    gone = LeftOutPair(2, samples[0].path, samples[0].path, True, IDENTICAL)
    return PairList("drawn", Dataset("drawn", tuple(samples)), one, two, mated.astype(bool), folds, (gone,))


def people(*folds: int) -> tuple[str, ...]:
    return tuple(f"drawn/{k:02d}" for fold in folds for k in range((fold - 1) * PEOPLE, fold * PEOPLE))


@pytest.fixture
def trained(tmp_path, make_bundle):
    """A run that learned from some people, and the bundle that it was exported to."""

    def make(name: str, train: tuple[str, ...], validation: tuple[str, ...] = (), teachers: tuple[str, ...] = ()):
        fields = {
            "preprocessing": "",
            "settings_digest": "",
            "weights": None,
            "world_size": 1,
            "data": (),
            "settings": {},
        }
        record = RunRecord(
            recipe="deepsign", preset="quick", steps=1, seed=0, tiny=True, train=train, validation=validation, **fields
        )
        run = tmp_path / name
        run.mkdir()
        record.write(run)
        training = TrainingProvenance(
            recipe="deepsign",
            preset="quick",
            data=("drawn",),
            seed=0,
            steps=1,
            commit="none",
            versions={},
            teachers=teachers,
            people=record.people_digest,
        )
        return run, make_bundle(name=name, training=training)

    return make


def test_each_fold_is_decided_with_the_scores_of_the_runtime(pairs, tiny_bundle) -> None:
    found = evaluate_pairs([tiny_bundle], [pairs], precision="fp32", replicates=100)

    (one,) = found.report.lists
    paths = [sample.path for sample in pairs.data.samples]
    with Verifier(tiny_bundle, precision="fp32") as verifier:
        expected = [verifier.verify(paths[a], paths[b]).score for a, b in zip(pairs.first, pairs.second, strict=True)]
    np.testing.assert_allclose(found.scores[0].scores, expected, atol=2e-6)
    for fold in one.folds:
        tested = np.isin(pairs.folds, fold.folds)
        right = (np.array(expected) >= fold.threshold) == pairs.mated
        assert fold.accuracy == pytest.approx(right[tested].mean())
        assert fold.fitted == pytest.approx(right[~tested].mean())
    assert [fold.folds for fold in one.folds] == [(1,), (2,), (3,), (4,)]
    assert one.accuracy.mean == pytest.approx(np.mean([fold.accuracy for fold in one.folds]))
    assert one.over_people.low <= one.over_people.value <= one.over_people.high
    assert (one.people, one.measurement.mated, one.measurement.impostors) == (12, 24, 24)
    assert (one.identical, one.absent, one.rejected, one.untested) == (1, 0, 0, ())


def test_a_hold_out_is_decided_by_its_validation(pairs, tiny_bundle) -> None:
    held = PairList(
        "held", pairs.data, pairs.first, pairs.second, pairs.mated, pairs.folds, (), Holdout((1,), (2, 3), (4,))
    )

    (one,) = evaluate_pairs([tiny_bundle], [held], precision="fp32", replicates=100).report.lists

    (decided,) = one.folds
    assert (decided.folds, decided.chosen_on, decided.pairs) == ((4,), (2, 3), 12)
    assert (one.accuracy.standard_error, one.people, one.measurement.mated, one.untested) == (None, 3, 6, ())


def test_a_picture_that_cannot_be_used_rejects_its_pairs(pairs, tiny_bundle, tmp_path) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((300, 600), 255, np.uint8))
    samples = list(pairs.data.samples)
    samples[0] = Sample("drawn", "drawn/00", True, blank, modality="signature")  # in one mated pair and two of others
    spoilt = PairList("spoilt", Dataset("drawn", tuple(samples)), pairs.first, pairs.second, pairs.mated, pairs.folds)

    found = evaluate_pairs([tiny_bundle], [spoilt], precision="fp32", replicates=100)

    (one,) = found.report.lists
    touched = (pairs.first == 0) | (pairs.second == 0)
    assert one.rejected == touched.sum() == 3
    assert found.scores[0].scores[touched].max() < found.scores[0].scores[~touched].min()
    assert [failure.path for failure in found.report.failures] == [str(blank)]
    assert one.measurement.eer.value >= 1 / 24


def test_two_bundles_share_the_folds_that_are_new_to_them(pairs, trained) -> None:
    runs, bundles = zip(
        trained("first", people(3)[1:], people(4)), trained("second", people(1, 2), ("drawn/nobody",)), strict=True
    )

    report = evaluate_pairs(bundles, [pairs], runs=runs, precision="fp32", replicates=100).report

    assert [one.folds["drawn"] for one in report.bundles] == [(1, 2), (3, 4)]
    assert [(fold.folds, fold.chosen_on) for fold in report.lists[0].folds] == [
        ((1,), (2,)),
        ((2,), (1,)),
        ((3,), (4,)),
        ((4,), (3,)),
    ]
    assert report.lists[0].measurement.points == ()  # each bundle has its own
    assert report.notes == ()
    assert [name[:7] for name in report.bundle_id.split(" and ")] == ["first-1", "second-"]


def test_folds_of_known_people_are_not_tested(pairs, trained) -> None:
    run, bundle = trained("half", people(1), people(2)[:1])
    report = evaluate_pairs([bundle], [pairs], runs=[run], precision="fp32", replicates=100).report
    assert (report.lists[0].untested, report.bundles[0].folds) == ((1, 2), {"drawn": (3, 4)})
    assert "drawn: folds 1-2 are not tested" in pair_report.text(report)

    same = SamePeople.of([("other/me", people(3)[0])])
    run, bundle = trained("twin", ("other/me", *people(1)))
    report = evaluate_pairs([bundle], [pairs], runs=[run], same=same, precision="fp32", replicates=100).report
    assert report.lists[0].untested == (1, 3)

    run, bundle = trained("all", people(1, 2, 3))  # one fold is left, and none that chooses its threshold
    with pytest.raises(DatasetError, match="learned from people of every fold that could be tested"):
        evaluate_pairs([bundle], [pairs], runs=[run])


def test_the_moment_to_stop_may_be_chosen_where_the_threshold_is(pairs, trained) -> None:
    held = PairList(
        "held", pairs.data, pairs.first, pairs.second, pairs.mated, pairs.folds, (), Holdout((1, 2), (3,), (4,))
    )
    run, bundle = trained("printed", people(1, 2), people(3))
    report = evaluate_pairs([bundle], [held], runs=[run], precision="fp32", replicates=100).report
    assert [(fold.folds, fold.chosen_on) for fold in report.lists[0].folds] == [((4,), (3,))]
    run, bundle = trained("learned", people(1, 2, 3))
    with pytest.raises(DatasetError, match="held: the bundle"):
        evaluate_pairs([bundle], [held], runs=[run])


def test_what_figures_may_rest_on_is_said(pairs, trained) -> None:
    run, bundle = trained("taught", ("drawn/99", "msceleb/unknown"), teachers=("sface 0123",))
    alone = evaluate_pairs([bundle], [pairs], precision="fp32", replicates=100).report
    assert any("learned from people of drawn, and without its run" in note for note in alone.notes)
    assert any("was taught by sface 0123" in note for note in alone.notes)
    known = evaluate_pairs([bundle], [pairs], runs=[run], precision="fp32", replicates=100).report
    assert [note for note in known.notes if "learned from msceleb, whose people are not known" in note] == list(
        known.notes
    )


def test_of_data_too_only_new_people_are_measured(pairs, trained) -> None:
    run, bundle = trained("some", people(1), people(2))
    known = Knowledge.read(run, bundle, SamePeople())
    report = evaluate(bundle, pairs.data, precision="fp32", references=(1,), replicates=50, known=known).report
    assert [data.subjects for data in report.data] == [2 * PEOPLE]
    assert report.notes == ()
    everybody = evaluate(bundle, pairs.data, precision="fp32", references=(1,), replicates=50).report
    assert everybody.data[0].subjects == 4 * PEOPLE
    assert "learned from people of drawn" in everybody.notes[0]
    assert f"note: {everybody.notes[0]}" in text(everybody)
    run, bundle = trained("all", people(1, 2, 3, 4))
    with pytest.raises(DatasetError, match="learned from everybody there"):
        evaluate(bundle, pairs.data, known=Knowledge.read(run, bundle, SamePeople()))


def test_bundles_and_runs_that_do_not_go_together(pairs, trained) -> None:
    (first, one), (second, two) = trained("first", people(1, 2)), trained("second", people(3, 4))
    with pytest.raises(UsageError, match="give the run of each"):
        evaluate_pairs([one, two], [pairs])
    with pytest.raises(UsageError, match=r"1 bundle.s. and 2 run"):
        evaluate_pairs([one], [pairs], runs=[first, second])
    with pytest.raises(UsageError, match=r"was not exported from .*second"):
        evaluate_pairs([one, two], [pairs], runs=[second, first])
    with pytest.raises(UsageError, match="no bundle"):
        evaluate_pairs([], [pairs])


def test_the_report_is_text_json_and_a_page(pairs, tiny_bundle, tmp_path) -> None:
    evaluation = evaluate_pairs([tiny_bundle], [pairs], precision="fp32", replicates=100)

    paths = pair_report.write(evaluation, tmp_path)
    text = pair_report.text(evaluation.report)

    values = json.loads(paths[0].read_text())
    assert values["lists"][0]["accuracy"]["mean"] == pytest.approx(evaluation.report.lists[0].accuracy.mean)
    mean = evaluation.report.lists[0].accuracy
    assert f"{100 * mean.mean:.2f} +- {100 * mean.standard_error:.2f} %" in text
    assert "drawn: 1 pair(s) left out: their two pictures are one file" in text
    assert "2, 3-4" not in text
    assert "1-2, 4" in text  # the folds that chose the threshold of fold 3
    page = paths[1].read_text()
    assert "Published pairs" in page
    assert "<svg" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either --data, or --pairs"),
        (["--data", "synthetic:4", "--pairs", "lfw:PATH"], "either --data, or --pairs"),
        (["--pairs", "lfw:PATH", "--frame-rate", "20"], "are for --data"),
        (["--pairs", "lfw:PATH", "--faces", "cascade"], "--faces is aligned or locator there, not cascade"),
        (["--data", "synthetic:4", "--faces", "cropped"], "--faces is aligned or locator there, not cropped"),
        (["--data", "synthetic:4", "--runs", "run", "other"], "are for --pairs"),
        (["--data", "synthetic:4", "--same-people", "same.csv"], "--same-people goes with --runs"),
        (["--pairs", "cedar:PATH"], "names no list of pairs"),
    ],
)
def test_arguments_that_do_not_go_together(arguments: list[str], message: str, tiny_bundle, capsys) -> None:
    assert main(["evaluate", str(tiny_bundle.path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_command_line_decides_pairs(tiny_bundle, tmp_path, signer, capsys) -> None:
    """A list of signatures in LFW's layout fits no bundle of signatures by modality, but is told so clearly."""
    folder = tmp_path / "lfw"
    for person in ("A", "B"):
        for number in (1, 2):
            path = folder / person / f"{person}_{number:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(".png", signer(number))[1].tobytes())
    (folder / "pairs.txt").write_text("1\t1\nA\t1\t2\nA\t1\tB\t1\n")
    code = main(["evaluate", str(tiny_bundle.path), "--pairs", f"lfw:{Path(folder)}", "--out", str(tmp_path / "out")])
    assert code == 2
    assert "takes samples of the modality signature; lfw holds face" in capsys.readouterr().err
