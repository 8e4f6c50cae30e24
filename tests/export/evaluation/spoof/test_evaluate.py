"""Live faces against attacks: every number re-derived, and what is drawn of them."""

from __future__ import annotations

import base64
import itertools
import json
import math
import re
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from edge_sdk import SpoofDetector, cli, preprocess
from edge_sdk.errors import ScoreError, UsageError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.evaluation.spoof import report
from edge_sdk.export.evaluation.spoof.evaluate import evaluate
from edge_sdk.export.evaluation.spoof.measurements import APCER_TARGETS
from edge_sdk.export.evaluation.spoof.projection import compared_output, project
from edge_sdk.export.evaluation.spoof.sessions import SessionDecision, replay, summarise
from edge_sdk.manifest import DecisionHead
from edge_sdk.preprocess.crop import Box
from edge_sdk.results import SpoofDecision
from edge_sdk.runtime.temporal import KOfN, Limits

from .conftest import FRAMES, PEOPLE, SIDE, draw, point, save


def measured(bundle, data, **settings):
    return evaluate(bundle, data, **{"engine": "onnxruntime", "replicates": 100, "seed": 3} | settings)


@pytest.fixture(scope="module")
def evaluation(bundle, data):
    return measured(bundle, data)


@pytest.fixture(scope="module")
def page(evaluation):
    return report.html(evaluation)


def scored(evaluation, data=None):
    return [seen for seen in evaluation.samples if seen.scored and data in (None, "all", seen.sample.dataset)]


# --- numbers ------------------------------------------------------------------------------------------------------


def test_scores_are_those_the_runtime_decides_with(evaluation, bundle):
    with SpoofDetector(bundle, engine="onnxruntime", faces="cropped") as detector:
        for seen in evaluation.samples[::17]:
            assert detector.detect(seen.sample.path).score == seen.score


def test_every_picture_is_prepared_and_scored_once(bundle, data, monkeypatch):
    calls = Counter()
    real = preprocess.apply
    monkeypatch.setattr(preprocess, "apply", lambda *arguments: calls.update(["apply"]) or real(*arguments))
    measured(bundle, data, replicates=5)
    assert calls["apply"] == len(data.samples) - 2  # one flat, one damaged


def test_separation_equals_scikit_learn_and_loops(evaluation):
    rows = {(m.data, m.species): m for m in evaluation.report.separations}
    assert set(rows) == set(itertools.product(("mine", "all"), ("print", "screen", "any")))
    for (name, species), m in rows.items():
        own = [s for s in scored(evaluation, name) if species == "any" or s.sample.attack in (None, species)]
        live = np.array([seen.sample.genuine for seen in own])
        scores = np.array([seen.score for seen in own])
        assert (m.live, m.attacks) == (live.sum(), (~live).sum())
        assert m.subjects == len({seen.sample.subject for seen in own})
        assert m.ratio == pytest.approx((~live).mean())
        assert m.auroc.value == pytest.approx(roc_auc_score(live, scores))
        assert m.average_precision.value == pytest.approx(average_precision_score(~live, -scores))
        for value in (m.auroc, m.eer, m.average_precision):
            assert value.low <= value.value <= value.high
        assert not any(entry.bpcer for entry in m.bpcer_at_apcer)
        fewest = min(Counter(seen.sample.attack for seen in own if seen.sample.attack).values())
        assert m.bpcer_at_apcer[1].reason == f"{fewest} attacks of a species; 1000 are needed"


def test_bpcer_at_an_apcer_by_trying_every_threshold(bundle, folders, tmp_path):
    for person, frame in itertools.product(range(PEOPLE), range(40)):
        save(tmp_path / "s/live" / f"p{person}" / f"{frame}.png", draw(person, None, frame))
        save(tmp_path / "s/attack-print" / f"p{person}" / f"{frame}.png", draw(person, "print", frame))
    found = measured(bundle, load(f"spoof:{tmp_path / 's'}"), replicates=10)
    scores = {kind: [s.score for s in found.samples if s.sample.attack == kind] for kind in (None, "print")}
    (separation,) = found.report.separations
    tried = [
        np.mean(np.array(scores[None]) < threshold)
        for threshold in (*scores["print"], max(scores["print"]) + 1e-9)
        if np.mean(np.array(scores["print"]) > threshold) <= 0.05
    ]
    at5, at1 = separation.bpcer_at_apcer
    assert (at5.target, at1.target) == APCER_TARGETS
    assert at5.bpcer is not None and at5.bpcer.value <= min(tried)
    lowest = min(t for t in scores["print"] if np.mean(np.array(scores["print"]) > t) <= 0.05)
    assert at5.bpcer.value == np.mean(np.array(scores[None]) <= lowest)
    assert at1.bpcer is None and "1000" in at1.reason


