"""From a training run to a bundle: float graph, int8, thresholds for each artifact, guardrail, golden inputs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

import edge_sdk
from edge_sdk import images as image_files
from edge_sdk import manifest
from edge_sdk.bundle import Bundle, BundleWriter
from edge_sdk.calibration import guardrail, quantize
from edge_sdk.calibration.metrics import Curves, ScoreSet, bootstrap
from edge_sdk.calibration.pairs import verification_scores
from edge_sdk.calibration.thresholds import operating_points
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export import checkpoint, recipe
from edge_sdk.export.card import TestRow, model_card
from edge_sdk.export.datasets import Dataset, load
from edge_sdk.export.datasets.cache import prepared
from edge_sdk.export.datasets.synthetic import SyntheticWriter
from edge_sdk.export.datasets.terms import terms
from edge_sdk.export.float_onnx import INPUT, OUTPUT, to_onnx
from edge_sdk.export.splits import Split
from edge_sdk.preprocess import Operation, apply
from edge_sdk.runtime.engines import load_engine
from edge_sdk.scores import embedding_scores

CALIBRATION_IMAGES = 128
METHODS = ("minmax", "percentile_99.99", "mse")
VERSIONS = ("edge-sdk", "numpy", "onnx", "onnxruntime", "opencv-python-headless", "torch")
GOLDEN_WRITER = 2004
FORGERIES: tuple[Literal["skilled", "random"], ...] = ("skilled", "random")
Say = Callable[[str], None]

# The same file on another processor's kernels: float rounding, and for int8 a rounding step here and there.
GOLDEN_TOLERANCE = {"fp32": 1e-3, "int8": 0.02}


@dataclass(frozen=True)
class Measured:
    """One artifact with everything that was measured on it."""

    precision: manifest.Precision
    model: bytes
    points: tuple[manifest.OperatingPoint, ...]
    calibration: manifest.CalibrationProvenance | None = None
    drift: tuple[manifest.Drift, ...] = ()


def export(
    run: Path,
    destination: Path,
    *,
    name: str | None = None,
    version: str = "1.0.0",
    enforce: bool = True,
    say: Say = print,
) -> Bundle:
    """Make a bundle of a run's best checkpoint.

    Thresholds come from the split's ``thresholds`` people for each artifact, the guardrail's verdict from its
    ``guardrail`` people; both are scored by the engine that serves. The bundle replaces an older one as a whole, at
    the very end.

    Args:
        run: Folder of a training run.
        destination: Folder, or a file ending in ``.edge``.
        enforce: Raise when the guardrail does not pass; otherwise the bundle says so in its drift table.

    Raises:
        GuardrailError: int8 costs more than the recipe's budget, or the people are too few to tell.
        TrainingError: The run is incomplete.
    """
    described = _read_json(run / "run.json")
    chosen = recipe.get(described["recipe"])
    preset = chosen.preset(described["preset"])
    split = Split.read(run / "split.json")
    data = load(*described["data"])
    if not isinstance(chosen.score, manifest.EmbeddingDistance):
        raise UsageError(f"{chosen.name} does not compare embeddings; there is no exporter for its score yet")
    network = (chosen.tiny if described["tiny"] else chosen.network)(**preset.network)
    facts = checkpoint.load_network(run / "best.safetensors", network)

    say("exporting the float graph, batch norms folded")
    float_model = to_onnx(network, preset.input_shape)
    groups = {role: data.select(getattr(split, role)) for role in ("validation", "thresholds", "guardrail")}
    images = {role: prepared(group.samples, preset.preprocessing) for role, group in groups.items()}
    seed = int(described["seed"])
    samples = calibration_images(data.select(split.train), preset.preprocessing, seed)

    reference = embed(float_model, images["validation"])

    def error(candidate: bytes) -> float:
        return float(1 - (embed(candidate, images["validation"]) * reference).sum(axis=1).mean())

    int8_model, trials = quantize.choose(float_model, samples, error, METHODS)
    for trial in trials:
        say(f"int8 by {trial.method}: mean cosine distance to float {trial.error:.5f}, {trial.size / 1e6:.3f} MB")

    def scores(model: bytes, role: str) -> ScoreSet:
        group = groups[role].samples
        return verification_scores(embed(model, images[role]), [s.subject for s in group], [s.genuine for s in group])

    def points(model: bytes) -> tuple[manifest.OperatingPoint, ...]:
        return operating_points(scores(model, "thresholds"), data=f"{data.name}, thresholds people, skilled forgeries")

    measured = [Measured("fp32", float_model, points(float_model)), Measured("int8", int8_model, points(int8_model))]
    thresholds = [
        next(p.threshold for p in one.points if isinstance(p, manifest.VerifyPoint) and p.name == "eer")
        for one in measured
    ]
    drift = guardrail.compare(
        scores(float_model, "guardrail"),
        scores(int8_model, "guardrail"),
        data=f"{data.name}, guardrail people, skilled forgeries",
        budget=chosen.budget,
        threshold_float=thresholds[0],
        threshold_quantised=thresholds[1],
    )
    say(guardrail.table([drift]))
    if enforce:
        guardrail.enforce([drift])
    calibration = quantize.provenance(samples, data=f"{data.name}, train people", method=trials[0].method, seed=seed)
    measured[1] = replace(measured[1], calibration=calibration, drift=(drift,))

    artifacts = {f"{one.precision}.onnx": one.model for one in measured}
    say("scoring the test people")
    test = data.select(split.test)
    test_images = prepared(test.samples, preset.preprocessing)
    rows = [row for name, model in artifacts.items() for row in _test_rows(name, embed(model, test_images), test)]

    say(f"writing {destination}")
    training = manifest.Training(
        recipe=chosen.name,
        preset=described["preset"],
        data=tuple(sorted({sample.dataset for sample in data.samples})),
        seed=seed,
        steps=int(facts["step"]),
        commit=_commit(),
        versions={package: metadata.version(package) for package in VERSIONS},
    )
    with BundleWriter(destination) as writer:
        pngs = [_golden_png(0), _golden_png(1)]
        inputs = tuple(
            writer.add(f"golden/{file}.png", png) for file, png in zip(("reference", "query"), pngs, strict=True)
        )
        bundle = manifest.Manifest(
            name=name or chosen.name,
            version=version,
            task="verify",
            modality=chosen.modality,
            inputs=(
                manifest.Input(
                    name=INPUT,
                    shape=("batch", *preset.input_shape),
                    source=manifest.Image(color="gray"),
                    preprocessing=preset.preprocessing,
                ),
            ),
            outputs=(manifest.Output(name=OUTPUT, shape=("batch", chosen.embedding_size), role="embedding"),),
            score=chosen.score,
            artifacts=tuple(
                manifest.Artifact(
                    format="onnx",
                    precision=one.precision,
                    file=writer.add(f"model.{one.precision}.onnx", one.model),
                    operating_points=one.points,
                    calibration=one.calibration,
                    drift=one.drift,
                )
                for one in measured
            ),
            training=training,
            data_terms=terms(training.data),
            golden=manifest.Golden(
                inputs=inputs,
                scores={name: _golden_score(model, pngs, preset, chosen.score) for name, model in artifacts.items()},
                tolerance={f"{one.precision}.onnx": GOLDEN_TOLERANCE[one.precision] for one in measured},
            ),
            embedding_space_id=manifest.embedding_space_id(preset.preprocessing, float_model),
        )
        card = writer.add("MODEL_CARD.md", model_card(bundle, split, rows).encode())
        return writer.finish(msgspec.structs.replace(bundle, auxiliary=(card,)))


def embed(
    model: bytes, images: NDArray[np.uint8], *, engine: str = "onnxruntime", threads: int = 2
) -> NDArray[np.float32]:
    """Unit embeddings ``(N, D)`` of pre-processed ``uint8 (N, H, W)`` images, one at a time as the device does."""
    loaded = load_engine(engine, model, "onnx", threads=threads)
    try:
        rows = [loaded.run({INPUT: image[None, None].astype(np.float32) / np.float32(255)})[OUTPUT] for image in images]
    finally:
        loaded.close()
    stacked = np.concatenate(rows)
    return np.asarray(stacked / np.linalg.norm(stacked, axis=1, keepdims=True), np.float32)


def _test_rows(artifact: str, embeddings: NDArray[np.float32], test: Dataset) -> list[TestRow]:
    rows = []
    for forgeries in FORGERIES:
        scores = verification_scores(
            embeddings, [s.subject for s in test.samples], [s.genuine for s in test.samples], forgeries=forgeries
        )
        intervals = (bootstrap(scores, statistic) for statistic in (Curves.auroc, Curves.eer))
        rows.append(TestRow(artifact, forgeries, len(scores), scores.subject_count, *intervals))
    return rows


def calibration_images(train: Dataset, operations: Sequence[Operation], seed: int) -> NDArray[np.float32]:
    """``float32 (N, 1, H, W)``: images of training people, drawn by the seed."""
    count = min(CALIBRATION_IMAGES, len(train.samples))
    chosen = np.sort(np.random.default_rng(seed).choice(len(train.samples), count, replace=False))
    images = prepared([train.samples[i] for i in chosen], operations)
    return images[:, None].astype(np.float32) / np.float32(255)


def _golden_png(repetition: int) -> bytes:
    return cv2.imencode(".png", SyntheticWriter(GOLDEN_WRITER).genuine(repetition))[1].tobytes()


def _golden_score(
    model: bytes, pngs: Sequence[bytes], preset: recipe.Preset, score: manifest.EmbeddingDistance
) -> float:
    pair = [np.rint(apply(preset.preprocessing, image_files.load(png))[0] * 255).astype(np.uint8) for png in pngs]
    embeddings = embed(model, np.stack(pair))
    return float(embedding_scores(embeddings[:1], embeddings[1:], score.metric)[1][0, 0])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        described = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise TrainingError(f"{path} describes no training run: {error}") from error
    assert isinstance(described, dict)
    return described


def _commit() -> str:
    """The commit of edge-sdk itself, or its version where it is installed from a wheel."""
    folder = Path(edge_sdk.__file__).parent
    git = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(git, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return f"v{edge_sdk.__version__}"
