"""The anti-spoofing thesis' results on made-up faces: right subsets, right losses, and nothing trained twice."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.cli import main
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.formats.float_onnx import INPUT
from edge_sdk.export.networks import gaussian_mixture
from edge_sdk.export.networks.autoencoder import LATENT, RECONSTRUCTION
from edge_sdk.export.reproduction.thesis import ganomaly, losses, studies
from edge_sdk.export.reproduction.thesis.experiments import (
    BASELINE,
    EXPERIMENTS,
    GANOMALY,
    ThesisPictures,
    ThesisRequest,
    evenly,
)
from edge_sdk.export.reproduction.thesis.networks import ThesisNetwork, measure, train
from edge_sdk.export.reproduction.thesis.statements import of_losses, statement
from edge_sdk.export.reproduction.thesis.variational import ELBO, KL, REC, VariationalLosses

PEOPLE = 6
LIVE, SCREENS, PRINTS = 4, 2, 1
"""Pictures of each person."""


def quiet(_line: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="session")
def face_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth blobs as live faces; attacks are the same with dark rows, or with dots."""
    root = tmp_path_factory.mktemp("thesis-faces")
    for person in range(PEOPLE):
        rng = np.random.default_rng(person)
        coarse = rng.uniform(40, 220, (4, 4))
        for kind, count in (("live", LIVE), ("attack-screen", SCREENS), ("attack-print", PRINTS)):
            for number in range(count):
                noisy = (coarse + rng.normal(0, 12, coarse.shape)).astype(np.float32)
                picture = cv2.resize(noisy, (64, 64), interpolation=cv2.INTER_CUBIC)
                if kind == "attack-screen":
                    picture[::2] *= 0.3
                elif kind == "attack-print":
                    picture[::3, ::3] = 20
                path = root / kind / f"p{person}" / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), picture.clip(0, 255).astype(np.uint8))
    return root


@pytest.fixture
def request_(face_folder: Path, tmp_path: Path) -> ThesisRequest:
    return ThesisRequest(tmp_path / "out", (f"spoof:{face_folder}",), steps=2, tiny=True)


@pytest.fixture(scope="session")
def shared(face_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ThesisRequest:
    """A request whose trainings several tests share; do not change its folder."""
    return ThesisRequest(tmp_path_factory.mktemp("thesis"), (f"spoof:{face_folder}",), steps=2, tiny=True)


@pytest.fixture(scope="session")
def baseline(shared: ThesisRequest) -> ThesisNetwork:
    return train(BASELINE, ThesisPictures.of(shared), shared, quiet)


# --- subsets ----------------------------------------------------------------------------------------------------------


def test_subsets_follow_from_the_people_learned_from(request_: ThesisRequest) -> None:
    pictures = ThesisPictures.of(request_)
    learned = set(pictures.learned.subjects)
    assert len(learned) == 4
    assert all(sample.genuine for sample in pictures.learned.samples)
    assert len(pictures.learned.samples) == 4 * LIVE
    assert pictures.names == ("training", "unseen live", "seen print", "unseen print", "seen screen", "unseen screen")
    for sample, subset, new in zip(pictures.tested, pictures.subsets, pictures.new, strict=True):
        seen = sample.subject in learned
        kinds = {None: "training" if seen else "unseen live"}
        assert subset == kinds.get(sample.attack, f"{'seen' if seen else 'unseen'} {sample.attack}")
        assert new == (not seen)
    counts = {name: int((pictures.subsets == name).sum()) for name in pictures.names}
    assert list(counts.values()) == [4 * LIVE, 2 * LIVE, 4 * PRINTS, 2 * PRINTS, 4 * SCREENS, 2 * SCREENS]
    assert pictures.summary == (
        "Learned from: 16 live pictures of 4 people. Tested: 42 pictures, 43% of them attacks (the thesis' figure 4.2: "
        "around 55 %)."
    )
    other = ThesisPictures.of(replace(request_, seed=1))
    assert set(other.learned.subjects) != learned


def test_large_subsets_are_thinned_evenly(request_: ThesisRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk.export.reproduction.thesis.experiments.PER_SUBSET", 3)
    pictures = ThesisPictures.of(request_)
    assert {int((pictures.subsets == name).sum()) for name in pictures.names} == {2, 3}
    assert evenly([0, 1, 2, 3, 4, 5, 6], 3) == [0, 3, 6]
    assert evenly([1, 2], 5) == [1, 2]


def test_rendered_attacks_have_subsets_of_their_own(face_folder: Path, tmp_path: Path) -> None:
    data = f"spoof:{face_folder}", f"print+spoof:{face_folder}"
    pictures = ThesisPictures.of(ThesisRequest(tmp_path, data))
    assert pictures.names[2:6] == ("seen print", "unseen print", "seen rendered print", "unseen rendered print")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"width": 0.0}, UsageError, "share of the printed channels"),
        ({"width": 1.5}, UsageError, "share of the printed channels"),
        ({"width": math.nan}, UsageError, "share of the printed channels"),
        ({"steps": 0}, UsageError, "at least one step"),
        ({"experiments": ("quick",)}, UsageError, "no experiment quick; choose from baseline, filtered"),
        ({"data": ("live:{}/live",)}, DatasetError, "no attacks of people who are not"),
        ({"data": ("synthetic:3",)}, DatasetError, "no attacks of people who are not"),
    ],
)
def test_what_is_no_reproduction(
    options: dict[str, object], error: type[Exception], said: str, request_: ThesisRequest, face_folder: Path
) -> None:
    if "data" in options:
        options = {"data": tuple(str(one).format(face_folder) for one in options["data"])}  # type: ignore[attr-defined]
    with pytest.raises(error, match=said):
        losses.reproduce(replace(request_, **options), quiet)


