"""A bundle made by hand, whose model is no model; loaded by the processes that tests kill, too."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.bundle import Bundle, BundleWriter
from edge_sdk.bundle.digests import digest_file
from edge_sdk.bundle.pins import PINS
from edge_sdk.manifest import (
    DataLicense,
    EmbeddingDistance,
    FileEntry,
    Golden,
    Graph,
    Image,
    Input,
    Manifest,
    Output,
    TrainingProvenance,
    UnsupportedPoint,
    Variant,
    encode,
)
from edge_sdk.preprocess import Fit, ToGray

MODEL = bytes(range(256)) * 40
GOLDEN = b"not really a picture"


def manifest_of(model: FileEntry, *golden: FileEntry, version: str = "1.0") -> Manifest:
    return Manifest(
        name="tiny",
        version=version,
        task="verify",
        modality="signature",
        source=Image(),
        preprocessing=(ToGray(), Fit(height=8, width=8, stretch=1.0)),
        graphs=(
            Graph(
                name="model",
                inputs=(Input(name="image", shape=("batch", 1, 8, 8)),),
                outputs=(Output(name="embedding", shape=("batch", 4), role="embedding"),),
                files={"fp32.onnx": model},
            ),
        ),
        score=EmbeddingDistance(output="model.embedding", metric="cosine"),
        embedding_space_id="space",
        variants=(
            Variant(
                format="onnx",
                precision="fp32",
                operating_points=(UnsupportedPoint(name="fmr_1e-3", target=0.001, reason="too few pairs"),),
            ),
        ),
        training=TrainingProvenance(recipe="tiny", preset="test", data=(), seed=0, steps=0, commit="none", versions={}),
        data_license=DataLicense(commercial_use=True, statement="made up"),
        golden=Golden(inputs=golden, scores={"fp32.onnx": 0.5}, tolerance={"fp32.onnx": 0.1}),
    )


def fill(writer: BundleWriter, model: bytes = MODEL) -> list[FileEntry]:
    """Add the model, and a reference and a query for the golden trial."""
    contents = {"model.fp32.onnx": model, "golden/a.png": GOLDEN, "golden/b.png": GOLDEN}
    return [writer.add(path, content) for path, content in contents.items()]


def write(destination: Path, model: bytes = MODEL, version: str = "1.0") -> Bundle:
    with BundleWriter(destination) as writer:
        return writer.finish(manifest_of(*fill(writer, model), version=version))


def check_whole(bundle: Bundle) -> None:
    for entry in bundle.manifest.files:
        bundle.read(entry)


def edit_manifest(folder: Path, *path: str | int, value: Any) -> None:
    file = folder / "manifest.json"
    plain = json.loads(file.read_bytes())
    place = plain
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    file.write_text(json.dumps(plain))
    reseal(folder)


def reseal(folder: Path) -> None:
    """What a person does after an edit: sha256sum manifest.json > manifest.sha256."""
    (folder / "manifest.sha256").write_bytes(digest_file((folder / "manifest.json").read_bytes()))


def pin(monkeypatch: pytest.MonkeyPatch, bundle: Bundle) -> None:
    """Let a bundle count as one that the package ships, by the name of its folder or file."""
    digest = hashlib.sha256(encode(bundle.manifest)).hexdigest()
    monkeypatch.setitem(PINS, bundle.path.stem, digest)