def test_rates_at_the_bundles_thresholds_by_counting(evaluation, bundle):
    expected = {p.name: p.threshold for p in bundle.manifest.variants[0].operating_points if hasattr(p, "threshold")}
    rows = {(entry.data, entry.point): entry for entry in evaluation.report.points}
    assert {key: entry.threshold for key, entry in rows.items()} == {
        (name, point): threshold for name in ("mine", "others", "all") for point, threshold in expected.items()
    }
    for (name, _), entry in rows.items():
        passed = Counter((s.sample.attack, s.score >= entry.threshold) for s in scored(evaluation, name))
        assert (entry.bpcer.errors, entry.bpcer.trials) == (
            passed[None, False],
            passed[None, False] + passed[None, True],
        )
        if name == "others":
            assert (entry.apcer, entry.acer, entry.species) == (None, None, {})
            continue
        for kind in ("print", "screen"):
            assert entry.species[kind].errors == passed[kind, True]
            assert entry.species[kind].trials == passed[kind, True] + passed[kind, False]
        assert entry.apcer.value == max(rate.value for rate in entry.species.values())
        assert entry.acer.value == pytest.approx((entry.apcer.value + entry.bpcer.value) / 2)
    assert (rows["mine", "eer"].apcer.value, rows["mine", "eer"].bpcer.value) == (1, 0)
    assert evaluation.report.threshold == expected["apcer_1e-1"]
    assert evaluation.report.unsupported == {"apcer_1e-2": "10 attacks"}


def test_live_faces_alone_give_bpcer_alone(evaluation, bundle, data):
    assert [(s.data, s.species) for s in evaluation.report.skipped] == [("others", "any")]
    attacks = Dataset("mine", tuple(sample for sample in data.samples if sample.attack))
    report = measured(bundle, attacks, replicates=5).report
    assert not report.separations
    assert [s.reason for s in report.skipped] == ["no live faces with a score: APCER alone"]
    assert report.points[0].bpcer is None
    assert set(report.points[0].species) == {"print", "screen"}


def test_non_responses_are_counted_by_class_and_listed(evaluation, folders):
    mine, others = evaluation.report.data
    assert (mine.live, mine.attacks) == (PEOPLE * FRAMES, {"print": PEOPLE * FRAMES, "screen": 4 * FRAMES})
    assert (mine.bpnrr.errors, mine.bpnrr.trials) == (1, mine.live)
    assert {kind: rate.errors for kind, rate in mine.apnrr.items()} == {"print": 1, "screen": 0}
    assert (others.live, others.attacks, others.bpnrr.errors, others.apnrr) == (PEOPLE * 3, {}, 0, {})
    assert {(entry.path, entry.attack): entry.reasons for entry in evaluation.report.non_responses} == {
        (str(folders[0] / "live/p0/day/3.png"), None): ("flat",),
        (str(folders[0] / "attack-print/p1/day/2.png"), "print"): ("ImageDecodeError",),
    }


def test_mistakes_are_wrong_the_worst_come_first_and_nobody_twice(evaluation):
    report = evaluation.report
    for attack in (None, "print", "screen"):
        own = [mistake for mistake in report.mistakes if (mistake.data, mistake.attack) == ("mine", attack)]
        assert own
        assert all((mistake.score >= report.threshold) == (attack is not None) for mistake in own)
        distances = [abs(mistake.score - report.threshold) for mistake in own]
        assert distances == sorted(distances, reverse=True)
        assert len({mistake.subject for mistake in own}) == len(own) <= 6
        wrong = [
            abs(seen.score - report.threshold)
            for seen in scored(evaluation, "mine")
            if seen.sample.attack == attack and (seen.score >= report.threshold) == (attack is not None)
        ]
        assert distances[0] == max(wrong)


def test_the_same_seed_gives_the_same_report(evaluation, bundle, data):
    assert measured(bundle, data).report == evaluation.report


def test_a_bundle_without_thresholds_is_measured_all_the_same(spoof_bundle, data):
    found = measured(spoof_bundle(), data, replicates=5)
    facts = found.report
    assert (facts.threshold, facts.rule, facts.points, facts.mistakes, facts.sessions) == (None, None, (), (), ())
    assert facts.separations
    assert "The variant has none." in report.html(replace(found, compared=None))


