"""Foreign networks as torch modules: every operator against ONNX's own reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edge_sdk.errors import TrainingError
from edge_sdk.export.distillation.onnx_module import OnnxModule, read

Weights = dict[str, NDArray[Any]]


def random(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def model(nodes: list[onnx.NodeProto], weights: Weights, shape: tuple[int, ...] = (1, 4, 7, 9)) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def node(operator: str, *weights: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, ["x", *weights], ["y"], **attributes)


@pytest.mark.parametrize(
    ("nodes", "weights"),
    [
        ([node("Conv", "w", "b", strides=[2, 1], pads=[1, 0, 2, 1])], {"w": random(6, 4, 3, 3), "b": random(6)}),
        ([node("Conv", "w", group=4, dilations=[2, 2])], {"w": random(4, 1, 2, 3)}),
        (
            [node("BatchNormalization", "s", "b", "m", "v", epsilon=1e-3)],
            {"s": random(4), "b": random(4) + 1, "m": random(4) + 2, "v": random(4) ** 2},
        ),
        ([node("PRelu", "s")], {"s": random(4, 1, 1)}),
        ([node("PRelu", "s")], {"s": random(1)}),
        ([node("Relu")], {}),
        ([node("Add", "w")], {"w": random(4, 1, 1)}),
        ([node("Sub", "w")], {"w": random(1)}),
        ([node("Mul", "w")], {"w": random(9)}),
        ([node("Pad", "p")], {"p": np.array([0, 1, 0, 2, 0, 0, 3, 0])}),
        ([node("Pad", "p", "v")], {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "v": np.array(2.5, np.float32)}),
        ([node("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 0, 1])], {}),
        ([node("AveragePool", kernel_shape=[2, 3], strides=[2, 1])], {}),
        ([node("GlobalAveragePool")], {}),
        ([node("Dropout")], {}),
        ([node("Flatten")], {}),
        ([node("Reshape", "s")], {"s": np.array([1, -1, 6])}),
        (
            [node("Flatten"), helper.make_node("Gemm", ["y", "w", "b"], ["z"], transB=1, alpha=0.5, beta=2.0)],
            {"w": random(5, 252), "b": random(5)},
        ),
        (
            [node("Flatten"), helper.make_node("Gemm", ["y", "w", "b"], ["z"])],
            {"w": random(252, 5), "b": random(5)},
        ),
        (
            [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=0), node("Conv", "w")],
            {"q": np.arange(16, dtype=np.int8).reshape(4, 4, 1, 1), "s": random(4), "z": np.full(4, 3, np.int8)},
        ),
        (
            [helper.make_node("Cast", ["h"], ["w"], to=TensorProto.FLOAT), node("Mul", "w")],
            {"h": random(9).astype(np.float16)},
        ),
    ],
    ids=lambda value: "-".join(one.op_type for one in value) if isinstance(value, list) else "",
)
def test_each_operator_gives_what_onnx_says(nodes: list[onnx.NodeProto], weights: Weights) -> None:
    network = model(nodes, weights)
    pictures = random(1, 4, 7, 9)
    expected = ReferenceEvaluator(network).run(None, {"x": pictures})[0]
    made = OnnxModule(network)(torch.from_numpy(pictures))
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5)


def test_a_network_made_for_one_picture_takes_a_batch() -> None:
    nodes = [node("Conv", "w"), helper.make_node("Reshape", ["y", "s"], ["z"])]
    module = OnnxModule(model(nodes, {"w": random(2, 4, 7, 9), "s": np.array([1, 2])}))
    pictures = torch.from_numpy(random(5, 4, 7, 9))
    one_by_one = torch.cat([module(picture[None]) for picture in pictures])
    torch.testing.assert_close(module(pictures), one_by_one)
    assert module(pictures).shape == (5, 2)
    assert module.input_shape == (4, 7, 9)


def test_weights_move_and_are_not_trained() -> None:
    module = OnnxModule(model([node("PRelu", "s")], {"s": random(4, 1, 1)}))
    assert not list(module.parameters())
    assert module.double()(torch.ones(2, 4, 7, 9, dtype=torch.float64)).dtype is torch.float64


def test_weights_that_appear_among_the_inputs_are_weights() -> None:
    network = model([node("Add", "w")], {"w": random(9)})
    network.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (9,)))
    pictures = random(1, 4, 7, 9)
    np.testing.assert_allclose(OnnxModule(network)(torch.from_numpy(pictures)), pictures + random(9))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Celu")], "the operator Celu"),
        ([node("MaxPool", kernel_shape=[2, 2], ceil_mode=1)], "MaxPool with ceil_mode"),
        ([helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER")], "Conv with auto_pad"),
        ([node("Pad", "p", mode="reflect")], "padding by reflect"),
        ([node("PRelu", "s")], "one slope, or one a channel"),
        ([node("Pad", pads=[0] * 8)], "Pad with pads"),  # as before opset 11
    ],
)
def test_what_is_not_known_is_refused(nodes: list[onnx.NodeProto], message: str) -> None:
    weights = {"w": random(2, 4, 1, 1), "p": np.zeros(8, np.int64), "s": random(9)}
    with pytest.raises(TrainingError, match=message):
        OnnxModule(model(nodes, weights))(torch.zeros(1, 4, 7, 9))


def test_several_outputs_are_refused() -> None:
    network = model([node("Relu")], {})
    network.graph.output.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, None))
    with pytest.raises(TrainingError, match="1 inputs and 2 outputs"):
        OnnxModule(network)


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x07\x12\x07pytorch" + bytes(100)])
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(TrainingError, match="not an ONNX file"):
        read(content)


def test_a_damaged_file_is_refused() -> None:
    content = model([node("Conv", "w")], {"w": random(6, 4, 3, 3)}).SerializeToString()
    assert read(content).graph.name == "teacher"
    with pytest.raises(TrainingError, match="not an ONNX file"):
        read(content.replace(b"Conv", b"C\x95nv"))  # the checker cannot even name it
    with pytest.raises(TrainingError, match="not an ONNX file"):
        read(content[:-40])
