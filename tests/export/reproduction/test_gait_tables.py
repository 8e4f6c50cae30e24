"""Document 000's tables on made-up users: right figures, right rows, and nothing done twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score
from torch import nn

from edge_sdk.cli import main
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.networks.people_classifier import PeopleClassifier
from edge_sdk.export.reproduction import gait_table1, gait_table2, gait_table3
from edge_sdk.export.reproduction.densities import KINDS, DensityKind
from edge_sdk.export.reproduction.gait import (
    GaitRequest,
    TrainedNetwork,
    Walks,
    features,
    measure_norms,
    split_walks,
    train,
)
from edge_sdk.export.reproduction.gait_table2 import Enrolments, UserLikelihoods
from edge_sdk.export.reproduction.gait_table3 import Components

USERS = ("u/1", "u/2", "u/3", "u/4", "u/5", "u/6")
WIDTH = 6


def quiet(_line: str) -> None:
    """Nobody listens."""


def walks(seed: int, count: int) -> Walks:
    """So many walks of ten cycles of each user, whose features lie round the user's own point."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(len(USERS), WIDTH)) * 2
    users = np.repeat(USERS, 10 * count)
    names = np.array([f"{user}-{seed}-{walk}" for user in USERS for walk in range(count) for _ in range(10)])
    features = centres[np.repeat(np.arange(len(USERS)), 10 * count)] + rng.normal(size=(len(users), WIDTH))
    return Walks(users, names, features.astype(np.float32), np.zeros((len(users), len(USERS)), np.float32))


@pytest.fixture
def trained(tmp_path: Path) -> TrainedNetwork:
    """A network that was never trained, and made-up features."""
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    torch.manual_seed(0)
    network = PeopleClassifier(nn.Sequential(nn.Flatten(), nn.Linear(400, WIDTH)), WIDTH, people=len(USERS)).eval()
    return TrainedNetwork("made up", 1, USERS, walks(1, 8), walks(2, 2), network, weights)


def request_in(tmp_path: Path, **options: object) -> GaitRequest:
    return replace(GaitRequest(tmp_path / "out", ("walks:6",), folds=3, tiny=True), **options)


# --- table 1 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_figures_equal_scikit_learns_macro_averages(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, given = rng.integers(0, 5, 60), rng.integers(0, 4, 60)  # nothing is given to the last one
    confusion = np.zeros((5, 5))
    np.add.at(confusion, (true, given), 1)
    for taken in (np.ones(5, bool), np.array([True, True, False, True, False])):
        found = [value.item() for value in gait_table1.figures(confusion, taken[None].astype(float))]
        rows, labels = taken[true], np.flatnonzero(taken)
        drawn = true[rows], given[rows]
        macro = {"labels": labels, "average": "macro", "zero_division": 0}
        precision, recall = precision_score(*drawn, **macro), recall_score(*drawn, **macro)
        assert found == pytest.approx(
            [
                accuracy_score(*drawn),
                precision,
                recall,
                f1_score(*drawn, **macro),
                2 * precision * recall / (precision + recall),
            ]
        )


def test_the_documents_f1_is_that_of_its_mean_precision_and_recall() -> None:
    for _, precision, recall, f1 in gait_table1.PRINTED.values():
        assert 2 * precision * recall / (precision + recall) == pytest.approx(f1, abs=2e-4)


def test_cycles_and_whole_walks_are_given_to_users() -> None:
    """Two users; of the second one's walk two cycles of three are mistaken, but the third is sure."""
    logits = np.array([[3, 0], [3, 0], [1, 0], [1, 0], [0, 9]], np.float32)
    test = Walks(
        np.array(list("aabbb")), np.array(["a1", "a2", "b1", "b1", "b1"]), np.zeros((5, 1), np.float32), logits
    )
    found = gait_table1.measure("mlp", 7, ("a", "b"), test)
    assert (found.preset, found.steps, found.users, found.walks, found.cycles) == ("mlp", 7, 2, 3, 5)
    assert found.accuracy.value == pytest.approx(3 / 5)
    assert found.precision.value == pytest.approx((2 / 4 + 1) / 2)
    assert found.recall.value == pytest.approx((1 + 1 / 3) / 2)
    assert found.f1.value == pytest.approx((2 * 2 / 6 + 2 * 1 / 4) / 2)
    assert found.by_walk.value == 1
    assert (found.recall.low, found.recall.high) == pytest.approx((1 / 3, 1))


def test_one_walk_of_five_of_each_user_is_held_out() -> None:
    samples = [
        Sample("w", user, genuine=True, path=Path(f"{user}-{k}.csv"), modality="gait")
        for user, count in (("a", 5), ("b", 11))
        for k in range(1, count + 1)
    ]
    learned, held_out = split_walks(Dataset("w", tuple(samples)))
    assert [sample.path.stem for sample in held_out.samples] == ["a-5", "b-5", "b-10"]
    assert sorted((*learned.samples, *held_out.samples), key=str) == sorted(samples, key=str)
    with pytest.raises(DatasetError, match="a has 4 walks"):
        split_walks(Dataset("w", tuple(samples[1:])))


