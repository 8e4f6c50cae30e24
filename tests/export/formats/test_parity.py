"""Every recipe in every format and precision, on every engine: what the network computes, within a tolerance a row."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch.nn import functional

from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.cache import expanded, prepared, prepared_rows
from edge_sdk.export.data.load import load
from edge_sdk.export.formats.artifacts import FORMATS, REFERENCE, Graphs, VariantKind, check, kinds
from edge_sdk.export.formats.inference import Embeddings, run
from edge_sdk.runtime.engines import ENGINES, installed, usable

KINDS = kinds(list(FORMATS))
ROWS = [
    (name, kind, engine)
    for name in recipes.names()
    for kind in KINDS
    for engine, row in ENGINES.items()
    # No workstation runs TensorRT's artifact; ONNX Runtime computes what its nodes say.
    if row.packages and (kind.id in row.variants or (engine == "onnxruntime" and kind.precision == "int8-sym"))
]


@cache
def graphs(name: str) -> tuple[Graphs, np.ndarray, Embeddings]:
    """A miniature with random weights, its images, and what it makes of them."""
    chosen = recipes.get(name)
    torch.manual_seed(1)
    whole, preset = chosen.tiny().eval(), next(iter(chosen.presets.values()))
    for module in whole.modules():  # a fresh batch norm would do nothing
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    network = chosen.inference_model(whole)
    if chosen.modality == "gait":
        images = np.array(prepared_rows(load("walks:4").samples, preset.preprocessing).tensors[::50])
    else:
        images = prepared(load("synthetic:4").samples, preset.preprocessing)[::8]
        # Darker and darker, so that networks made for faces tell them apart too.
        images = (images * np.linspace(1, 0.1, len(images))[:, None, None, None]).astype(np.uint8)
    samples = expanded(images)
    with torch.no_grad():
        for _ in range(20):  # and one of other images than these would leave little of them
            network.train()(torch.from_numpy(samples))
        network.eval()
        # In float64, for sums over the pixels of a reconstruction.
        made = network(torch.from_numpy(samples))
        parts = made if isinstance(made, tuple) else (made,)
        joined = torch.cat([part.flatten(1) for part in parts], dim=1)
        expected = functional.normalize(joined.double(), dim=1).numpy()
    return Graphs(network, samples.shape[1:], samples, chosen.outputs), images, expected


@cache
def artifact(name: str, kind: VariantKind) -> bytes:
    made, _, _ = graphs(name)
    return made.float(kind) if kind.precision == "fp32" else made.quantizer(kind).quantize("minmax")


@pytest.mark.parametrize(("name", "kind", "engine"), ROWS, ids=lambda value: getattr(value, "id", value))
def test_parity(name: str, kind: VariantKind, engine: str) -> None:
    if not usable(engine, kind.id) or engine == "tensorrt":
        pytest.skip(f"{engine} is not installed, needs a GPU, or is not exact on this processor")
    if kind.format == "tflite":
        pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    tolerance = recipes.get(name).parity.get(kind.id, recipes.PARITY[kind.precision])
    assert tolerance <= 5 * recipes.PARITY[kind.precision], "looser than any recipe may be"
    _, images, expected = graphs(name)
    tensors = run(artifact(name, kind), images, engine=engine, format=kind.format)
    outputs = recipes.get(name).outputs
    joined = np.stack([np.concatenate([one[output].reshape(-1) for output in outputs]) for one in tensors])
    found = joined / np.linalg.norm(joined, axis=1, keepdims=True)
    # A miniature's embeddings lie close together: one answer to every image would be within the tolerance.
    spread = (1 - expected @ expected.T).max()
    assert (1 - (found * expected).sum(axis=1)).max() <= min(tolerance, spread / 2)


@pytest.mark.parametrize("name", recipes.names())
def test_the_field_takes_every_artifact(name: str) -> None:
    """TensorRT's parser where it is installed, and the operators of old TFLite boards."""
    pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    said: list[str] = []
    for kind in KINDS:
        check(kind, artifact(name, kind), said.append)
    assert bool(said) != installed("tensorrt")


def test_formats_are_names_or_single_artifacts() -> None:
    assert kinds([]) == (REFERENCE,)
    assert [kind.id for kind in kinds(["tensorrt", "int8.tflite"])] == ["fp32.onnx", "int8.tflite", "int8-sym.onnx"]
    assert {kind.id for kind in KINDS} == {kind.id for group in FORMATS.values() for kind in group}
    with pytest.raises(UsageError, match=r"int8-io\.tflite"):
        kinds(["coreml"])
