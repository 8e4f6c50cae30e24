"""What is rewritten for speed gives the same bits on every engine, and is rewritten only where that holds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import helper, numpy_helper

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.calibration.quantization.onnx_channels import rewritten
from edge_sdk.calibration.quantization.onnx_int8 import quantize
from edge_sdk.runtime.engines import load_engine, usable

BATCH = 3


class Network:
    """A float ONNX model of random weights, written layer by layer."""

    def __init__(self, seed: int, channels: int, height: int, width: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shape = [channels, height, width]
        self.last = "image"
        self.channels = {"image": channels}

    def constant(self, values: object, dtype: type = np.float32) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def add(self, operator: str, *inputs: str, channels: int | None = None, **attributes: object) -> str:
        self.last = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [self.last], f"node_{self.last}", **attributes))
        self.channels[self.last] = channels if channels is not None else self.channels[inputs[0]]
        return self.last

    def conv(self, source: str, channels: int, kernel: tuple[int, int], relu: bool = True, **attributes: object) -> str:
        groups = int(str(attributes.get("group", 1)))
        weights = self.random.normal(0, 0.5, (channels, self.channels[source] // groups, *kernel))
        bias = self.constant(self.random.normal(0, 0.2, channels))
        name = self.add(
            "Conv", source, self.constant(weights), bias, channels=channels, kernel_shape=kernel, **attributes
        )
        return self.add("Relu", name) if relu else name

    def embedding(self, source: str) -> str:
        """Mean over the picture, one dense layer, unit length: as PyTorch's exporter writes it."""
        mean = self.add("ReduceMean", source, self.constant([2, 3], np.int64), keepdims=0)
        weights = self.constant(self.random.normal(0, 0.3, (12, self.channels[source])))
        dense = self.add("Gemm", mean, weights, self.constant(np.zeros(12)), transB=1, channels=12)
        norm = self.add("ReduceL2", dense, self.constant([1], np.int64), keepdims=1)
        least = self.add("Clip", norm, self.constant(1e-6))
        batch = self.add("Shape", "image", start=0, end=1)
        expanded = self.add("Expand", least, self.add("Concat", batch, self.constant([12], np.int64), axis=0))
        return self.add("Div", dense, expanded)

    def model(self, output: str, shape: tuple[object, ...] = ("batch", 12)) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["batch", *self.shape])],
            [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, shape)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()

    def int8(self, output: str, shape: tuple[object, ...] = ("batch", 12), **options: object) -> bytes:
        return quantize(self.model(output, shape), self.pictures(), **options)  # type: ignore[arg-type]

    def pictures(self) -> NDArray[np.float32]:
        return np.random.default_rng(7).random((BATCH, *self.shape), np.float32)


def fire(net: Network, source: str, squeezed: int, expanded: int) -> str:
    small = net.conv(source, squeezed, (1, 1))
    narrow = net.conv(small, expanded, (1, 1))
    wide = net.conv(small, expanded, (3, 3), pads=[1, 1, 1, 1])
    return net.add("Concat", narrow, wide, axis=1, channels=2 * expanded)


def require_equal_outputs(one: bytes, other: bytes, pictures: NDArray[np.float32]) -> None:
    """Bit for bit, on every engine here, one by one and in a batch."""
    for name in ("onnxruntime", "openvino"):
        if not usable(name, "int8.onnx"):
            continue
        first, second = load_engine(name, one, "onnx", threads=1), load_engine(name, other, "onnx", threads=1)
        assert first.inputs == second.inputs
        assert first.outputs == second.outputs
        for batch in (pictures, pictures[:1]):
            expected = {key: value.copy() for key, value in first.run({"image": batch}).items()}
            for key, value in second.run({"image": batch}).items():
                assert np.ptp(expected[key]) > 0
                np.testing.assert_array_equal(value, expected[key], err_msg=f"{name}: {key}")