def test_networks_are_trained_and_tested_once(tmp_path: Path) -> None:
    request = request_in(tmp_path, presets=("mlp",), steps=2)
    first = gait_table1.reproduce(request, quiet)
    written = next((request.out / "measured").glob("*.json"))
    before = [path.stat().st_mtime_ns for path in request.out.glob("runs/*/*.safetensors")]
    assert gait_table1.reproduce(request, quiet).as_dict() == first.as_dict()
    assert before == [path.stat().st_mtime_ns for path in request.out.glob("runs/*/*.safetensors")]
    record = json.loads(next(request.out.glob("runs/*/run.json")).read_text())
    assert set(record["train"]) == set(load("walks:6").subjects)
    assert not set(record["train"]) & set(record["validation"])
    rows = first.table.rows
    assert [row[:2] for row in rows[:2]] == [
        ("feed-forward MLP", "the paper"),
        ("feed-forward MLP", "ours, mlp, 2 steps"),
    ]
    facts = json.loads(written.read_text())
    assert (facts["users"], facts["steps"]) == (6, 2)
    learned = train(request, "mlp", quiet)
    assert not set(learned.train.walks) & set(learned.test.walks)
    assert learned.train.features.shape[1] == learned.test.features.shape[1]
    assert learned.test.logits.shape[1] == len(learned.users) == 6
    (run,) = request.out.glob("runs/*")
    again = features(replace(request, run=run), quiet)
    assert np.array_equal(again.train.walks, learned.train.walks)
    assert again.train.features.shape == learned.train.features.shape
    assert again.name == "gait (mlp), 2 steps on all walks of 6 of the users"


def test_batch_norms_have_the_statistics_of_all_rows(trained: TrainedNetwork) -> None:
    rows = np.random.default_rng(0).normal(3, 2, (100, 4, 100)).astype(np.float32)
    with torch.no_grad():
        made = trained.network.features(torch.from_numpy(rows))
    measure_norms(trained.network, rows, seed=0)
    torch.testing.assert_close(trained.network.norm.running_mean, made.mean(dim=0))
    torch.testing.assert_close(trained.network.norm.running_var, made.var(dim=0))


# --- table 2 ----------------------------------------------------------------------------------------------------------


def test_a_user_is_measured_against_everybody_in_the_other_folds(tmp_path: Path, trained: TrainedNetwork) -> None:
    enrolments = Enrolments.of(request_in(tmp_path), trained)
    assert [enrolments.population(user) for user in USERS[:2]] == [
        ["u/2", "u/3", "u/5", "u/6"],
        ["u/1", "u/3", "u/4", "u/6"],
    ]
    found = enrolments.measured("gmm", "u/1")
    learned, test = trained.train, trained.test
    project = enrolments.projection.apply
    projected = project(learned.features)
    assert projected.var(axis=0, ddof=1) == pytest.approx(np.ones(enrolments.projection.dims))
    everybody, own = enrolments.densities("gmm", "u/1")
    others = np.isin(test.users, ["u/2", "u/3", "u/5", "u/6"])
    for values, density in ((found.population, everybody), (found.adapted, own)):
        assert values[0] == pytest.approx(density.log_likelihood(project(test.features[others])).mean())
        assert values[1] == pytest.approx(density.log_likelihood(project(test.features[test.users == "u/1"])).mean())
        assert values[2] == pytest.approx(density.log_likelihood(enrolments.sinusoids).mean())
    assert found.adapted[1] > found.population[1], "the user's own cycles are likelier under the user's density"


def test_rows_that_stop_a_fit_are_of_other_walks(tmp_path: Path, trained: TrainedNetwork) -> None:
    enrolments = Enrolments.of(request_in(tmp_path), trained)
    rows = enrolments.fitted(["u/1", "u/4"])
    assert (len(rows.learned), len(rows.held_out)) == (2 * 60, 2 * 20)
    stopping = {"u/1-1-2", "u/1-1-7", "u/4-1-2", "u/4-1-7"}
    expected = enrolments.projection.apply(trained.train.features[np.isin(trained.train.walks, list(stopping))])
    assert rows.held_out == pytest.approx(expected)


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_in(tmp_path)
    monkeypatch.setattr(gait_table2, "features", lambda *_: trained)
    fits: list[str] = []

    def counted(name: str, kind: DensityKind) -> DensityKind:
        def fit(*arguments: object, **options: object) -> object:
            fits.append(name)
            return kind.fit(*arguments, **options)

        return replace(kind, fit=fit)

    monkeypatch.setattr(gait_table2, "KINDS", {name: counted(name, kind) for name, kind in KINDS.items()})
    lines: list[str] = []
    some = gait_table2.reproduce(replace(request, users=("u/1", "u/4")), lines.append)
    assert fits == list(KINDS), "both users are in one fold"
    assert lines[0] == "u/1: GMM, user 1 of 2"
    everybody = gait_table2.reproduce(request, quiet)
    assert fits == [*KINDS, *KINDS, *KINDS]
    assert everybody.facts["rows"][: len(KINDS)] == some.facts["rows"][: len(KINDS)]
    (removed,) = request.out.glob("densities/*/realnvp-u-1.json")
    removed.unlink()
    assert gait_table2.reproduce(request, quiet).as_dict() == everybody.as_dict()
    assert len(fits) == 3 * len(KINDS), "the population's density was kept"
    trained.weights.write_bytes(b"others")
    gait_table2.reproduce(replace(request, users=("u/1",)), quiet)
    assert len(fits) == 4 * len(KINDS), "other weights, other densities"


