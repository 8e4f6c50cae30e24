"""Flows as graphs: the same latents and log-likelihoods on every engine, and nothing computed of weights alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch

from edge_sdk.export.formats.float_onnx import to_onnx
from edge_sdk.export.formats.float_tflite import to_tflite
from edge_sdk.export.networks.flows import FLOWS, OUTPUTS, DensityGraph, build_flow
from edge_sdk.runtime.engines import Tensors, installed, load_engine

FEATURES = 5
BLOCK = {"maf": 3, "realnvp": 6, "glow": 6}
"""Dense layers of a block's networks: MADE has two hidden layers, and so have a coupling's scale and shift."""
AFFINE = {"maf": 2, "realnvp": 3, "glow": 2}
"""Dense layers that two blocks' norms with their mixing or reversal become; RealNVP's permutation is one more."""


def graph_and_rows(kind: str) -> tuple[DensityGraph, np.ndarray]:
    flow = build_flow(kind, FEATURES, hidden=12, blocks=2)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    x = 1 + 2 * torch.randn(50, FEATURES, generator=generator)
    flow.observe(x)
    return DensityGraph(flow), torch.cat([x[:4], 100 * x[:2]]).numpy()


def require_alike(found: Tensors, graph: DensityGraph, rows: np.ndarray) -> None:
    with torch.no_grad():
        wanted = [tensor.numpy() for tensor in graph.double()(torch.from_numpy(rows).double())]
    graph.float()
    for name, values in zip(OUTPUTS, wanted, strict=True):
        assert found[name].shape == values.shape
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", FLOWS)
def test_onnx(kind: str) -> None:
    graph, rows = graph_and_rows(kind)
    model = to_onnx(graph, (FEATURES,), OUTPUTS)
    for engine in ("onnxruntime", "openvino"):
        if installed(engine):
            require_alike(load_engine(engine, model, "onnx").run({"image": rows}), graph, rows)
    nodes = Counter(node.op_type for node in onnx.load_from_string(model).graph.node)
    assert nodes["Gemm"] == 2 * BLOCK[kind] + AFFINE[kind]
    assert nodes["Exp"] == 2 and nodes["Mul"] <= 5
    assert not {"Cast", "Where", "Gather", "GatherND", "MatMul", "Transpose", "Trilu"} & nodes.keys()


@pytest.mark.parametrize("kind", ["maf", "realnvp"])  # Glow has no other operators than RealNVP
def test_tflite(kind: str) -> None:
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    from edge_sdk.calibration.quantization.tflite_versions import require_old_boards

    graph, rows = graph_and_rows(kind)
    model = to_tflite(graph, (FEATURES,), OUTPUTS)
    require_old_boards(model)
    engine = load_engine("litert", model, "tflite")
    found = [engine.run({"image": row[None]}) for row in rows]
    require_alike({name: np.concatenate([one[name] for one in found]) for name in OUTPUTS}, graph, rows)