def test_what_cannot_be_measured_is_refused(bundle, data):
    forged = replace(data.samples[0], genuine=False, attack=None)
    with pytest.raises(UsageError, match="forgeries are no presentation attacks"):
        evaluate(bundle, Dataset("cedar", (forged,)))
    for rate in (0.0, 1.0, math.nan):
        with pytest.raises(UsageError, match="jump in time"):
            evaluate(bundle, data, frame_rate=rate)
    flat = [sample for sample in data.samples if sample.pose and sample.path.parts[-3:] == ("p0", "day", "3.png")]
    with pytest.raises(ScoreError, match="none of 1 pictures has a score; the first: flat"):
        measured(bundle, Dataset("mine", tuple(flat)))


def test_rendered_attacks_are_measured_against_the_faces_they_were_made_of(bundle, data):
    mine = [sample for sample in data.samples if sample.dataset == "mine" and sample.attack != "screen"]
    rendered = [replace(s, dataset="print+others") for s in data.samples if s.attack == "print"]
    others = [sample for sample in data.samples if sample.dataset == "others"]
    report = measured(bundle, Dataset("x", (*mine, *others, *rendered)), replicates=5).report
    rows = {m.data: m for m in report.separations}
    assert set(rows) == {"mine", "print+others", "all"}
    assert (rows["print+others"].live, rows["print+others"].attacks) == (len(others), len(rendered) - 1)
    assert (report.data[-1].live, report.data[-1].attacks) == (0, {"print": len(rendered)})


# --- decisions over time ------------------------------------------------------------------------------------------


def test_sessions_are_decided_as_a_stream_decides_them(evaluation, bundle):
    report = evaluation.report
    assert len(report.sessions) == 2 * PEOPLE + 4
    outcomes = set()
    with SpoofDetector(bundle, engine="onnxruntime", faces="cropped") as detector:
        for session in report.sessions:
            key = (session.data, session.subject, session.attack, session.name)
            own = [s for s in evaluation.samples if key == tuple(getattr(s.sample, n) for n in FIELDS)]
            stamped = [(number / report.frame_rate, seen.sample.path) for number, seen in enumerate(own)]
            streamed = list(detector.stream(stamped))
            replayed = list(replay(own, report.rule, report.limits, report.frame_rate))
            assert [(v.decision, v.reasons) for v in replayed] == [(v.decision, v.reasons) for v in streamed]
            decided = [
                (number, verdict.decision.value)
                for number, verdict in enumerate(streamed, start=1)
                if verdict.decision in (SpoofDecision.LIVE, SpoofDecision.SPOOF)
            ]
            assert (session.after, session.decision) == (decided[0] if decided else (None, None))
            assert session.ever_live is ("live" in [decision for _, decision in decided])
            outcomes |= {(session.attack, session.decision)}
    assert {(None, "live"), ("print", "spoof")} <= outcomes


FIELDS = ("dataset", "subject", "attack", "session")


def test_a_repeated_and_a_damaged_frame_have_their_status(evaluation):
    def verdicts(subject, attack):
        own = [s for s in evaluation.samples if (s.sample.subject, s.sample.attack) == (subject, attack)]
        return list(replay(own, KOfN(-9.0), Limits(), 20.0))

    assert "frozen" in verdicts("mine/p1", None)[4].reasons
    assert "corrupt" in verdicts("mine/p1", "print")[2].reasons
    assert "flat" in verdicts("mine/p0", None)[3].reasons


def bright_squares(picture):
    """A locator: 40 x 40 pixels at the left and at the right, each a face if it is bright."""
    return tuple(Box(left, 10, 40, 40) for left in (5, 55) if picture[10:50, left : left + 40].mean() > 90)


def test_full_frames_are_searched_and_followed(spoof_bundle, tmp_path):
    places = [5] * 8 + [()] + [55] * 8 + [(5, 55)]
    samples = []
    for number, place in enumerate(places):
        picture = np.tile(np.linspace(20, 60, 100).astype(np.uint8), (60, 1))
        for left in [place] if isinstance(place, int) else place:
            picture[10:50, left : left + 40] = draw(0, None, number)
        save(tmp_path / f"{number}.png", picture)
        samples.append(
            Sample("mine", "mine/p0", genuine=True, path=tmp_path / f"{number}.png", session="day", modality="face")
        )
    bundle = spoof_bundle(point("apcer_1e-1", -9.0))
    found = measured(bundle, Dataset("mine", tuple(samples)), faces=bright_squares, replicates=5)
    assert [entry.reasons for entry in found.report.non_responses] == [("no_face",), ("several_faces",)]
    assert found.report.faces == "function"
    stamped = [(number / 20, sample.path) for number, sample in enumerate(samples)]
    with SpoofDetector(bundle, engine="onnxruntime", faces=bright_squares) as detector:
        streamed = [(result.decision, result.reasons) for result in detector.stream(stamped)]
    assert [(v.decision, v.reasons) for v in replay(found.samples, KOfN(-9.0), Limits(), 20.0)] == streamed
    assert "track_lost" in streamed[9][1]
    assert next(iter(found.examples)).face.shape[0] == 40


