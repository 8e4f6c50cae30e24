"""Scores of the device library are Python's in eight decimals."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_sdk.manifest import EmbeddingDistance, Fusion, Lowest
from edge_sdk.scoring.decision_head import DecisionHead
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture
from edge_sdk.scoring.latent import LatentLikelihood
from edge_sdk.scoring.person_model import PersonModel

from ..scoring.people import FILE, background, drawn, opened
from .hooks import Hooks
from .interface import NativeError

EVERYBODY = background(drawn(30, seed=1))
PEOPLE = drawn(6, seed=2)
MODEL = opened(EVERYBODY)
PERSON_MODEL = PersonModel(output="model.embedding", background=FILE)
NOTHING: Any = SimpleNamespace(densities={}, backgrounds={})

REFERENCES: dict[str, np.ndarray] = {
    "one": PEOPLE.of("p0")[:1],
    "two": PEOPLE.of("p0")[:2],
    "five": PEOPLE.of("p0")[:5],
    "sixteen": PEOPLE.of("p0"),
    "one several times": np.repeat(PEOPLE.of("p0")[:1], 4, axis=0),
    "two, of which one nearly repeats": np.vstack([PEOPLE.of("p0")[:3], PEOPLE.of("p0")[:1] * 1.0001]),
    "a stranger among them": np.vstack([PEOPLE.of("p0")[:5], PEOPLE.of("p4")[:1]]),
    "a forgery among them": np.vstack([PEOPLE.of("p0")[:4], PEOPLE.of("p0", genuine=False)[:1]]),
    "of two people": np.vstack([PEOPLE.of("p0")[:3], PEOPLE.of("p1")[:3]]),
    "tiny and huge": PEOPLE.of("p0")[:3] * np.array([[1e-30], [1.0], [1e30]], np.float32),
}
QUERIES = [PEOPLE.of("p0")[0], PEOPLE.of("p0")[9], PEOPLE.of("p0", genuine=False)[0], PEOPLE.of("p3")[2]]


@pytest.mark.parametrize("references", REFERENCES)
def test_a_model_of_a_person_scores_as_python_does(hooks: Hooks, references: str) -> None:
    rows = REFERENCES[references].astype(np.float32)
    for query in QUERIES:
        expected = PERSON_MODEL.compare(PERSON_MODEL.enroll(rows, MODEL), query[None], MODEL)
        score, raw = hooks.compare(PERSON_MODEL, EVERYBODY.encode(), rows, query)
        assert score == pytest.approx(expected.score, abs=2e-8)
        assert raw == pytest.approx(expected.raw, abs=2e-6)


@pytest.mark.parametrize("rule", ["mean_score", "max_score", "mean_embedding"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("references", ["one", "five", "a stranger among them", "tiny and huge"])
def test_distances_score_as_pythons(hooks: Hooks, metric: str, rule: str, references: str) -> None:
    score = EmbeddingDistance(output="model.embedding", metric=metric, references=rule)  # type: ignore[arg-type]
    rows = REFERENCES[references].astype(np.float32)
    for query in QUERIES:
        expected = score.compare(rows, query[None], NOTHING)
        found = hooks.compare(score, b"", rows, query)
        assert found == pytest.approx((expected.score, expected.raw), abs=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("where", ["reference", "query"])
@pytest.mark.parametrize("kind", ["distance", "person_model"])
def test_what_is_no_embedding_has_no_score(hooks: Hooks, kind: str, where: str, bad: float) -> None:
    score = PERSON_MODEL if kind == "person_model" else EmbeddingDistance(output="model.embedding", metric="cosine")
    rows, query = PEOPLE.of("p0")[:2].copy(), PEOPLE.of("p0")[3].copy()
    (rows[1] if where == "reference" else query)[:] = bad
    with pytest.raises(NativeError):
        hooks.compare(score, EVERYBODY.encode(), rows, query)


def test_embeddings_of_another_length_than_the_backgrounds_have_no_score(hooks: Hooks) -> None:
    rows = np.hstack([PEOPLE.of("p0")[:2]] * 2)
    with pytest.raises(NativeError, match="another length"):
        hooks.compare(PERSON_MODEL, EVERYBODY.encode(), rows, rows[0])


def test_opposite_references_have_no_mean_embedding(hooks: Hooks) -> None:
    score = EmbeddingDistance(output="model.embedding", metric="cosine", references="mean_embedding")
    rows = np.array([[1, 0], [-1, 0]], np.float32)
    with pytest.raises(NativeError, match="opposite"):
        hooks.compare(score, b"", rows, rows[0])


def damaged() -> dict[str, bytes]:
    data = EVERYBODY.encode()
    return {
        "cut": data[:-1],
        "longer": data + b"\0",
        "empty": b"",
        "another magic": b"X" + data[1:],
        "no values": data[:18] + b"\0\0" + data[20:],
        "wide values": data[:20] + b"\3\0" + data[22:],
        "no people": data[:22] + bytes(4) + data[26:],
        "no scatter": data[:26] + bytes(8) + data[34:],
        "NaN": data[:26] + np.float64(np.nan).tobytes() + data[34:],
    }


@pytest.mark.parametrize("damage", damaged())
def test_a_damaged_background_is_refused(hooks: Hooks, damage: str) -> None:
    with pytest.raises(NativeError) as refused:
        hooks.compare(PERSON_MODEL, damaged()[damage], REFERENCES["one"], QUERIES[0])
    assert refused.value.status == "BUNDLE"


@pytest.mark.parametrize("score", ["llr", "decision_head", "nothing"])
def test_people_are_compared_by_known_scores_alone(hooks: Hooks, score: str) -> None:
    with pytest.raises(NativeError, match=score) as refused:
        hooks.compare({"kind": score}, b"", REFERENCES["one"], QUERIES[0])
    assert refused.value.status == "UNSUPPORTED"


# --- liveness ---

RNG = np.random.default_rng(7)
MIXTURE = GaussianMixture(
    np.array([0.25, 0.75], np.float32).astype(float),
    RNG.normal(size=(2, 5)).astype(np.float32).astype(float),
    RNG.uniform(0.1, 2, (2, 5)).astype(np.float32).astype(float),
)
TENSORS = {
    "model.first": np.array([[0.7]], np.float32),
    "model.second": np.array([[-2.5]], np.float32),
    "model.classes": np.array([[0.2, 3.0, -1.0]], np.float32),
    "model.latent": RNG.normal(size=(1, 5)).astype(np.float32),
}
FIRST = DecisionHead(output="model.first", activation="identity")
SECOND = DecisionHead(output="model.second", activation="sigmoid")
CLASSES = DecisionHead(output="model.classes", activation="softmax", genuine_index=1)
LIKELIHOOD = LatentLikelihood(output="model.latent", density="joint.npy")
LIVENESS = {
    "logit": FIRST,
    "probability": SECOND,
    "class": CLASSES,
    "likelihood": LIKELIHOOD,
    "lowest": Lowest(members=(FIRST, SECOND), weights=(2.0, 0.5), biases=(-1.0, 3.0)),
    "fusion": Fusion(members=(LIKELIHOOD, CLASSES), weights=(0.25, -4.0), bias=1.5),
}


def short(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix("model."): one for name, one in tensors.items()}


@pytest.mark.parametrize("kind", LIVENESS)
def test_liveness_scores_as_pythons(hooks: Hooks, kind: str) -> None:
    score = LIVENESS[kind]
    expected = float(score.score(TENSORS, {"joint.npy": MIXTURE})[0])
    found, low, high = hooks.liveness(score, MIXTURE.encode(), short(TENSORS))
    assert found == pytest.approx(expected, abs=2e-8)
    assert (low, high) == pytest.approx(score.range)


def test_far_away_latents_have_a_finite_score(hooks: Hooks) -> None:
    far = {"latent": np.full((1, 5), 1e6, np.float32)}
    found, _, _ = hooks.liveness(LIKELIHOOD, MIXTURE.encode(), far)
    assert math.isfinite(found)


@pytest.mark.parametrize("kind", LIVENESS)
@pytest.mark.parametrize("damage", ["nan", "missing", "longer"])
def test_numbers_that_cannot_be_scored_are_an_error_of_the_engine(hooks: Hooks, kind: str, damage: str) -> None:
    tensors = short(TENSORS)
    for name in tensors:
        if damage == "nan":
            tensors[name] = np.full_like(tensors[name], np.nan)
        elif damage == "longer":
            tensors[name] = np.zeros((1, 1 if name == "classes" else 9), np.float32)
    with pytest.raises(NativeError) as refused:
        hooks.liveness(LIVENESS[kind], MIXTURE.encode(), {} if damage == "missing" else tensors)
    assert refused.value.status == "ENGINE"


@pytest.mark.parametrize(
    "data",
    [b"", MIXTURE.encode()[:-4], MIXTURE.encode() + bytes(4), MIXTURE.encode().replace(b"<f4", b"<f8"),
     MIXTURE.encode().replace(b"(2, 11)", b"(3, 11)"), MIXTURE.encode()[:-4] + np.float32(np.nan).tobytes(),
     MIXTURE.encode()[:-4] + np.float32(-1).tobytes()],
    ids=["empty", "cut", "longer", "another type", "another shape", "NaN", "a variance below 0"],
)  # fmt: skip
def test_a_damaged_density_is_refused(hooks: Hooks, data: bytes) -> None:
    with pytest.raises(NativeError) as refused:
        hooks.liveness(LIKELIHOOD, data, short(TENSORS))
    assert refused.value.status == "BUNDLE"


@pytest.mark.parametrize("kind", ["reconstruction", "kl", "elbo", "latent_distance", "embedding_distance"])
def test_liveness_is_scored_by_known_scores_alone(hooks: Hooks, kind: str) -> None:
    with pytest.raises(NativeError, match=kind) as refused:
        hooks.liveness({"kind": kind}, b"", short(TENSORS))
    assert refused.value.status == "UNSUPPORTED"
