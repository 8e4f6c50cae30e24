"""Densities fitted without the person who is scored: by loops, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.evaluation.spoof.cameras import camera_separations
from edge_sdk.export.evaluation.spoof.leave_one_out import LEAST, rescored
from edge_sdk.export.evaluation.spoof.samples import ScoredSample
from edge_sdk.manifest import DecisionHead, LatentLikelihood
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

SCORE = LatentLikelihood(output="model.latent", density="latent.npy")
DENSITIES = {"latent.npy": GaussianMixture(np.ones(1), np.zeros((1, 2)), np.ones((1, 2)))}


def picture(data: str, person: int, number: int, attack: str | None = None) -> ScoredSample:
    """Two latents about (person, 0), of attacks about (9, 9); a data set "dim" is about ten times as far out."""
    rng = np.random.default_rng((person, number, len(data), attack is not None))
    middle = np.array([person, 0.0]) if attack is None else np.full(2, 9.0)
    latent = (10 if "dim" in data else 1) * (middle + rng.normal(0, 0.5, 2))
    name, file = f"{data.removeprefix('print+')}/{person}", Path(f"{number}.png")
    sample = Sample(data, name, attack is None, file, attack, modality="face")
    return ScoredSample(sample, score=0.0, tensors={"model.latent": latent[None]})


def camera(data: str, attacks: str) -> list[ScoredSample]:
    live = [picture(data, person, number) for person in range(3) for number in range(30)]
    return live + [picture(attacks, person, number, "print") for person in range(3) for number in range(2)]


def test_each_person_is_scored_by_the_others_of_its_camera() -> None:
    pictures = [*camera("bright", "bright"), *camera("dim", "print+dim")]
    found = rescored(pictures, SCORE, DENSITIES)
    assert [one.sample for one in found] == [one.sample for one in pictures]
    for one in found[:: len(found) // 7]:
        place, person = one.sample.dataset.removeprefix("print+"), one.sample.subject
        others = np.concatenate([
            other.tensors["model.latent"] for other in pictures
            if other.sample.genuine and other.sample.dataset == place and other.sample.subject != person
        ])  # fmt: skip
        density = multivariate_normal(others.mean(axis=0), np.diag(others.var(axis=0)))
        assert one.score == pytest.approx(float(density.logpdf(one.tensors["model.latent"][0])), rel=1e-4)
    live, attacks = ([one.score for one in found if one.sample.genuine == genuine] for genuine in (True, False))
    assert min(live) > max(attacks)


def test_a_picture_without_a_score_takes_no_part() -> None:
    pictures = camera("bright", "bright")
    missing = ScoredSample(pictures[0].sample, flags=("too_dark",))
    found = rescored([missing, *pictures[1:]], SCORE, DENSITIES)
    assert not found[0].scored
    without = rescored(pictures[1:], SCORE, DENSITIES)
    assert [one.score for one in found[1:]] == [one.score for one in without]


def test_what_cannot_be_fitted_is_refused() -> None:
    few = [one for one in camera("bright", "bright") if one.sample.subject != "bright/2"]
    assert len(few) < 2 * LEAST
    with pytest.raises(UsageError, match=f"30 live pictures of others than bright/0 are too few .* {LEAST}"):
        rescored(few, SCORE, DENSITIES)
    with pytest.raises(UsageError, match="decision_head has no density"):
        rescored(few, DecisionHead(output="model.logit", activation="sigmoid"), {})


def test_a_camera_that_was_not_learned() -> None:
    """By the bundle's own density the attacks, which lie at (9, 9), are further out than all live faces are."""
    pictures = camera("bright", "bright")
    data = Dataset("bright", tuple(one.sample for one in pictures))
    own, refitted = camera_separations(data, [one.tensors for one in pictures], SCORE, DENSITIES)
    assert [(one.data, one.density, one.subjects) for one in (own, refitted)] == [
        ("bright", "own", 3), ("bright", "refitted", 3),
    ]  # fmt: skip
    assert (own.auroc, refitted.auroc) == (1.0, 1.0)
    far = [one.tensors["model.latent"] + (30 if one.sample.genuine else 0) for one in pictures]  # further than attacks
    own, refitted = camera_separations(data, [{"model.latent": row} for row in far], SCORE, DENSITIES)
    assert ((own.auroc, own.low, own.high), refitted.auroc) == ((0.0, 0.0, 0.0), 1.0)
    with pytest.raises(DatasetError, match="live faces alone, or attacks alone"):
        list(camera_separations(Dataset("bright", data.samples[:90]), [], SCORE, DENSITIES))
