"""Liveness scores against loops; higher is more likely live."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_sdk.errors import ManifestError, ScoreError
from edge_sdk.manifest import (
    DecisionHead,
    Domain,
    EmbeddingDistance,
    EvidenceLowerBound,
    Fusion,
    KlDivergence,
    LatentDistance,
    LatentLikelihood,
    LogLikelihoodRatio,
    Lowest,
    Reconstruction,
)
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

RNG = np.random.default_rng(0)
TENSORS = {
    "image": RNG.random((3, 1, 4, 5)).astype(np.float32),
    "reconstruction": RNG.random((3, 1, 4, 5)).astype(np.float32),
    "latent": RNG.normal(size=(3, 6)).astype(np.float32),
    "log_variance": RNG.normal(size=(3, 6)).astype(np.float32),
    "latent_reconstructed": RNG.normal(size=(3, 6)).astype(np.float32),
}
MIXTURE = GaussianMixture(np.array([0.4, 0.6]), RNG.normal(size=(2, 6)), RNG.uniform(0.5, 2, (2, 6)))
DENSITIES = {"gmm.npy": MIXTURE}
SQUARES = Reconstruction(input="image", output="reconstruction", norm="l2")
DISTANCE = LatentDistance(first="latent", second="latent_reconstructed")
KL = KlDivergence(mean="latent", log_variance="log_variance")
ELBO = EvidenceLowerBound(input="image", output="reconstruction", mean="latent", log_variance="log_variance")
LIKELIHOOD = LatentLikelihood(output="latent", density="gmm.npy")


def pairs(first: str, second: str, row: int) -> list[tuple[float, float]]:
    return list(zip(TENSORS[first][row].ravel().tolist(), TENSORS[second][row].ravel().tolist(), strict=True))


def test_each_score_is_its_definition() -> None:
    for row in range(3):
        pixels, latents = pairs("image", "reconstruction", row), pairs("latent", "latent_reconstructed", row)
        expected = {
            SQUARES: -sum((a - b) ** 2 for a, b in pixels) / 20,
            Reconstruction(input="image", output="reconstruction", norm="l1"): -sum(abs(a - b) for a, b in pixels) / 20,
            DISTANCE: -math.sqrt(sum((a - b) ** 2 for a, b in latents)),
            LIKELIHOOD: MIXTURE.log_likelihood(TENSORS["latent"])[row],
        }
        for score, value in expected.items():
            assert score.score(TENSORS, DENSITIES)[row] == pytest.approx(value, abs=2e-8)


def test_probabilities_of_far_logits_are_exact_and_their_odds_told_apart() -> None:
    """An engine's own sigmoid may fall, and be 0 from -18 on (``findings/engines_tails_of_sigmoid.sh``)."""
    logits = np.arange(-40, 30.25, 0.25, dtype=np.float32)
    head = DecisionHead(output="logit", activation="sigmoid")
    found = head.score({"logit": logits[:, None]})
    assert (np.diff(found) >= 0).all()
    for logit, probability in zip(logits.tolist(), found.tolist(), strict=True):
        assert probability == round(1 / (1 + math.exp(-logit)), 8)
    assert (np.diff(head.in_log_odds().score({"logit": logits[:, None]})) > 0).all()


def test_the_bound_and_its_divergence_are_their_definitions() -> None:
    """Of the divergence by numerical integration, latent by latent; of the cross entropy pixel by pixel."""
    z = np.linspace(-30, 30, 60_001)
    for row in range(3):
        divergence = 0.0
        for mean, log_variance in pairs("latent", "log_variance", row):
            log_q = -((z - mean) ** 2) / (2 * math.exp(log_variance)) - 0.5 * (math.log(2 * math.pi) + log_variance)
            log_p = -(z**2) / 2 - 0.5 * math.log(2 * math.pi)
            divergence += float((np.exp(log_q) * (log_q - log_p)).sum() * (z[1] - z[0]))
        entropy = -sum(x * math.log(y) + (1 - x) * math.log(1 - y) for x, y in pairs("image", "reconstruction", row))
        assert KL.score(TENSORS)[row] == pytest.approx(-divergence, abs=1e-6)
        assert ELBO.score(TENSORS)[row] == pytest.approx(-divergence - entropy, abs=1e-5)