def operators(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


def widths(model: bytes) -> list[int]:
    """The channels of each convolution, in the order of the graph."""
    graph = onnx.load_from_string(model).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    sources = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    layers = [node for node in graph.node if node.op_type == "Conv"]
    return [constants[sources.get(node.input[1], node.input[1])].dims[0] for node in layers]


@pytest.mark.parametrize(
    ("size", "kernel", "pads", "folds"),
    [
        ((30, 36), (3, 3), [0, 0, 0, 0], True),
        ((30, 36), (3, 3), [1, 1, 1, 1], True),
        ((30, 36), (3, 3), [0, 1, 1, 0], True),
        ((32, 32), (5, 5), [2, 2, 2, 2], True),
        ((32, 34), (4, 6), [1, 2, 1, 2], True),
        ((32, 34), (2, 2), [0, 0, 0, 0], True),
        ((32, 34), (7, 1), [3, 0, 3, 0], True),
        ((32, 34), (14, 14), [0, 0, 0, 0], True),
        ((31, 36), (3, 3), [1, 1, 1, 1], False),  # half a block at the end
        ((32, 34), (1, 1), [0, 0, 0, 0], True),
        ((32, 34), (1, 1), [2, 2, 2, 2], False),  # windows of padding alone
    ],
)
def test_a_layer_of_stride_2_on_one_channel_reads_four(
    size: tuple[int, int], kernel: tuple[int, int], pads: list[int], folds: bool
) -> None:
    net = Network(1, 1, *size)
    before = net.int8(net.embedding(net.conv("image", 16, kernel, strides=[2, 2], pads=pads)))
    after = rewritten(before)
    assert ("SpaceToDepth" in operators(after)) == folds
    require_equal_outputs(before, after, net.pictures())


def test_layers_that_share_a_channel_are_folded_together_or_not_at_all() -> None:
    for second, folds in (((5, 5), True), ((3, 3), False)):
        net = Network(2, 1, 32, 32)
        one = net.conv("image", 8, (3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
        stride = 2 if folds else 1
        other = net.conv("image", 8, second, strides=[stride, stride], pads=[second[0] // 2] * 4)
        halved = other if folds else net.add("MaxPool", other, kernel_shape=[2, 2], strides=[2, 2])
        before = net.int8(net.embedding(net.add("Concat", one, halved, axis=1, channels=16)))
        after = rewritten(before)
        assert operators(after).count("SpaceToDepth") == folds
        require_equal_outputs(before, after, net.pictures())


@pytest.mark.parametrize(
    "attributes",
    [{"strides": [1, 1]}, {"strides": [2, 1]}, {"strides": [2, 2], "dilations": [2, 2]}],
)
def test_other_first_layers_are_left_alone(attributes: dict[str, object]) -> None:
    net = Network(3, 1, 32, 32)
    before = net.int8(net.embedding(net.conv("image", 16, (3, 3), **attributes)))
    after = rewritten(before)
    assert "SpaceToDepth" not in operators(after)
    require_equal_outputs(before, after, net.pictures())


@pytest.mark.parametrize("seed", range(6))
def test_channels_are_filled_up_where_only_convolutions_read_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    squeezed, expanded = int(random.integers(7, 40)), int(random.integers(20, 60))
    net = Network(seed, 1, 38, 44)
    stem = net.conv("image", int(random.integers(20, 40)), (3, 3), strides=[2, 2])
    first = fire(net, net.add("MaxPool", stem, kernel_shape=[3, 3], strides=[2, 2]), squeezed, expanded)
    second = fire(net, first, squeezed + 5, expanded)
    pooled = net.add("MaxPool", second, kernel_shape=[3, 3], strides=[2, 2])
    before = net.int8(net.embedding(net.conv(pooled, 21, (1, 1))))
    after = rewritten(before)
    *filled, last = widths(after)
    assert last == 21  # what is not a convolution reads them
    assert all(n % 8 == 0 for n in filled)
    require_equal_outputs(before, after, net.pictures())


def test_layers_whose_zero_points_are_not_0_are_left_alone() -> None:
    net = Network(4, 1, 32, 32)
    model = onnx.load_from_string(net.int8(net.embedding(net.conv("image", 15, (3, 3), strides=[2, 2]))))
    layer = next(node for node in model.graph.node if node.op_type == "Conv")
    weights = next(node for node in model.graph.node if layer.input[1] in node.output)
    zero_points = next(one for one in model.graph.initializer if one.name == weights.input[2])
    zero_points.CopyFrom(numpy_helper.from_array(np.full(15, 3, np.int8), zero_points.name))
    before = model.SerializeToString()
    after = rewritten(before)
    assert "SpaceToDepth" not in operators(after)
    assert widths(after) == [15]
    require_equal_outputs(before, after, net.pictures())


def test_what_else_is_read_keeps_its_channels() -> None:
    net = Network(5, 1, 32, 32)
    stem = net.conv("image", 15, (3, 3), strides=[2, 2])  # added to another
    summed = net.add("Add", stem, net.conv(stem, 15, (3, 3), pads=[1, 1, 1, 1]))
    deep = net.conv(summed, 30, (1, 1))  # read by a group for each channel
    deep = net.conv(deep, 30, (3, 3), group=30, pads=[1, 1, 1, 1])
    few = net.conv(deep, 3, (1, 1))  # too few: 8 would be mostly padding
    before = net.int8(net.embedding(net.conv(few, 31, (1, 1))))
    after = rewritten(before)
    assert widths(after) == [15, 15, 30, 30, 3, 31]
    require_equal_outputs(before, after, net.pictures())


def test_channels_of_an_output_are_kept() -> None:
    net = Network(6, 1, 32, 32)
    output = net.conv(net.conv("image", 15, (3, 3), strides=[2, 2]), 15, (1, 1))
    before = net.int8(output, ("batch", 15, 15, 15))
    after = rewritten(before)
    assert widths(after) == [16, 15]
    require_equal_outputs(before, after, net.pictures())


def test_layers_in_float_are_filled_up_too() -> None:
    net = Network(7, 1, 38, 44)
    middle = net.conv(net.conv("image", 15, (3, 3), strides=[2, 2]), 14, (3, 3))
    kept = next(node.name for node in net.nodes[::-1] if node.op_type == "Conv")
    before = net.int8(net.embedding(net.conv(middle, 24, (1, 1))), keep_float_ops=[kept])
    after = rewritten(before)
    assert widths(after) == [16, 16, 24]
    require_equal_outputs(before, after, net.pictures())


def test_an_expand_goes_only_where_the_result_stays_as_large() -> None:
    net = Network(8, 1, 32, 32)
    ended = net.embedding(net.conv("image", 16, (3, 3), strides=[2, 2]))
    assert not {"Expand", "Shape", "Concat"}.intersection(operators(rewritten(net.int8(ended))))

    net = Network(8, 1, 32, 32)
    mean = net.add(
        "ReduceMean", net.conv("image", 16, (3, 3), strides=[2, 2]), net.constant([2, 3], np.int64), keepdims=1
    )
    large = net.add("Expand", mean, net.constant([1, 16, 4, 4], np.int64))
    before = net.int8(net.add("Mul", mean, large), ("batch", 16, 4, 4))
    after = rewritten(before)
    assert "Expand" in operators(after)
    require_equal_outputs(before, after, net.pictures())


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_second_time_nothing_changes(symmetric: bool) -> None:
    net = Network(9, 1, 38, 44)
    stem = net.conv("image", 28, (3, 3), strides=[2, 2])
    before = net.int8(net.embedding(net.conv(fire(net, stem, 7, 28), 9, (1, 1))), symmetric=symmetric)
    after = rewritten(before)
    assert after != before
    assert rewritten(after) == after
    require_equal_outputs(before, after, net.pictures())


@pytest.mark.parametrize("name", shipped())
def test_the_shipped_models_are_rewritten(name: str) -> None:
    bundle = Bundle.open(name)
    for graph in bundle.manifest.graphs:
        model = bytes(bundle.read(graph.files["int8.onnx"]))
        assert rewritten(model) == model, graph.name