@pytest.mark.parametrize("options", [{"folds": 1}, {"folds": 7}, {"users": ("u/9",)}])
def test_what_cannot_be_enrolled(tmp_path: Path, trained: TrainedNetwork, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"folds or more|no such user"):
        Enrolments.of(request_in(tmp_path, **options), trained)


def test_sinusoids_are_three_axes_and_their_magnitude() -> None:
    made = gait_table2.sinusoids(20, seed=1)
    assert made.shape == (20, 4, 100)
    assert made[:, 3] == pytest.approx(np.sqrt((made[:, :3] ** 2).sum(axis=1)), abs=1e-6)
    assert np.abs(made[:, :3]).max() <= 1
    assert np.array_equal(made, gait_table2.sinusoids(20, seed=1))


def test_orderings_are_judged_by_their_intervals() -> None:
    """GMM: adapted is 3 above on every user's own cycles, and on the population's it is not clear."""
    gmm = [
        UserLikelihoods(f"u{k}", "gmm", (1.0 + k, 2.0 * k, -9), (1.0 + k + (-1) ** k, 2.0 * k + 3, -9))
        for k in range(6)
    ]
    maf = [UserLikelihoods(f"u{k}", "maf", (k - 1.0, 2.0 * k, -9), (1.0 * k, 2.0 * k, -9)) for k in range(6)]
    found = gait_table2.orderings([*gmm, *maf])
    assert found[0] == (
        "GMM: user adapted minus population, on the user's cycles: 3.00 [3.00, 3.00], in the document +16.1: as in the "
        "document."
    )
    assert found[1].endswith("in the document -0.2: undecided here.")
    assert found[3] == (
        "MAF: user adapted minus population, on the population's cycles: 1.00 [1.00, 1.00], in the document +8.3: "
        "as in the document."
    )
    assert found[4] == (
        "MAF minus GMM, population's density on the population's cycles: -2.00 [-2.00, -2.00], in the document +81.2: "
        "the other way round."
    )


# --- table 3 and the figures ------------------------------------------------------------------------------------------


def test_components_equal_scikit_learns() -> None:
    some = walks(1, 4)
    found = Components.fit(some.features, some.users, replicates=20)
    expected = PCA(2).fit(some.features.astype(np.float64))
    assert np.sqrt(found.variances[:2] * (found.rows - 1)) == pytest.approx(expected.singular_values_)
    assert [x.value for x in found.bounds[:2]] == pytest.approx(expected.explained_variance_)
    assert [x.value for x in found.bounds[2:]] == pytest.approx(expected.explained_variance_ratio_)
    assert np.abs(found.plane(some.features)) == pytest.approx(
        np.abs(expected.transform(some.features.astype(np.float64))), abs=1e-4
    )


def test_a_resample_of_users_takes_all_their_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    some = walks(1, 2)
    weights = np.array([[2.0, 0, 1, 3, 0, 0]])
    monkeypatch.setattr(gait_table3, "draw_subjects", lambda *_: np.repeat(weights, 2, axis=0))
    rows = np.concatenate([np.flatnonzero(some.users == user) for user in ("u/1",) * 2 + ("u/3",) + ("u/4",) * 3])
    variances = np.linalg.eigvalsh(np.cov(some.features[rows].astype(np.float64).T))[::-1]
    for value, bound in zip(variances[:2], Components.fit(some.features, some.users).bounds, strict=False):
        assert value == pytest.approx(bound.low if value < bound.value else bound.high)


def test_table_3_and_both_figures(tmp_path: Path, trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gait_table3, "features", lambda *_: trained)
    monkeypatch.setattr(gait_table3, "REPLICATES", 5)
    request = request_in(tmp_path, users=("u/2",))
    table = gait_table3.reproduce(request, quiet)
    assert [row[0] for row in table.table.rows] == list(gait_table3.PRINTED)
    assert {len(row) for row in table.table.rows} == {5}
    for number in (1, 2):
        assert (request.out / f"gait-figure{number}.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("table", "figures"),
    [
        ("gait-table1", ("0.2837", "0.3131", "0.5635", "0.5474")),
        ("gait-table2", ("1568.9", "1717.3", "-695.2", "1856.3", "-651.5", "1862.1")),
        ("gait-table3", ("7076.8780", "5632.2750", "500.8270", "317.2283", "0.0883", "0.0559")),
    ],
)
def test_the_command_prints_the_documents_figures(
    table: str, figures: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", table, "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for figure in figures:
        assert figure in text
