"""A score is one file and a line of the manifest's union: two made-up ones, from the manifest to the decision."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from edge_sdk import SpoofDecision, SpoofDetector, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError, ManifestError, ScoreError
from edge_sdk.manifest import (
    DecisionHead,
    Image,
    Input,
    Manifest,
    Output,
    Rate,
    Role,
    Score,
    SpoofPoint,
    Task,
    decode,
    encode,
    model,
)
from edge_sdk.manifest.scores import AnyScore
from edge_sdk.runtime import Verifier
from edge_sdk.scoring.base import Comparison, rows

from ..bundle.made import reseal
from ..fake_engine import FakeModel

pytestmark = pytest.mark.usefixtures("fake_engine")
Maker = Callable[..., Bundle]


class Spread(Score, frozen=True, kw_only=True, tag="spread"):
    """The standard deviation of features: a flat picture is no face."""

    tasks: ClassVar[tuple[Task, ...]] = ("spoof",)

    output: str

    @property
    def roles(self) -> Mapping[str, Role]:
        return {self.output: "features"}

    def check(self, interface: Any, task: Task) -> None:
        interface.output(self.output, "features")

    def renamed(self, tensors: Any, files: Any = str) -> Spread:
        return msgspec.structs.replace(self, output=tensors(self.output))

    def _score(self, tensors: Any, densities: Any) -> Any:
        return rows(tensors, self.output).std(axis=1)


class Furthest(Score, frozen=True, kw_only=True, tag="furthest"):
    """Minus the distance to the furthest reference, in the unit of the embeddings."""

    tasks: ClassVar[tuple[Task, ...]] = ("verify",)
    template_kind: ClassVar[str] = "embeddings"

    output: str

    @property
    def roles(self) -> Mapping[str, Role]:
        return {self.output: "embedding"}

    def check(self, interface: Any, task: Task) -> None:
        interface.output(self.output, "embedding")

    def embedding(self, interface: Any) -> str:
        return self.output

    def compare(self, reference: Any, values: Any, model: Any) -> Comparison:
        distance = float(np.linalg.norm(reference - values, axis=1).max())
        return Comparison(-distance, distance)


class ManifestWithToys(Manifest, frozen=True, kw_only=True):
    score: AnyScore | Spread | Furthest  # type: ignore[assignment]


def with_score(bundle: Bundle, score: Score, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The bundle with another score in its manifest on disk, read by a manifest whose union has the toys."""
    path = bundle.path / "manifest.json"
    plain = json.loads(path.read_bytes()) | {"score": msgspec.to_builtins(score)}
    plain["graphs"][0]["outputs"][0]["role"] = next(iter(score.roles.values()))
    path.write_text(json.dumps(plain))
    reseal(bundle.path)
    monkeypatch.setattr(model, "Manifest", ManifestWithToys)
    monkeypatch.setattr(model, "_DECODER", msgspec.json.Decoder(ManifestWithToys))
    return Bundle.open(bundle.path)


def spoof_bundle(make: Maker) -> Bundle:
    few = Rate(value=0.01, low=0.0, high=0.02, errors=1, trials=100)
    point = SpoofPoint(
        name="eer", threshold=0.01, target=None, apcer=few, bpcer=few, species={"print": few}, data="made up"
    )
    return make(
        models={"fp32": msgspec.json.encode(FakeModel(shape=(1, 16, 16), dim=256, output="features"))},
        operating_points={"fp32": (point,)},
        task="spoof",
        modality="face",
        source=Image(),
        preprocessing=preprocess.framed(preprocess.FACE, 16, 16),
        inputs=(Input(name="image", shape=("batch", 1, 16, 16)),),
        outputs=(Output(name="features", shape=("batch", 256), role="logit"),),
        score=DecisionHead(output="model.features", activation="softmax"),
        embedding_space_id=None,
    )


def test_a_score_of_one_sample(make_bundle: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = with_score(spoof_bundle(make_bundle), Spread(output="model.features"), monkeypatch)
    assert decode(encode(opened.manifest)) == opened.manifest
    assert opened.manifest.score.outputs == ("model.features",)
    face = np.random.default_rng(0).integers(60, 200, (64, 64), dtype=np.uint8)
    with SpoofDetector(opened, engine="fake", faces="cropped") as detector:
        scored = detector.examine(face)
        result = detector.detect(face)
    expected = float(np.std(scored.tensors["model.features"].astype(np.float64)))
    assert result.score == scored.score == pytest.approx(expected, abs=1e-8)
    assert result.decision is (SpoofDecision.LIVE if expected >= 0.01 else SpoofDecision.SPOOF)


def test_a_score_of_two_samples(
    make_bundle: Maker, signer: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = with_score(make_bundle(), Furthest(output="model.embedding"), monkeypatch)
    with Verifier(bundle, engine="onnxruntime", threshold=-1e9) as verifier:
        references, query = [signer(1), signer(2)], signer(3)
        embeddings = verifier.embed([*references, query])
        expected = max(float(np.linalg.norm(row - embeddings[2])) for row in embeddings[:2])
        result = verifier.verify(references, query)
        assert (result.score, result.raw_score) == pytest.approx((-expected, expected))
        assert verifier.verify(verifier.enroll(references), query).score == result.score
        blank = verifier.verify(references, np.full((380, 600), 255, np.uint8))
        assert blank.decision is False
        assert blank.score == -np.inf, "the least score there is, where the score names none of its own"
        monkeypatch.setattr(Furthest, "compare", lambda *_: Comparison(float("nan"), 0.0))
        with pytest.raises(EngineError, match="not finite"):
            verifier.verify(references, query)


def test_without_the_line_it_is_an_unknown_kind(tiny_bundle: Bundle) -> None:
    plain = json.loads(encode(tiny_bundle.manifest)) | {"score": {"kind": "furthest", "output": "model.embedding"}}
    with pytest.raises(ManifestError, match="furthest"):
        decode(json.dumps(plain).encode())


def test_what_a_score_does_not_say_it_cannot_do() -> None:
    class Mute(Score, frozen=True, kw_only=True, tag="mute"):
        pass

    mute, values = Mute(), np.ones((1, 2), np.float32)
    for call in (
        lambda: mute.roles,
        lambda: mute.check(None, "spoof"),  # type: ignore[arg-type]
        lambda: mute.renamed(str),
        lambda: mute.score({}),
        lambda: mute.embedding(None),  # type: ignore[arg-type]
        lambda: mute.compare(values, values, None),  # type: ignore[arg-type]
    ):
        with pytest.raises(ScoreError, match="the score mute"):
            call()