def session(person, attack, decision, after, ever_live=False):
    return SessionDecision("made up", f"p{person}", attack, "day", 20, decision, after, ever_live or decision == "live")


def test_a_session_without_a_decision_is_never_live():
    people = [session(0, None, "live", 7), session(1, None, None, None), session(2, None, "spoof", 4, ever_live=True)]
    live = summarise(people, "made up", 10.0, replicates=10)
    assert (live.live, live.spoof, live.undecided, live.ever_live) == (1, 1, 1, 2)
    assert (live.error.errors, live.error.trials) == (2, 3)
    attacks = [session(0, "print", "live", 11), session(1, "print", None, None), *[session(2, "print", "spoof", 4)] * 2]
    found = summarise(attacks, "made up", 10.0, replicates=10)
    assert (found.live, found.spoof, found.undecided, found.subjects) == (1, 2, 1, 3)
    assert (found.error.errors, found.error.trials) == (1, 4)
    assert (found.latency.median_frames, found.latency.median_s) == (4, pytest.approx(0.3))
    assert found.latency.p90_frames == pytest.approx(np.quantile([11, 4, 4], 0.9))
    assert summarise([people[1]], "made up", 10.0, replicates=10).latency is None


# --- latents ------------------------------------------------------------------------------------------------------


def test_what_pictures_are_compared_by(spoof_bundle, bundle):
    tensors = {
        "sample": np.zeros((1, 1, SIDE, SIDE), np.float32),
        "model.latent": np.arange(16, dtype=np.float32)[None],
    }
    tensors["model.reconstruction"] = np.zeros((1, 1, SIDE, SIDE), np.float32)
    tensors["model.reconstruction"][0, 0, 3, 5] = -0.25
    latent = compared_output(bundle.manifest)
    np.testing.assert_array_equal(latent.point(tensors), np.arange(16))
    error = compared_output(spoof_bundle(outputs=("reconstruction",)).manifest)
    assert "error map" in error.title
    expected = np.zeros((16, 16))
    expected[3, 5] = 0.25
    np.testing.assert_allclose(error.point(tensors), expected.ravel())
    head = DecisionHead(output="model.logit", activation="sigmoid", genuine_index=0)
    assert compared_output(spoof_bundle(outputs=("logit",), score=head).manifest) is None


def test_layout_is_a_projection_on_the_directions_of_most_variance():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 5)) * [9, 3, 0.1, 0.1, 0.1]
    found = project(points.astype(np.float32))
    centred = points - points.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(found.pca), np.abs(centred @ directions[:2].T), atol=1e-4)
    assert found.explained == pytest.approx(singular[:2] ** 2 / (singular**2).sum(), abs=1e-4)
    assert found.tsne.shape == (30, 2)
    assert project(points[:9].astype(np.float32)) is None
    assert project(np.ones((30, 5), np.float32)) is None


def test_a_head_alone_has_neither_latents_nor_reconstructions(spoof_bundle, data):
    head = DecisionHead(output="model.logit", activation="sigmoid", genuine_index=0)
    found = measured(spoof_bundle(point("eer", 0.5), outputs=("logit",), score=head), data, replicates=5)
    page = report.html(found)
    assert "Left out: the model puts out neither latents" in page
    assert "<h2>Reconstructions</h2>" not in page


# --- reports ------------------------------------------------------------------------------------------------------


def section(page, title):
    return page[page.index(f"<h2>{title}") :].split("<h2>")[1]


def decoded(html):
    found = re.findall(r"base64,([^\"]+)", html)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(x), np.uint8), cv2.IMREAD_UNCHANGED) for x in found]