def test_a_reconstruction_of_pure_black_or_white_costs_what_half_a_level_does() -> None:
    """Int8 outputs have such pixels, of which a cross entropy would be infinite."""
    zeros = {name: np.zeros((1, 2)) for name in ("latent", "log_variance")}
    score = ELBO.score({"image": np.array([[1.0, 0.0]]), "reconstruction": np.array([[0.0, 0.0]]), **zeros})
    assert score == pytest.approx([math.log(0.5 / 255) + math.log(1 - 0.5 / 255)])


def test_an_infinite_variance_is_the_worst_that_a_divergence_can_say() -> None:
    """And no warning; a detector refuses scores that are not finite."""
    assert KL.score({"latent": np.zeros((1, 2)), "log_variance": np.array([[0.0, 1000.0]])}).tolist() == [-np.inf]


def test_a_head_gives_the_probability_of_live() -> None:
    logits = np.array([[0.5, -1.0, 2.0], [900.0, 0.0, 0.0], [-900.0, 0.0, 0.0]])
    for index in range(3):
        head = DecisionHead(output="logits", activation="softmax", genuine_index=index)
        for row, found in zip(logits, head.score({"logits": logits}), strict=True):
            assert found == pytest.approx(1 / sum(math.exp(min(700, x - row[index])) for x in row), abs=1e-8)
    one = DecisionHead(output="logits", activation="sigmoid")
    assert one.score({"logits": np.array([[2.0], [0.0], [-900.0], [900.0]])}) == pytest.approx(
        [1 / (1 + math.exp(-2)), 0.5, 0, 1], abs=1e-8
    )


def test_the_live_score_higher() -> None:
    """A perfect reconstruction, equal latents and a mode's centre are as live as can be."""
    image = TENSORS["image"]
    assert SQUARES.score({"image": image, "reconstruction": image}).tolist() == [0, 0, 0]
    assert (SQUARES.score(TENSORS) < 0).all()
    same = {"latent": TENSORS["latent"], "latent_reconstructed": TENSORS["latent"]}
    assert (DISTANCE.score(same) > DISTANCE.score(TENSORS)).all()
    standard = {"latent": np.zeros((1, 6)), "log_variance": np.zeros((1, 6))}
    assert KL.score(standard) == 0
    assert (KL.score(TENSORS) < 0).all()
    near, far = ({"latent": MIXTURE.means[:1] + shift} for shift in (0, 9))
    assert LIKELIHOOD.score(near, DENSITIES) > LIKELIHOOD.score(far, DENSITIES)


def test_a_fusion_is_the_weighted_sum() -> None:
    fusion = Fusion(members=(SQUARES, DISTANCE, LIKELIHOOD), weights=(2.0, 0.5, 0.25), bias=-1.0)
    parts = [member.score(TENSORS, DENSITIES) for member in fusion.members]
    assert fusion.score(TENSORS, DENSITIES) == pytest.approx(np.dot((2.0, 0.5, 0.25), parts) - 1)
    assert fusion.outputs == ("reconstruction", "latent", "latent_reconstructed")


def test_the_lowest_is_the_strictest_expert() -> None:
    heads = tuple(DecisionHead(output=name, activation="identity") for name in ("a", "b"))
    logits = {"a": np.array([[2.0], [-1.0], [0.0]]), "b": np.array([[1.0], [3.0], [0.0]])}
    lowest = Lowest(members=heads, weights=(1.0, 2.0), biases=(0.0, -1.0))
    assert lowest.score(logits).tolist() == [1, -1, -1]  # of (2, 1), (-1, 5) and (0, -1)
    assert lowest.outputs == ("a", "b")
    assert lowest.members == heads
    with pytest.raises(ScoreError, match="not finite"):
        lowest.score(logits | {"b": np.full((3, 1), np.nan)})