# --- trainings --------------------------------------------------------------------------------------------------------


def test_settings_are_the_printed_ones() -> None:
    """Tables 4.2, 4.4, 4.6, 4.8 and 4.9: batches an epoch, epochs, batch size, rate, Adam's decays."""
    printed = {
        "baseline": (10_000 * 15, 64, 1e-4, (0.9, 0.99)),
        "filtered": (3000 * 20, 64, 1e-4, (0.9, 0.99)),
        "augmented": (3000 * 20, 32, 1e-4, (0.5, 0.999)),
        "resvae": (3000 * 40, 12, 5e-5, (0.5, 0.999)),
        "ganomaly": (1500 * 50, 16, 2e-5, (0.5, 0.99)),
    }
    for name, one in {**EXPERIMENTS, "ganomaly": GANOMALY}.items():
        settings = one.settings
        assert (settings.steps, one.images, settings.learning_rate, settings.betas) == printed[name]
    filtered = {name: one.settings.filter is not None for name, one in EXPERIMENTS.items()}
    assert filtered == {"baseline": False, "filtered": True, "augmented": True, "resvae": True}
    changed = {name: one.settings.augmentation is not None for name, one in EXPERIMENTS.items()}
    assert changed == {"baseline": False, "filtered": False, "augmented": True, "resvae": True}


def test_a_narrower_network_learns_faster(baseline: ThesisNetwork) -> None:
    assert baseline.preset.network == {"width": 1 / 8}
    assert baseline.preset.learning_rate == pytest.approx(8e-4)
    assert (baseline.preset.keep, baseline.preset.patience, baseline.preset.steps) == ("last", None, 2)


def test_only_live_pictures_of_the_chosen_people_are_learned(baseline: ThesisNetwork, shared: ThesisRequest) -> None:
    record = json.loads((baseline.weights.parent / "run.json").read_text())
    assert tuple(record["train"]) == ThesisPictures.of(shared).learned.subjects
    assert not set(record["train"]) & set(record["validation"])


def test_losses_are_those_of_the_equations(baseline: ThesisNetwork, shared: ThesisRequest) -> None:
    """Equations 3.1 to 3.4, with the sign of mu^2 as in 2.25 and the cross entropy summed, by explicit loops."""
    pictures = ThesisPictures.of(shared)
    found = VariationalLosses.of(BASELINE, baseline, pictures, shared.out)
    assert found.latents.shape == (len(pictures.tested), 64)
    (first,) = baseline.outputs(pictures.tested[:2], [LATENT, "log_variance", RECONSTRUCTION])
    for row in range(2):
        kl = sum(
            -0.5 * (1 + log_variance - mean**2 - math.exp(log_variance))
            for mean, log_variance in zip(first[LATENT][row].tolist(), first["log_variance"][row].tolist(), strict=True)
        )
        entropy = sum(
            -(level * math.log(made) + (1 - level) * math.log(1 - made))
            for level, made in zip(
                first[INPUT][row].ravel().tolist(), first[RECONSTRUCTION][row].ravel().tolist(), strict=True
            )
        )
        assert found.losses[KL][row] == pytest.approx(kl, rel=1e-4)
        assert found.losses[REC][row] == pytest.approx(entropy, rel=1e-4)
        assert found.losses[ELBO][row] == pytest.approx(kl + entropy, rel=1e-4)


