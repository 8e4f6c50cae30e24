from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_score, recall_score, roc_auc_score

from edge_sdk import Verifier, cli, preprocess, quality
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.errors import ScoreError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.export.evaluation.verification import report
from edge_sdk.export.evaluation.verification.comparers import ScoredComparisons
from edge_sdk.export.evaluation.verification.distances import pairs_by_distance
from edge_sdk.export.evaluation.verification.evaluate import evaluate
from edge_sdk.export.evaluation.verification.samples import embed
from edge_sdk.manifest import Rate, VerifyPoint

WRITERS, GENUINE, FORGED = 5, 7, 4


def render(root, seed):
    """``root/WRITER/{genuine,forged}/K.png``."""
    for writer in range(WRITERS):
        hand = SyntheticWriter(seed + writer)
        for kind, count, draw in (("genuine", GENUINE, hand.genuine), ("forged", FORGED, hand.forged)):
            folder = root / f"w{writer}" / kind
            folder.mkdir(parents=True)
            for k in range(count):
                cv2.imwrite(str(folder / f"{k}.png"), draw(k))
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two data sets; the second has a blank genuine picture and a truncated forgery more."""
    root = tmp_path_factory.mktemp("data")
    first, second = render(root / "first", 100), render(root / "second", 200)
    cv2.imwrite(str(second / "w0" / "genuine" / "blank.png"), np.full((300, 600), 255, np.uint8))
    whole = (second / "w1" / "forged" / "0.png").read_bytes()
    (second / "w1" / "forged" / "cut.png").write_bytes(whole[: len(whole) // 2])
    return first, second


@pytest.fixture(scope="module")
def data(folders):
    return load(*(f"folder:{folder}" for folder in folders))


@pytest.fixture(scope="module")
def bundle(make_bundle, folders):
    """The tiny bundle with thresholds in the middle of its scores on these pictures, and one that accepts nobody."""
    genuine = [folders[0] / "w0" / "genuine" / f"{k}.png" for k in range(2)]
    forged = folders[0] / "w0" / "forged" / "0.png"
    rate = Rate(value=0.1, low=0.0, high=0.2, errors=1, trials=10)

    def point(name, threshold):
        return VerifyPoint(name=name, threshold=threshold, target=None, fmr=rate, fnmr=rate, data="made up", subjects=9)

    with Verifier(make_bundle()) as verifier:
        scores = [verifier.verify(genuine[0], query).score for query in (genuine[1], forged)]
    points = (point("eer", float(np.mean(scores))), point("best_balanced_accuracy", 1.5))
    return make_bundle(operating_points={"fp32": points, "int8": points})


@pytest.fixture(scope="module")
def evaluation(bundle, data):
    return evaluate(bundle, data, engine="onnxruntime", precision="fp32", replicates=200, seed=3)


def by_key(evaluation):
    return {
        (m.data, m.forgeries, m.references): (m, scores)
        for m, scores in zip(evaluation.report.measurements, evaluation.scores, strict=True)
    }


def test_every_protocol_is_measured_for_each_data_set_and_for_all(evaluation):
    expected = set(itertools.product(("first", "second", "all"), ("skilled", "random"), (1, 3, 5)))
    assert set(by_key(evaluation)) == expected
    assert {one.references for one in evaluation.report.skipped} == {10}, "nobody has more than 7 samples"
    first = by_key(evaluation)["first", "skilled", 1][0]
    assert (first.subjects, first.mated, first.impostors) == (WRITERS, WRITERS * 21, WRITERS * GENUINE * FORGED)
    for forgeries, count in itertools.product(("skilled", "random"), (1, 5)):
        parts = [by_key(evaluation)[name, forgeries, count][0] for name in ("first", "second")]
        joined = by_key(evaluation)["all", forgeries, count][0]
        assert joined.subjects == 2 * WRITERS
        assert joined.mated == sum(p.mated for p in parts)
        assert joined.impostors == sum(p.impostors for p in parts)


def test_scores_are_those_the_runtime_decides_with(evaluation, bundle, folders):
    """All pairs of one writer through `Verifier.verify`, two pictures at a time."""
    genuine = [folders[0] / "w0" / "genuine" / f"{k}.png" for k in range(GENUINE)]
    forged = [folders[0] / "w0" / "forged" / f"{k}.png" for k in range(FORGED)]
    _, scores = by_key(evaluation)["first", "skilled", 1]
    own = scores.subjects == "first/w0"
    with Verifier(bundle, precision="fp32") as verifier:
        mated = [verifier.verify(a, b).score for a, b in itertools.combinations(genuine, 2)]
        impostor = [verifier.verify(a, b).score for a, b in itertools.product(genuine, forged)]
    assert np.sort(scores.scores[own & scores.mated]) == pytest.approx(np.sort(mated), abs=2e-6)
    assert np.sort(scores.scores[own & ~scores.mated]) == pytest.approx(np.sort(impostor), abs=2e-6)


def test_several_references_score_as_a_template_does(evaluation, bundle, data):
    _, scores = by_key(evaluation)["first", "skilled", 5]
    pictures = [s.path for s in data.samples if s.subject == "first/w0" and s.genuine]
    with Verifier(bundle, precision="fp32") as verifier:
        possible = {
            round(verifier.verify(verifier.enroll(list(chosen)), query).score, 4)
            for chosen in itertools.combinations(pictures, 5)
            for query in set(pictures) - set(chosen)
        }
    own = scores.scores[(scores.subjects == "first/w0") & scores.mated]
    assert len(own) == 5 * 2
    assert {round(score, 4) for score in own.tolist()} <= possible


def test_statistics_equal_scikit_learn(evaluation):
    for measurement, scores in by_key(evaluation).values():
        assert measurement.auroc.value == pytest.approx(roc_auc_score(scores.mated, scores.scores))
        assert measurement.auroc.low <= measurement.auroc.value <= measurement.auroc.high
        point, nobody = measurement.points
        accepted = scores.scores >= point.threshold
        assert point.accuracy.value == pytest.approx(accuracy_score(scores.mated, accepted))
        assert point.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(scores.mated, accepted))
        assert point.precision.value == pytest.approx(precision_score(scores.mated, accepted, zero_division=0))
        assert point.recall.value == pytest.approx(recall_score(scores.mated, accepted))
        assert point.fmr.errors == np.count_nonzero(accepted & ~scores.mated)
        assert point.fnmr.errors == np.count_nonzero(~accepted & scores.mated)
        assert (nobody.fmr.value, nobody.fnmr.value, nobody.precision.value, nobody.recall.value) == (0, 1, 0, 0)


def test_thresholds_come_from_the_bundle(evaluation, bundle):
    expected = {p.name: p.threshold for p in bundle.manifest.variant("fp32.onnx").operating_points}
    for measurement in evaluation.report.measurements:
        assert {p.name: p.threshold for p in measurement.points} == expected
    assert evaluation.report.threshold == expected["eer"]


def test_each_protocol_is_decided_at_the_thresholds_of_its_number_of_references(make_bundle, bundle, data):
    (eer, _) = bundle.manifest.variants[0].operating_points
    more = tuple(
        msgspec.structs.replace(eer, threshold=threshold, references=count)
        for count, threshold in ((1, 0.7), (4, 0.6), (5, 0.5))
    )
    counted = make_bundle(operating_points={"fp32": more, "int8": more})
    found = evaluate(counted, data, engine="onnxruntime", precision="fp32", replicates=5, references=(1, 3, 4, 5))
    expected = {1: 0.7, 3: 0.7, 4: 0.6, 5: 0.5}
    for (_, _, references), (measurement, scores) in by_key(found).items():
        (point,) = measurement.points
        assert (point.name, point.threshold) == ("eer", expected[references])
        assert point.fmr.errors == np.count_nonzero(scores.scores[~scores.mated] >= expected[references])
    assert found.report.threshold == 0.7


def test_too_few_impostors_for_an_fmr_are_said(evaluation):
    measurement, scores = by_key(evaluation)["first", "skilled", 1]
    assert [entry.fnmr is None for entry in measurement.fnmr_at_fmr] == [False, True, True]
    assert measurement.fnmr_at_fmr[2].reason == f"{scores.impostor_count} impostor comparisons; 10000 are needed"


def test_unusable_pictures_are_counted_and_listed(evaluation, folders):
    first, second = evaluation.report.data
    assert (first.failed_genuine, first.failed_forged) == (0, 0)
    assert (second.genuine, second.forged) == (WRITERS * GENUINE + 1, WRITERS * FORGED + 1)
    assert (second.failed_genuine, second.failed_forged) == (1, 1)
    reasons = {failure.path: failure.reasons for failure in evaluation.report.failures}
    assert "empty" in reasons[str(folders[1] / "w0" / "genuine" / "blank.png")]
    assert reasons[str(folders[1] / "w1" / "forged" / "cut.png")] == ("ImageDecodeError",)
    assert len(reasons) == 2


def test_every_picture_is_preprocessed_and_embedded_once(bundle, data, monkeypatch):
    calls = Counter()
    for home, name in ((quality, "prepare"), (Verifier, "embed")):
        real = getattr(home, name)
        counted = lambda *arguments, real=real, name=name: calls.update([name]) or real(*arguments)  # noqa: E731
        monkeypatch.setattr(home, name, counted)
    evaluate(bundle, data, replicates=5)
    assert calls == {"prepare": len(data.samples) - 1, "embed": len(data.samples) - 2}  # one damaged, one blank


def test_wrong_pairs_are_wrong_and_the_worst_come_first(evaluation):
    report = evaluation.report
    assert report.wrong_pairs
    for pair in report.wrong_pairs:
        assert (pair.score >= report.threshold) != pair.mated
    for mated, forgeries in ((False, "skilled"), (False, "random"), (True, "skilled")):
        own = [p for p in report.wrong_pairs if (p.mated, p.forgeries) == (mated, forgeries)]
        assert [p.score for p in own] == sorted((p.score for p in own), reverse=not mated)
        pictures = [path for p in own for path in (p.reference, p.query)]
        assert len(pictures) == len(set(pictures))
        assert len(own) <= 6
    worst = max(
        scores.scores[~scores.mated].max()
        for (d, f, n), (_, scores) in by_key(evaluation).items()
        if (f, n) == ("skilled", 1)
    )
    accepted = [p.score for p in report.wrong_pairs if not p.mated and p.forgeries == "skilled"]
    assert accepted[0] == pytest.approx(worst)


def test_pairs_of_low_middle_and_high_distance_are_those_of_the_scores(evaluation):
    """Each group of decisions by sorting all of them; with few pictures, so that each is shown once."""
    report = evaluation.report
    scores = np.concatenate([by_key(evaluation)[name, "skilled", 1][1].scores for name in ("first", "second")])
    mated = np.concatenate([by_key(evaluation)[name, "skilled", 1][1].mated for name in ("first", "second")])
    right = (scores >= report.threshold) == mated
    assert {pair.right for pair in report.distances} == {True, False}
    for decided in (True, False):
        own = np.sort(scores[right == decided])
        found = [pair for pair in report.distances if pair.right is decided]
        assert [pair.level for pair in found] == ["low"] * 3 + ["middle"] * 3 + ["high"] * 3
        assert all(((pair.score >= report.threshold) == pair.mated) is decided for pair in found)
        assert found[0].score == own[-1]
        assert found[6].score in own[:20]
        assert abs(found[3].score - np.median(own)) <= np.sort(np.abs(own - np.median(own)))[20]
        pictures = [path for pair in found for path in (pair.reference, pair.query)]
        assert len(pictures) == len(set(pictures)) == 18


def scored(*comparisons):
    """Comparisons of a score, whether mated, and two samples each."""
    scores, mated, first, second = zip(*comparisons, strict=True)
    return ScoredComparisons(ScoreSet(scores, mated, ["x"] * len(scores)), np.array(first), np.array(second))


def test_pairs_by_distance_of_a_few_comparisons():
    samples = [Sample("set", "set/x", True, Path(f"{name}.png"), modality="signature") for name in "abcdefgh"]
    other = [Sample("two", "two/x", True, Path(f"{name}.png"), modality="signature") for name in "ijkl"]
    first = scored((0.9, True, 0, 1), (0.8, False, 2, 3), (0.7, True, 4, 5), (0.6, True, 6, 7), (0.5, False, 0, 2))
    second = scored((0.95, True, 0, 1), (0.1, True, 2, 3))
    found = pairs_by_distance([(first, samples), (second, other)], 0.65)
    named = [f"{pair.reference[0]}{pair.query[0]} {pair.level} {pair.right}" for pair in found]
    # Right: ij .95, ab .9, ef .7, ac .5, whose a is shown already; wrong: cd .8, gh .6, kl .1.
    assert named == ["ij low True", "ab low True", "ef low True", "cd low False", "gh low False", "kl low False"]
    without = pairs_by_distance([(first, samples), (second, other)], None)
    assert [f"{pair.reference[0]}{pair.query[0]} {pair.level}" for pair in without] == [
        *("ij low", "ab low", "cd low", "ef middle", "gh middle", "kl middle")
    ]
    assert {pair.right for pair in without} == {None}
    assert pairs_by_distance([], 0.5) == ()


def test_the_same_seed_gives_the_same_report(evaluation, bundle, data):
    assert (
        evaluate(bundle, data, engine="onnxruntime", precision="fp32", replicates=200, seed=3).report
        == evaluation.report
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing_but_the_time(evaluation, bundle, data, workers):
    found = evaluate(bundle, data, engine="onnxruntime", precision="fp32", replicates=200, seed=3, workers=workers)
    assert found.report == evaluation.report


def test_precision_is_selectable(evaluation, bundle, data):
    other = evaluate(bundle, data, precision="int8", replicates=5)
    assert (evaluation.report.artifact, other.report.artifact) == ("fp32.onnx", "int8.onnx")
    assert other.report.measurements[0].auroc.value != evaluation.report.measurements[0].auroc.value


def test_protocols_that_cannot_be_carried_out_are_listed(bundle, data):
    genuine_only = Dataset("first", tuple(s for s in data.samples if s.dataset == "first" and s.genuine))
    report = evaluate(bundle, genuine_only, replicates=5, references=(1, 7)).report
    assert {(m.forgeries, m.references) for m in report.measurements} == {("random", 1)}
    assert {(s.forgeries, s.references) for s in report.skipped} == {("random", 7)}  # no skilled ones to skip
    assert {pair.forgeries for pair in report.wrong_pairs} <= {"random"}
    one = Dataset("first", tuple(s for s in data.samples if s.subject == "first/w0"))
    with pytest.raises(ScoreError, match="at least 2"):
        evaluate(bundle, one, replicates=5)


def test_a_bundle_without_thresholds_is_measured_all_the_same(make_bundle, data):
    bundle = make_bundle(operating_points={"fp32": (), "int8": ()})
    found = evaluate(bundle, data, replicates=5)
    assert found.report.threshold is None
    assert not found.report.wrong_pairs
    assert all(not m.points for m in found.report.measurements)
    assert "AUROC" in report.html(found)


def test_no_usable_picture(bundle, data):
    blank = [s for s in data.samples if s.path.name in {"blank.png", "cut.png"}]
    with Verifier(bundle) as verifier, pytest.raises(ScoreError, match="none of 2 pictures"):
        embed(verifier, blank)


# --- reports ------------------------------------------------------------------------------------------------------


def test_written_files(evaluation, tmp_path):
    json_path, html_path = report.write(evaluation, tmp_path / "deep" / "out")
    loaded = json.loads(json_path.read_text())
    assert loaded["bundle_id"] == evaluation.report.bundle_id
    assert loaded["measurements"][0]["eer"].keys() == {"value", "low", "high"}
    assert loaded["data"][1]["failed_genuine"] == 1
    page = html_path.read_text()
    assert page.startswith("<!doctype html>")
    assert page.count("<svg") == 2
    stages = page[page.index('<table class="stages">') :].partition("</table>")[0]
    in_stages = stages.count("data:image/png;base64,")
    shown = len(evaluation.report.wrong_pairs) + len(evaluation.report.distances)
    assert page.count("data:image/png;base64,") == in_stages + 2 * shown
    assert page.index("distances, decided rightly") < page.index("distances, decided wrongly")
    assert f"high distance, genuine, score {min(p.score for p in evaluation.report.distances if p.mated):.4f}" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page.replace("xlink:href", "href"))  # nothing is fetched
    assert "<script" not in page
    assert "blank.png" in page
    assert re.search(r"w\d/genuine/\d.png and w\d/", page)  # whose they are, too


def test_pictures_on_their_way_to_the_network(evaluation, bundle):
    page = report.html(evaluation)
    stages = page[page.index('<table class="stages">') :].partition("</table>")[0]
    operations = bundle.manifest.preprocessing
    assert [sample.subject for sample in evaluation.examples] == [
        f"{d}/w{k}" for d in ("first", "second") for k in range(3)
    ]
    head, *rows = stages.split("</tr>")[:-1]
    assert re.findall(r"<th>(\w+)<br>", head) == [preprocess_name(operation) for operation in operations]
    assert len(rows) == len(evaluation.examples)
    for row, sample in zip(rows, evaluation.examples, strict=True):
        states = [sample.read(), *(picture for _, picture in preprocess.trace(operations, sample.read()))]
        same = [np.array_equal(a, b) for a, b in itertools.pairwise(states)]
        assert row.count("&ndash;") == sum(same)
        pictures = [
            cv2.imdecode(np.frombuffer(base64.b64decode(found), np.uint8), cv2.IMREAD_UNCHANGED)
            for found in re.findall(r"base64,([^\"]+)", row)
        ]
        assert len(pictures) == len(states) - sum(same)
        assert max(max(picture.shape) for picture in pictures) <= 150
        assert pictures[-1].mean() == pytest.approx(states[-1].mean(), abs=2)


def preprocess_name(operation):
    return json.loads(msgspec.json.encode(operation))["op"]


def test_the_page_is_the_same_each_time_and_escapes_names(evaluation, bundle, data, tmp_path):
    assert report.html(evaluation) == report.html(evaluation)
    evil = render(tmp_path / "<script>alert(1)", 300)
    for writer in evil.iterdir():
        writer.rename(evil / f"<script>x&y $\\alpha$ {writer.name}")
        (evil / f"<script>x&y $\\alpha$ {writer.name}" / "forged" / "<script>.png").write_bytes(b"no picture")
    page = report.html(evaluate(bundle, load(f"folder:{evil}"), replicates=5))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;script&gt;x&amp;y $\\alpha$ w1" in page
    assert "&lt;script&gt;.png" in page


def test_text_has_a_line_for_each_measurement(evaluation):
    lines = report.text(evaluation.report).splitlines()
    for m in evaluation.report.measurements:
        assert any(
            re.match(rf"{m.data}\s+{m.forgeries}\s+{m.references}\s+{m.subjects}\s+{m.mated}\s", x) for x in lines
        )


# --- command line -------------------------------------------------------------------------------------------------


def run(*arguments):
    return cli.main(["evaluate", *map(str, arguments)])


def test_command_prints_tables_and_writes_files(bundle, folders, tmp_path, capsys):
    assert run(bundle.path, "--data", f"folder:{folders[0]}", "--precision", "fp32", "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "AUROC" in printed
    assert (tmp_path / "evaluation.json").exists()
    assert (tmp_path / "report.html").exists()


def test_command_with_json_and_chosen_people(bundle, folders, tmp_path, capsys):
    people = tmp_path / "people.txt"
    people.write_text("# test people\nfirst/w1\n\nfirst/w3\n")
    options = ("--data", f"folder:{folders[0]}", "--subjects-file", people, "--out", tmp_path, "--json")
    assert run(bundle.path, *options) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["data"][0]["subjects"] == 2
    assert printed["measurements"][0]["subjects"] == 2


def test_importing_the_command_is_cheap():
    import subprocess

    code = "import sys, edge_sdk.cli.evaluate; print({'torch', 'matplotlib', 'numpy', 'cv2'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"


def test_errors_of_the_command(bundle, folders, tmp_path, capsys):
    empty = tmp_path / "nobody.txt"
    empty.write_text("#\n")
    for file in (empty, tmp_path / "missing.txt", tmp_path / "missing.json"):
        arguments = (bundle.path, "--data", f"folder:{folders[0]}", "--subjects-file", file, "--out", tmp_path)
        assert run(*arguments) == cli.ERROR
        assert "DatasetError" in capsys.readouterr().err


def test_people_are_identified_among_others(tmp_path, make_bundle, signer):
    """Galleries of ten out of twenty people: rates against a count of the searches by the verifier."""
    for person in range(20):
        folder = tmp_path / "people" / f"w{person:02d}"
        folder.mkdir(parents=True)
        for picture in range(2):
            drawn = signer(person if person % 4 else 0)
            cv2.imwrite(str(folder / f"{picture}.png"), np.roll(drawn, picture + 2 * person, axis=1))
    bundle = make_bundle()
    data = load(f"genuine:{tmp_path / 'people'}")

    report_ = evaluate(bundle, data, engine="onnxruntime", precision="fp32", references=(1,), replicates=50).report

    (found,) = report_.identification
    assert (found.size, found.galleries, found.mated, found.non_mated) == (10, 2, 20, 20)
    # Five people write alike: where several of them are enrolled together, the wrong one may come first.
    assert 0.75 <= found.rank_1.value < 1
    assert [entry.fnir is None for entry in found.fnir_at_fpir] == [True, True, True]
    assert {point.name for point in found.points} == {"fmr_1e-2", "eer"}
    text = report.text(report_)
    assert "FNIR@FPIR" in text


def test_pictures_that_are_one_file_are_left_out(tmp_path, bundle, folders):
    copied = tmp_path / "copied"
    shutil.copytree(folders[0], copied)
    shutil.copy(copied / "w0/genuine/0.png", copied / "w0/genuine/9.png")
    data = load(f"folder:{copied}")

    report_ = evaluate(bundle, data, engine="onnxruntime", precision="fp32", references=(1,), replicates=50).report

    assert [(one.path, one.like) for one in report_.identical] == [
        (str(copied / "w0/genuine/9.png"), str(copied / "w0/genuine/0.png"))
    ]
    assert report_.measurements[0].mated == WRITERS * 21
    assert "left out: 1 pictures that are byte for byte others" in report.text(report_)
