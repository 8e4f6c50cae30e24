"""The recipe's two networks: the other one than every recipe's tests take, in every format, and the presets' facts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_sdk.export import recipes
from edge_sdk.export.formats.artifacts import FORMATS, Graphs, VariantKind, check, kinds
from edge_sdk.export.losses.triplet import Triplets
from edge_sdk.export.networks.inception import NN2
from edge_sdk.export.networks.inception_resnet import InceptionResNetV2, ScaledResidual
from edge_sdk.runtime.engines import load_engine, usable

FACENET = recipes.get("facenet")
KINDS = kinds(list(FORMATS))


@pytest.fixture(scope="module")
def resnet() -> tuple[Graphs, np.ndarray]:
    """A miniature of Inception-ResNet-V2 as a device runs it, and its embeddings of the samples."""
    torch.manual_seed(0)
    network = FACENET.tiny(resnet=True)
    samples = functional.interpolate(torch.rand(8, 3, 16, 16), size=(96, 96), mode="nearest")
    samples *= torch.linspace(1, 0.1, 8)[:, None, None, None]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    with torch.no_grad():
        expected = network.eval()(samples).numpy()
    device = FACENET.inference_model(network)
    return Graphs(device, (3, 96, 96), samples.numpy(), FACENET.outputs), expected


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_inception_resnet_in_every_format(resnet: tuple[Graphs, np.ndarray], kind: VariantKind) -> None:
    if kind.format == "tflite":
        pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    graphs, expected = resnet
    model = graphs.float(kind) if kind.precision == "fp32" else graphs.quantizer(kind).quantize("minmax")
    check(kind, model, lambda _said: None)
    spread = float((1 - expected @ expected.T).max())
    for engine in ("onnxruntime", "openvino") if kind.format == "onnx" else ("litert",):
        if kind.precision != "int8-sym" and not usable(engine, kind.id):
            continue
        if kind.precision == "int8-sym" and engine != "onnxruntime":
            continue
        loaded = load_engine(engine, model, kind.format, threads=1)
        made = np.concatenate([loaded.run({"image": one[None]})["embedding"] for one in graphs.samples])
        loaded.close()
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        error = (1 - (made * expected).sum(axis=1)).max()
        assert error <= min(recipes.PARITY[kind.precision], spread / 2), engine


def test_the_device_takes_pictures_as_they_are() -> None:
    network = FACENET.tiny(resnet=True).eval()
    device = FACENET.inference_model(network)
    assert isinstance(device, InceptionResNetV2)
    assert (device.gain, device.offset, network.gain, network.offset) == (1, 0, 2, -1)
    assert all(block.scale == 1 for block in device.modules() if isinstance(block, ScaledResidual))
    samples = torch.rand(2, 3, 80, 80)
    with torch.no_grad():
        assert torch.allclose(device(samples), network(samples), atol=1e-5)


def test_the_presets_are_the_documents_settings() -> None:
    paper, resnet = FACENET.preset("paper"), FACENET.preset("resnet")
    for preset in (paper, resnet):
        assert (preset.optimizer, preset.learning_rate, preset.decay) == ("nesterov", 1e-5, 1e-6)
        assert preset.objective == Triplets(people=45, images=40, margin=0.2, negatives="semihard", reduction="sum")
    assert paper.input_shape == (3, 224, 224)
    assert isinstance(FACENET.network(width=0.02, **paper.network), NN2)
    assert isinstance(FACENET.network(width=0.02, **resnet.network), InceptionResNetV2)
    assert FACENET.embedding_size == 128