def test_the_page_is_whole_and_fetches_nothing(page, evaluation, tmp_path):
    titles = re.findall("<h2>(.*?)</h2>", page)
    assert titles == [
        "Data", "Live faces against attacks", "At the bundle's thresholds", "Scores", "Scores by session and pose",
        "Decisions over time", "Latents", "Reconstructions", "Live faces that were rejected",
        "Attacks that passed as live: print", "Attacks that passed as live: screen", "From pixel to network input",
        "Pictures without a response",
    ]  # fmt: skip
    assert page.count("<svg") == 5
    assert not re.search(r'(?:src|href)="(?!data:|#)', page.replace("xlink:href", "href"))
    assert "<script" not in page
    for text in ("pose 10-20 deg, live", "day, print", "set on these very data", "LIVE at any time (APCER)"):
        assert text in page
    paths = report.write(replace(evaluation, compared=None), tmp_path / "deep" / "out")
    loaded = json.loads(paths[0].read_text())
    assert loaded["rule"]["live"] == 7
    assert loaded["separations"][0]["auroc"].keys() == {"value", "low", "high"}
    assert loaded["data"][0]["apnrr"]["print"]["errors"] == 1


def test_the_page_escapes_names(bundle, data):
    hostile = [
        replace(
            sample,
            dataset="<script>d$x$",
            subject=f"<script>{sample.subject}",
            attack=sample.attack and f"<script>{sample.attack}",
            session=sample.session and f"<script>{sample.session}",
        )
        for sample in data.samples
        if sample.dataset == "mine"
    ]
    page = report.html(replace(measured(bundle, Dataset("mine", tuple(hostile)), replicates=5), compared=None))
    assert "<script" not in page
    for name in ("d$x$", "mine/p0", "print", "day"):
        assert f"&lt;script&gt;{name}" in page


def test_reconstructions_beside_input_and_difference(page, evaluation):
    shown = section(page, "Reconstructions")
    groups = [("mine", None), ("mine", "print"), ("mine", "screen"), ("others", None)]
    assert re.findall("<h3>(.*?)</h3>", shown) == [f"{data}, {attack or 'live'}" for data, attack in groups]
    assert Counter((e.sample.dataset, e.sample.attack) for e in evaluation.examples) == dict.fromkeys(groups, 3)
    taken, made, difference = decoded(shown)[:3]
    example = evaluation.examples[0]
    image, reconstruction = (example.tensors[name][0, 0] for name in ("sample", "model.reconstruction"))
    np.testing.assert_array_equal(taken, np.rint(255 * image))
    np.testing.assert_array_equal(made, np.rint(255 * reconstruction))
    order = np.argsort(np.abs(image - reconstruction), axis=None)
    brightness = difference.sum(axis=2).ravel()[order].astype(int)
    assert brightness[0] < 30 < brightness[-1]


def test_mistakes_are_shown(page, evaluation):
    for attack, title in ((None, "Live faces that were rejected"), ("print", "Attacks that passed as live: print")):
        own = [mistake for mistake in evaluation.report.mistakes if mistake.attack == attack]
        shown = decoded(section(page, title))
        assert len(shown) == len(own)
        np.testing.assert_array_equal(shown[0], cv2.imread(own[0].path, cv2.IMREAD_UNCHANGED))


def test_text_has_a_line_for_each_measurement(evaluation):
    text = report.text(evaluation.report)
    for m in evaluation.report.separations:
        assert re.search(rf"^{m.data} +{m.species} +{m.subjects} +{m.live} +{m.attacks} ", text, re.MULTILINE)
    for entry in evaluation.report.session_summaries:
        assert re.search(rf"^{entry.data} +{entry.attack or 'live'} +{entry.subjects} ", text, re.MULTILINE)
    assert "not measured: others, any" in text


# --- command line -------------------------------------------------------------------------------------------------


def run(*arguments):
    return cli.main(["evaluate", *map(str, arguments)])


def test_command_measures_what_the_bundle_is_for(bundle, folders, tmp_path, capsys):
    common = ("--data", f"live:{folders[1]}", "--engine", "onnxruntime", "--out", tmp_path)
    assert run(bundle.path, *common) == 0
    assert "BPCER" in capsys.readouterr().out
    assert (tmp_path / "report.html").exists()
    assert (
        run(bundle.path, *common, "--faces", "cascade", "--frame-rate", "5", "--json") == cli.ERROR
    )  # crops, too small
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "ScoreError"
    assert run(bundle.path, *common, "--frame-rate", "5", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["frame_rate"], printed["faces"]) == (5.0, "cropped")


def test_options_of_another_task_are_refused(tiny_bundle, folders, tmp_path, capsys):
    common = (tiny_bundle.path, "--data", f"live:{folders[1]}", "--out", tmp_path)
    assert run(*common, "--faces", "cropped") == cli.USAGE
    assert "task verify: --faces is aligned or locator there, not cropped" in capsys.readouterr().err
    assert run(*common, "--frame-rate", "20") == cli.USAGE
    assert "task verify: --frame-rate is for bundles of task spoof" in capsys.readouterr().err
