"""Colour images and recordings of a sensor go the whole way: train, export, parity, runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_sdk import Verifier, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.errors import InputError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.cache import expanded, prepared
from edge_sdk.export.data.load import load
from edge_sdk.export.data.signatures.augmentation import SignatureAugmentation
from edge_sdk.export.data.splits import Split
from edge_sdk.export.formats.inference import embed
from edge_sdk.export.losses.metric import ContrastivePairs, MinedMetric
from edge_sdk.export.networks.network import Network
from edge_sdk.export.packaging.build import export
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.sensors import Recording

PEOPLE, EACH, SIDE, ROWS = 20, 4, 16, 40
COLOUR = (preprocess.ToColor(order="rgb"), preprocess.Fit(height=SIDE, width=SIDE, stretch=1.0))
STREAM = (preprocess.Resample(rate_hz=25.0, samples=ROWS, channels=3),)


class ColourNetwork(Network):
    """Colours ``(N, 3, 16, 16)`` to unit embeddings ``(N, 8)``."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.embedding = nn.Linear(48, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.embedding(self.features(x)).float(), dim=1)


class StreamNetwork(Network):
    """Recordings ``(N, 40, 3)`` to unit embeddings ``(N, 8)``."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(3 * ROWS, 24), nn.ReLU())
        self.embedding = nn.Linear(24, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.embedding(self.features(x)).float(), dim=1)


def preset(preprocessing: tuple[preprocess.Operation, ...]) -> Preset:
    objective = MinedMetric(writers=4, genuine=3, forged=0)
    return Preset(preprocessing=preprocessing, objective=objective, steps=6, learning_rate=1e-2, validate_every=3)


def recipe(name: str, modality: str, network: Callable[[], Network], settings: Preset) -> Recipe:
    score = recipes.get("deepsign").score
    return Recipe(
        name=name, task="verify", modality=modality, network=network, tiny=network, score=score,
        presets={"best": settings}, embedding_size=8,
    )  # fmt: skip


def plant_faces(root: Path) -> str:
    """A colour a person."""
    for person in range(PEOPLE):
        color = np.random.default_rng(person).uniform(30, 220, 3)
        for k in range(EACH):
            noise = np.random.default_rng((person, k)).normal(0, 6, (20, 20, 3))
            path = root / f"p{person:02}" / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.clip(color + noise, 0, 255).astype(np.uint8))
    return f"live:{root}"


def plant_walks(root: Path) -> str:
    """A pace a person, at uneven times."""
    for person in range(PEOPLE):
        pace, tilt = 1.2 + 0.08 * person, np.random.default_rng(person).normal(0, 2, 3)
        for k in range(EACH):
            rng = np.random.default_rng((person, k))
            times = np.rint(np.cumsum(rng.uniform(30, 46, ROWS * 2)))
            turns = 2 * np.pi * pace * (times - times[0])[:, None] / 1000 + np.arange(3)
            values = tilt + np.sin(turns) + rng.normal(0, 0.05, (len(times), 3))
            path = root / f"user{person:02}" / f"walk{k:02}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                "".join(f"{t:.0f},{x:.4f},{y:.4f},{z:.4f}\n" for t, (x, y, z) in zip(times, values, strict=True))
            )
    return f"nexus:{root}"


@pytest.mark.parametrize("kind", ["colour", "stream"])
def test_from_files_to_a_decision(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "colour":
        chosen = recipe("toy_colour", "face", ColourNetwork, preset(COLOUR))
        specification, shape, dtype = plant_faces(tmp_path / "people"), (3, SIDE, SIDE), np.uint8
    else:
        chosen = recipe("toy_stream", "gait", StreamNetwork, preset(STREAM))
        specification, shape, dtype = plant_walks(tmp_path / "people"), (ROWS, 3), np.float32
    monkeypatch.setattr(recipes, "get", lambda _: chosen)
    data = load(specification)
    split = Split.draw(data, 0)
    run = TrainingRun(
        chosen, "best", tmp_path / "run", data.select(split.train), data.select(split.validation), (specification,)
    )
    assert run.preset.input_shape == shape
    train(run, quiet=True)
    split.write(run.folder / "split.json")

    tensors = prepared(data.samples[:5], run.preset.preprocessing)
    assert (tensors.shape, tensors.dtype) == ((5, *shape), dtype)
    bundle = export(run.folder, tmp_path / "toy.edge", enforce=False, say=lambda _: None)
    manifest = bundle.manifest
    assert f"{data.name}, thresholds people, random impostors" in {p.data for p in points(bundle)}

    # Parity: the network, the float artifact and the runtime agree.
    finished = FinishedRun.read(run.folder)
    with torch.no_grad():
        expected = finished.network.eval()(torch.from_numpy(np.array(expanded(tensors)))).numpy()
    model = bundle.read_graphs("fp32.onnx")["model"]
    assert np.allclose(embed(model, tensors), expected, atol=1e-5)
    with Verifier(bundle, precision="fp32.onnx", operating_point="eer") as verifier:
        found = verifier.embed([sample.path for sample in data.samples[:5]])
        assert np.allclose(found / np.linalg.norm(found, axis=1, keepdims=True), expected, atol=1e-5)
        first, second = (bundle.read(entry) for entry in manifest.golden.inputs)
        assert verifier.verify(first, first).score == pytest.approx(1, abs=1e-3)
        assert 0 <= verifier.verify(first, second).score <= 1
        template = verifier.enroll([data.samples[0].path, data.samples[1].path])
        assert verifier.verify(template, data.samples[0].path).quality == ()
    # Six steps leave embeddings of people so close that another engine's rounding of int8 moves scores by over 0.02.
    assert passed(selftest(bundle, engine="onnxruntime"))


@pytest.mark.slow
def test_a_stream_in_tflite() -> None:
    pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    from edge_sdk.export.formats.float_tflite import to_tflite

    torch.manual_seed(0)
    network = StreamNetwork().eval()
    x = np.random.default_rng(0).normal(0, 1, (3, ROWS, 3)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    found = embed(to_tflite(network, (ROWS, 3)), x, engine="litert", format="tflite")
    assert np.allclose(found, expected, atol=1e-4)


def points(bundle: Bundle) -> list:
    return [p for v in bundle.manifest.variants for p in v.operating_points if hasattr(p, "data")]


def test_a_stream_that_does_not_fit_is_never_accepted(tmp_path: Path) -> None:
    """Channels and length are checked before the network sees anything."""
    short = Recording(np.zeros((5, 3), np.float32), np.arange(5) * 40.0)
    two = Recording(np.zeros((90, 2), np.float32), np.arange(90) * 40.0)
    for recording in (short, two):
        with pytest.raises(InputError):
            preprocess.apply(STREAM, recording)


@pytest.mark.parametrize("preprocessing", [COLOUR, STREAM])
def test_an_augmentation_for_gray_images_is_refused(preprocessing: tuple[preprocess.Operation, ...]) -> None:
    with pytest.raises(UsageError, match="SignatureAugmentation changes gray images"):
        replace(preset(preprocessing), augmentation=SignatureAugmentation())


def test_pairs_of_strangers_where_there_are_no_forgeries(tmp_path: Path) -> None:
    """The contrastive objective learns from random impostors then, half of the pairs."""
    from edge_sdk.export.data.samples import Labels

    labels = Labels.of(load(plant_walks(tmp_path)))
    drawn = ContrastivePairs(pairs=400).batch(labels, np.zeros((80, 8), np.float32), np.random.default_rng(0))
    first, second = drawn[0::2], drawn[1::2]
    same = labels.subject[first] == labels.subject[second]
    assert same.mean() == 0.5
    assert (first != second).all()
    embeddings = torch.nn.functional.normalize(torch.randn(800, 8), dim=1)
    loss = ContrastivePairs().loss(
        embeddings, torch.from_numpy(labels.subject[drawn]), torch.ones(800, dtype=torch.bool)
    )
    distances = [(a - b).norm().item() for a, b in zip(embeddings[0::2], embeddings[1::2], strict=True)]
    terms = [d**2 if mated else max(0.0, 1 - d) ** 2 for d, mated in zip(distances, same, strict=True)]
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-5)