def test_pictures_are_measured_once(
    baseline: ThesisNetwork, shared: ThesisRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = ThesisPictures.of(shared)
    first = measure(baseline, pictures, ("kl",), shared.out)
    monkeypatch.setattr(ThesisNetwork, "outputs", None)
    again = measure(baseline, pictures, ("kl",), shared.out)
    assert np.array_equal(first.losses["kl"], again.losses["kl"])
    assert np.array_equal(first.latents, again.latents)
    with pytest.raises(TypeError):
        measure(baseline, pictures, ("elbo",), shared.out)


# --- the tables -------------------------------------------------------------------------------------------------------


def test_losses_are_trained_drawn_and_printed_once(request_: ThesisRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    request = replace(request_, experiments=("resvae",))
    first = losses.reproduce(request, quiet)
    before = [path.stat().st_mtime_ns for path in request.out.glob("runs/*/*.safetensors")]
    assert len(before) == 2
    for kind in ("losses", "precision-recall", "latents", "mixture", "reconstructions"):
        assert (request.out / f"thesis-resvae-{kind}.png").read_bytes()[:4] == b"\x89PNG"
    assert [row[:6] for row in first.table.rows] == [
        ("resvae", "the paper", "120000", "12", "1", ""),
        *(("resvae", "ours", "2", "12", "0.125", loss) for loss in (KL, REC, ELBO)),
    ]
    assert not any(note.startswith("Figure 4.") for note in first.notes), "what is said of others is left out"
    monkeypatch.setattr(losses, "drawn", lambda *_: {})
    assert losses.reproduce(request, quiet).as_dict() == first.as_dict()
    assert before == [path.stat().st_mtime_ns for path in request.out.glob("runs/*/*.safetensors")]


def of(experiment: str, request: ThesisRequest, values: dict[str, float]) -> VariationalLosses:
    """Losses of pictures that are equal in a subset, by ``values``; all three losses alike."""
    pictures = ThesisPictures.of(request)
    loss = np.array([values.get(name, 1.0) for name in pictures.subsets])
    chosen = EXPERIMENTS[experiment]
    return VariationalLosses(
        chosen, chosen.settings, pictures, {KL: loss, REC: loss, ELBO: loss}, np.zeros((len(loss), 2))
    )


def test_measures_of_losses(request_: ThesisRequest) -> None:
    """The unseen prints, and a half of the live pictures, have the larger loss."""
    found = of("baseline", request_, {"training": 0.0, "unseen print": 2.0})
    assert found.mean(KL, "unseen print") == 2
    assert found.deviation(KL, "training") == 0
    live = [0.0] * 4 * LIVE + [1.0] * 2 * LIVE
    attacks = [1.0] * (4 * PRINTS + 6 * SCREENS) + [2.0] * 2 * PRINTS
    pairs = [1.0 if one < other else 0.5 if one == other else 0.0 for one in live for other in attacks]
    assert found.auroc(KL).value == pytest.approx(np.mean(pairs))
    new = [1.0 if other > 1 else 0.5 for other in [1.0] * 2 * SCREENS + [2.0] * 2 * PRINTS]
    assert found.auroc(KL, new=True).value == pytest.approx(np.mean(new))
    assert found.precision(KL) == 1, "two of eighteen attacks stand before all other pictures"
    other = of("filtered", request_, {"training": 0.0, "unseen live": 0.0})
    assert found.gain(other, REC).value == pytest.approx(np.mean(pairs) - 1)


def test_statements_are_judged_by_what_was_measured(request_: ThesisRequest) -> None:
    as_said = of("baseline", request_, {"training": 0.0, "unseen live": 0.5, "unseen print": 3.0})
    better = of("filtered", request_, {"training": 0.0, "unseen live": 0.0})
    notes = of_losses([as_said, better, of("augmented", request_, {}), of("resvae", request_, {})])
    assert [note.partition(":")[0] for note in notes] == [
        *["Figure 4.1"] * 3,
        "Figure 4.2",
        "Figure 4.6",
        "Section 4.1.3",
        "Section 4.2.1",
    ]
    verdicts = [note.endswith(": as in the thesis.") for note in notes]
    assert verdicts == [True, False, True, True, False, True, True]
    assert notes[0] == (
        'Figure 4.1: "The mean ... of L_KL of the unseen paper subset is noticeably larger". Here the largest L_KL is '
        "that of unseen print, 3.0, and that of training 0.0: as in the thesis."
    )
    assert notes[4].endswith("is 0.000 [0.000, 0.000]: undecided here.")
    assert statement("Section 1", "so", "it is") == 'Section 1: "so". Here it is.'


def test_ganomalys_sets_and_figures(request_: ThesisRequest) -> None:
    table = ganomaly.reproduce(request_, quiet)
    pictures = ThesisPictures.of(request_)
    masks = ganomaly.masks(pictures)
    assert list(masks) == ["seen print", "unseen print", "seen screen", "unseen screen"]
    assert set(pictures.subsets[masks["seen screen"]]) == {"training", "seen screen"}
    assert set(pictures.subsets[masks["unseen print"]]) == {"unseen live", "unseen print"}
    assert table.table.rows[0][:4] == ("test seen paper, test seen mask", "the paper", "75000", "1")
    assert [row[:6] for row in table.table.rows[1:3]] == [
        ("seen print", "ours", "2", "0.125", f"{4 * LIVE}", f"{4 * PRINTS}"),
        ("unseen print", "ours", "2", "0.125", f"{2 * LIVE}", f"{2 * PRINTS}"),
    ]
    for kind in ("precision-recall", "reconstructions", "roc"):
        assert (request_.out / f"thesis-ganomaly-{kind}.png").read_bytes()[:4] == b"\x89PNG"
    assert [note.partition(":")[0] for note in table.notes[-3:]] == ["Section 5.2", "Figure 4.16", "Figure 4.18"]


def test_what_is_measured_of_a_set() -> None:
    """Ten live pictures with the errors 0 to 9, and attacks at 8.5 and 20: a tenth of the live ones is above 8."""
    people = ["a", "b"] * 6
    scores = AttackScores([-float(k) for k in range(10)] + [-8.5, -20.0], [None] * 10 + ["print"] * 2, people)
    found = ganomaly.SetMeasurement.of(scores)
    assert (found.live, found.attacks) == (10, 2)
    assert found.auroc.value == pytest.approx(19 / 20)
    assert found.precision == 1
    assert found.found == 1


def test_studies_change_one_setting_and_share_the_baseline(
    request_: ThesisRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "KL_WEIGHTS", (1.0, 10.0))
    monkeypatch.setattr(studies, "SHARES", (0.5, 1.0))
    weights = studies.weights(request_, quiet)
    assert [row[0] for row in weights.table.rows] == ["1", "10"]
    filters = studies.filters(request_, quiet)
    assert [row[0] for row in filters.table.rows] == ["0.0625", "0.125"]
    settings = {
        path.parent.name: json.loads(path.read_text())["settings"] for path in request_.out.glob("runs/*/run.json")
    }
    assert sorted(settings) == ["thesis-baseline-2", "thesis-weight-10-2", "thesis-width-0.0625-2"]
    base = settings["thesis-baseline-2"]
    heavier = settings["thesis-weight-10-2"]
    assert heavier["objective"]["criterion"] == {"w_rec": 1, "w_kl": 10}
    assert {**heavier, "objective": base["objective"]} == base
    assert settings["thesis-width-0.0625-2"] == {**base, "network": {"width": 0.0625}}
    assert [note.partition(":")[0] for note in weights.notes[-2:]] == ["Section 3.6.4"] * 2
    assert filters.notes[-1].startswith("Section 5.2:")


def test_mixtures_are_fitted_on_the_training_subset(shared: ThesisRequest, baseline: ThesisNetwork) -> None:
    table = studies.mixtures(shared, quiet)
    assert [row[0] for row in table.table.rows] == ["1", "2", "4", "8"], "two pictures a mode"
    pictures = ThesisPictures.of(shared)
    latents = measure(baseline, pictures, ("kl", "elbo"), shared.out).latents
    mixture = gaussian_mixture.fit(latents[pictures.subsets == "training"], 2, seed=0)
    own = mixture.log_likelihood(latents[pictures.subsets == "seen screen"]).mean()
    assert table.facts["rows"][1]["log_likelihood"]["seen screen"] == pytest.approx(own)


@pytest.mark.parametrize(
    ("table", "printed"),
    [
        ("thesis-losses", ("150000", "60000", "120000", "64", "32", "12", "table 4.2", "tables 4.7 and 4.8")),
        ("thesis-ganomaly", ("75000", "table 4.9", "16 pictures")),
        ("thesis-weights", ("w_KL", "section 3.6.4")),
        ("thesis-filters", ("width", "section 5.2")),
        ("thesis-mixtures", ("Gaussians", "figure 4.4")),
    ],
)
def test_the_command_prints_the_thesis_lines(
    table: str, printed: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", table, "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for one in printed:
        assert one in text
