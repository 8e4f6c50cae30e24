"""Samples of many rows, as walks are of many cycles: every row counts, in enrolment and in comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_sdk import Verifier, modalities
from edge_sdk.bundle import Bundle, BundleWriter
from edge_sdk.errors import EngineError, TemplateError, UnusableSampleError, UsageError
from edge_sdk.manifest import (
    DataLicense,
    Golden,
    Graph,
    Input,
    LogLikelihoodRatio,
    Manifest,
    Output,
    Rate,
    SensorStream,
    TrainingProvenance,
    Variant,
    VerifyPoint,
)
from edge_sdk.modalities import Prepared
from edge_sdk.runtime import Shots
from edge_sdk.runtime.template import GaussianMixtureTemplate
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

from .. import fake_engine
from ..fake_engine import FakeModel

pytestmark = pytest.mark.usefixtures("fake_engine", "windows")

SHAPE, DIM = (4, 3), 6
MODEL = msgspec.json.encode(FakeModel(shape=SHAPE, input="window", output="features", dim=DIM))
SCORE = LogLikelihoodRatio(output="model.features", background="ubm.npy", relevance=1.0, clip=5.0, enrolment=6)


@dataclass(frozen=True)
class Windows:
    """Samples ``float32 (N, 4, 3)`` of N rows; without any, they are flagged."""

    name: str = "windows"
    suffixes: frozenset[str] = frozenset()
    flags: tuple[str, ...] = ("none_found",)
    blocking: tuple[str, ...] = ("none_found",)

    def decode(self, source: Any) -> Any:
        return source

    def prepare(self, operations: Sequence[Any], raw: np.ndarray, source: Any) -> Prepared:
        flags = () if len(raw) else self.flags
        return Prepared(raw, flags, flags, batched=True)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(modalities.MODALITIES, "windows", Windows())


def sample(person: int, rows: int, seed: int = 0) -> np.ndarray:
    mean = np.random.default_rng(person).normal(size=SHAPE)
    noise = np.random.default_rng((person, rows, seed)).normal(size=(rows, *SHAPE))
    return (mean + 0.3 * noise).astype(np.float32)


def features(samples: np.ndarray) -> np.ndarray:
    return fake_engine.load(MODEL, threads=1).run({"window": samples})["features"]


EVERYBODY = features(np.concatenate([sample(person, 20) for person in range(50, 100)])).astype(np.float64)
BACKGROUND = GaussianMixture(np.ones(1), EVERYBODY.mean(axis=0)[None], EVERYBODY.var(axis=0)[None]).rounded()
MODELS: Any = SimpleNamespace(densities={"ubm.npy": BACKGROUND})


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    rate = Rate(value=0.01, low=0.0, high=0.02, errors=1, trials=100)
    point = VerifyPoint(name="eer", threshold=0.2, target=None, fmr=rate, fnmr=rate, data="made up", subjects=9)
    with BundleWriter(tmp_path / "windows") as writer:
        return writer.finish(
            Manifest(
                name="windows",
                version="1.0",
                task="verify",
                modality="windows",
                source=SensorStream(channels=("x", "y", "z"), rate_hz=100.0, window_s=0.04, hop_s=0.04),
                preprocessing=(),
                graphs=(
                    Graph(
                        name="model",
                        inputs=(Input(name="window", shape=("batch", *SHAPE)),),
                        outputs=(Output(name="features", shape=("batch", DIM), role="features"),),
                        files={"fp32.onnx": writer.add("model.onnx", MODEL)},
                    ),
                ),
                score=SCORE,
                variants=(Variant(precision="fp32", format="onnx", operating_points=(point,)),),
                training=TrainingProvenance(
                    recipe="tiny", preset="none", data=(), seed=0, steps=0, commit="none", versions={}
                ),
                data_license=DataLicense(commercial_use=True, statement="made up"),
                golden=Golden(inputs=(), scores={}, tolerance={}),
                embedding_space_id="space",
                auxiliary=(writer.add("ubm.npy", BACKGROUND.encode()),),
            )
        )


def score(references: np.ndarray, query: np.ndarray) -> float:
    return SCORE.compare(SCORE.enroll(features(references), MODELS), features(query), MODELS).score


def test_rows_of_one_and_of_many() -> None:
    picture, walk = np.zeros((1, 8, 8), np.float32), np.zeros((5, 4, 3), np.float32)
    assert Prepared(picture).rows.shape == (1, 1, 8, 8)
    assert Prepared(walk, batched=True).rows.shape == (5, 4, 3)


def test_every_row_is_enrolled_and_compared(bundle: Bundle) -> None:
    first, second, query, more = sample(1, 6), sample(1, 9), sample(1, 7), sample(1, 3)
    with Verifier(bundle, engine="fake") as verifier:
        template = verifier.enroll([first, second])
        assert isinstance(template, GaussianMixtureTemplate)
        assert template.count == 15
        both = np.concatenate([first, second])
        assert verifier.verify(template, query).score == pytest.approx(score(both, query), abs=1e-6)
        assert verifier.verify([first, second], query).score == verifier.verify(template, query).score
        assert verifier.verify(first, query).score == pytest.approx(score(first, query), abs=1e-6)
        pooled = score(both, np.concatenate([query, more]))
        assert verifier.verify(template, [query, more]).score == pytest.approx(pooled, abs=1e-6), "a list of walks"
        assert verifier.embed([first, second]).shape == (15, DIM)
        embedded = verifier.embed(both), verifier.embed(query)
        assert verifier.compare(*embedded).score == verifier.verify(template, query).score
        assert verifier.verify(template, query)
        assert not verifier.verify(template, sample(3, 7))


def test_a_person_is_found_among_many(bundle: Bundle) -> None:
    with Verifier(bundle, engine="fake") as verifier:
        templates = {f"p{person}": verifier.enroll(sample(person, 12)) for person in range(30)}
        gallery = verifier.gallery(templates)
        for person in (3, 17):
            probe = sample(person, 8)
            result = verifier.identify(probe, gallery, count=2)
            assert result.identity == f"p{person}"
            assert result.score == verifier.verify(templates[f"p{person}"], probe).score
            split = [probe[:3], probe[3:]]
            assert verifier.identify(split, gallery, count=2).candidates == result.candidates


def test_what_blocks_never_reaches_the_engine(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = sample(1, 0)
    with Verifier(bundle, engine="fake") as verifier:
        template = verifier.enroll(sample(1, 6))
        monkeypatch.setattr(verifier._model, "run", lambda _: pytest.fail("the engine was asked"))
        for result in (
            verifier.verify(template, nothing),
            verifier.verify(nothing, sample(1, 6)),
            verifier.verify([sample(1, 6), nothing], sample(1, 6)),
            verifier.verify(template, [sample(1, 6), nothing]),
            verifier.identify(nothing, {"a": template}),
        ):
            assert (result.decision, result.score, result.quality) == (False, -5.0, ("none_found",))
        with pytest.raises(UnusableSampleError, match="reference 2 of 2: none_found"):
            verifier.enroll([sample(1, 6), nothing])
        with pytest.raises(UnusableSampleError, match="nothing to look at"):
            verifier.embed(nothing)
        with pytest.raises(UsageError, match="takes no pictures"):
            verifier.verify(template, Shots([nothing]))


def test_rows_that_are_nobodys_are_never_accepted(bundle: Bundle) -> None:
    with Verifier(bundle, engine="fake") as verifier:
        template = verifier.enroll(sample(1, 6))
        assert verifier.verify(template, np.full((5, *SHAPE), 1e30, np.float32)).score == -5.0
        with pytest.raises(EngineError, match=r"cannot be enrolled: .* far from those of everybody"):
            verifier.enroll(np.full((6, *SHAPE), 1e30, np.float32))
        other = GaussianMixture(np.full(2, 0.5), np.zeros((2, DIM)), np.ones((2, DIM)))
        fields = {name: getattr(template, name) for name in ("embedding_space_id", "variant_id", "variant_sha256")}
        foreign = GaussianMixtureTemplate.of(other, bundle_name="windows", count=5, **fields)
        with pytest.raises(TemplateError, match="not enrolled with this bundle"):
            verifier.verify(foreign, sample(1, 6))


def test_too_few_rows_are_not_enrolled(bundle: Bundle) -> None:
    few = sample(1, 3)
    with Verifier(bundle, engine="fake") as verifier:
        for call in (lambda: verifier.enroll([few, few[:2]]), lambda: verifier.verify(few, sample(1, 6))):
            with pytest.raises(UnusableSampleError, match=r"[35] cycles to enrol, 6 are needed"):
                call()
        assert verifier.enroll([few, few]).count == 6
        assert verifier.verify(verifier.enroll(sample(1, 6)), few).score > 0, "a query may have fewer"