def test_experts_abstain_from_what_they_do_not_know() -> None:
    """Two experts, each with a standard normal density of one feature, of which it knows what is within 2 of 0."""
    heads = tuple(DecisionHead(output=name, activation="identity") for name in ("a", "b"))
    within_two = -0.5 * math.log(2 * math.pi) - 2.0
    domains = tuple(
        Domain(likelihood=LatentLikelihood(output=name, density=f"{name}.npy"), least=within_two) for name in ("x", "y")
    )
    standard = GaussianMixture(np.ones(1), np.zeros((1, 1)), np.ones((1, 1)))
    densities = {"x.npy": standard, "y.npy": standard}
    column = np.array([[0.0], [0.0], [9.0], [9.0]])
    tensors = {"a": np.full((4, 1), 5.0), "b": np.full((4, 1), 3.0), "x": column, "y": column[[0, 2, 0, 2]]}
    lowest = Lowest(members=heads, weights=(1.0, 1.0), biases=(0.0, 0.0), domains=domains)
    assert lowest.score(tensors, densities).tolist() == [3, 5, 3, 3]  # both, a alone, b alone, and nobody: of both
    assert lowest.unfamiliar(tensors, densities).tolist() == [False, False, False, True]
    assert lowest.outputs == ("a", "b", "x", "y")
    assert lowest.density_outputs == {"x.npy": "x", "y.npy": "y"}
    assert lowest.roles == {"a": "logit", "b": "logit", "x": "latent", "y": "latent"}
    some = Lowest(members=heads, weights=(1.0, 1.0), biases=(0.0, 0.0), domains=(domains[0], None))
    assert some.score(tensors, densities).tolist() == [3, 3, 3, 3]
    assert not some.unfamiliar(tensors, densities).any()
    for score in (lowest, some):
        with pytest.raises(ScoreError, match="density x"):
            score.score(tensors)
    renamed = lowest.renamed(lambda name: f"m.{name}", lambda path: f"p.{path}")
    assert renamed.outputs == ("m.a", "m.b", "m.x", "m.y")
    assert renamed.density_outputs == {"p.x.npy": "m.x", "p.y.npy": "m.y"}
    for score in (SQUARES, LIKELIHOOD, Fusion(members=(SQUARES, DISTANCE), weights=(1.0, 1.0))):
        assert score.unfamiliar(TENSORS, DENSITIES).tolist() == [False] * 3
    with pytest.raises(ManifestError, match="a domain of each member"):
        Lowest(members=heads, weights=(1.0, 1.0), biases=(0.0, 0.0), domains=domains[:1])


def test_a_score_does_not_depend_on_the_images_beside_it() -> None:
    for score in (SQUARES, DISTANCE, LIKELIHOOD, KL, ELBO):
        together = score.score(TENSORS, DENSITIES)
        alone = [score.score({k: v[row : row + 1] for k, v in TENSORS.items()}, DENSITIES)[0] for row in range(3)]
        assert together.tolist() == alone


def test_outputs_of_the_others() -> None:
    assert EmbeddingDistance(output="a", metric="cosine").outputs == ("a",)
    assert DecisionHead(output="a", activation="sigmoid").outputs == ("a",)
    assert LogLikelihoodRatio(output="a", background="b", relevance=16.0, clip=50.0).outputs == ("a",)


@pytest.mark.parametrize(
    ("score", "changes", "message"),
    [
        (SQUARES, {"reconstruction": TENSORS["latent"]}, "cannot be compared"),
        (SQUARES, {"reconstruction": np.full((3, 1, 4, 5), np.nan)}, "not finite"),
        (SQUARES, {"image": np.zeros(3)}, "a row an image"),
        (KL, {"log_variance": TENSORS["latent"][:, :5]}, "cannot be compared"),
        (ELBO, {"reconstruction": TENSORS["latent"]}, "cannot be compared"),
        (LatentDistance(first="latent", second="z"), {}, "needs z, which is not among image, latent"),
        (LatentLikelihood(output="latent", density="other.npy"), {}, "density other.npy"),
        (DecisionHead(output="latent", activation="sigmoid"), {}, "one logit"),
        (DecisionHead(output="latent", activation="identity"), {}, "one logit"),
        (DecisionHead(output="latent", activation="softmax", genuine_index=6), {}, "none of index 6"),
        (EmbeddingDistance(output="latent", metric="cosine"), {}, "embedding_distance compares people"),
    ],
)
def test_what_cannot_be_scored(score, changes, message) -> None:
    with pytest.raises(ScoreError, match=message):
        score.score(TENSORS | changes, DENSITIES)
