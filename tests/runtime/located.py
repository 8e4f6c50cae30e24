"""A locator whose answers can be worked out by hand: a cell that is white shows a face of three cells a side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_sdk import preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.manifest import FaceBoxes, Image, Input, LocatePoint, OperatingPoint, Output, Rate
from edge_sdk.scoring.face_boxes import GEOMETRY, FaceLevel

HEIGHT, WIDTH, STRIDE = 128, 160, 8
PIPELINE = (preprocess.ToGray(), preprocess.Fit(height=HEIGHT, width=WIDTH, stretch=1.0))
SCORE = FaceBoxes(
    levels=(FaceLevel(stride=STRIDE, confidence="model.confidence8", geometry="model.geometry8"),),
    overlap=0.4,
    blend=1.0,
)
EDGES = (1.5, 1.5, 1.5, 1.5)
POINTS = ((-0.5, -0.5), (0.5, -0.5), (0.0, 0.0), (-0.25, 0.5), (0.25, 0.5))  # in cells, from the centre
WHITE = 1 / (1 + np.exp(-4.0))
"""The confidence of a cell that is all white; of a black one it is that of minus 4."""


def network(edges: tuple[float, ...] = EDGES) -> bytes:
    """Mean brightness of each 8 x 8 cell; ``confidence8`` is 8 times it minus 4, ``geometry8`` always the same."""
    geometry = np.array([*edges, *np.ravel(POINTS)], np.float32)
    constants = {
        "eight": np.full((1, 1, 1, 1), 8, np.float32),
        "minus4": np.full(1, -4, np.float32),
        "nothing": np.zeros((GEOMETRY, 1, 1, 1), np.float32),
        "geometry": geometry,
    }
    nodes = [
        helper.make_node("AveragePool", ["image"], ["mean"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["mean", "eight", "minus4"], ["confidence8"]),
        helper.make_node("Conv", ["mean", "nothing", "geometry"], ["geometry8"]),
    ]
    grid = [HEIGHT // STRIDE, WIDTH // STRIDE]
    graph = helper.make_graph(
        nodes,
        "locator",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, HEIGHT, WIDTH])],
        [
            helper.make_tensor_value_info("confidence8", TensorProto.FLOAT, ["batch", 1, *grid]),
            helper.make_tensor_value_info("geometry8", TensorProto.FLOAT, ["batch", GEOMETRY, *grid]),
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def point(
    threshold: float = 0.5, name: str = "false_1e-2", target: float | None = 0.01, missed: int = 1
) -> LocatePoint:
    return LocatePoint(
        name=name,
        threshold=threshold,
        target=target,
        false_boxes=Rate(value=0.001, low=0.0, high=0.02, errors=1, trials=1000),
        missed=Rate(value=missed / 100, low=0.0, high=1.0, errors=missed, trials=100),
        data="made up",
        subjects=9,
    )


def locator_bundle(make: Callable[..., Bundle], *points: OperatingPoint, **changes: object) -> Bundle:
    grid = (HEIGHT // STRIDE, WIDTH // STRIDE)
    settings: dict[str, object] = {
        "task": "locate",
        "modality": "face",
        "source": Image(),
        "preprocessing": PIPELINE,
        "models": {"fp32": network()},
        "operating_points": {"fp32": points or (point(),)},
        "inputs": (Input(name="image", shape=("batch", 1, HEIGHT, WIDTH)),),
        "outputs": (
            Output(name="confidence8", shape=("batch", 1, *grid), role="logit"),
            Output(name="geometry8", shape=("batch", GEOMETRY, *grid), role="geometry"),
        ),
        "score": SCORE,
        "embedding_space_id": None,
    }
    return make(**settings | changes)


def frame(*cells: tuple[int, int], height: int = 480, width: int = 640) -> NDArray[np.uint8]:
    """A dark frame in which these cells, as (row, column) of the network's grid, are white; 640 x 480 to the pixel."""
    place = PIPELINE[1].place(height, width)
    picture = np.zeros((height, width), np.uint8)
    for row, column in cells:
        left, top = (column * STRIDE - place.left) * place.scale_x, (row * STRIDE - place.top) * place.scale_y
        right, bottom = left + STRIDE * place.scale_x, top + STRIDE * place.scale_y
        picture[max(0, round(top)) : round(bottom), max(0, round(left)) : round(right)] = 255
    return picture
