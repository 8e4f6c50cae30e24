"""Pools that engines compute differently: every kind on every engine, in float and int8, against PyTorch."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_sdk.calibration.quantization import onnx_int8
from edge_sdk.calibration.quantization.onnx_pools import plain_pools, root_of_squares
from edge_sdk.errors import ConversionError
from edge_sdk.export.formats.float_onnx import to_onnx
from edge_sdk.export.networks.inception import L2Pool
from edge_sdk.runtime.engines import load_engine, usable

POOLS = {
    "plain": nn.AvgPool2d(3, 2),
    "padded": nn.AvgPool2d(3, 1, 1),
    "padded, stride": nn.AvgPool2d(3, 2, 1),
    "padding left out": nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    "padding left out, stride": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "padding left out, oblong": nn.AvgPool2d((2, 5), (1, 2), (0, 2), count_include_pad=False),
    "rounded up": nn.AvgPool2d(3, 2, ceil_mode=True),
    "rounded up, few": nn.AvgPool2d(2, 3, 1, ceil_mode=True),  # the last window would begin behind the picture
    "rounded up, padded": nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    "rounded up, padding left out": nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "maximum": nn.MaxPool2d(3, 2, 1),
    "maximum, rounded up": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "maximum, rounded up, few": nn.MaxPool2d((5, 4), (4, 4), (2, 2), ceil_mode=True),  # as above
}
SIZE = (22, 25)
# Of the output's range. An unpadded pool is at most .0094 off in int8; padding or windows that an engine takes wrongly
# make .09 to .24 of it.
TOLERANCE = {"fp32": 1e-5, "int8": 0.016, "int8-sym": 0.016, "int8-io": 0.016}
NAMES = tuple(f"pool_{number}" for number in range(len(POOLS)))


class Between(nn.Module):
    """Pools of values of both signs, mostly above 0, so that their zero point is no end of the integers."""

    def __init__(self, *pools: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before, self.pools = nn.Conv2d(3, 8, 3, padding=1), nn.ModuleList(pools)
        self.after = nn.ModuleList(nn.Conv2d(8, 8, 3) for _ in pools)
        with torch.no_grad():
            self.before.bias += 1.5

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self.before(x)
        return tuple(after(pool(x)) for pool, after in zip(self.pools, self.after, strict=True))


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return (np.random.default_rng(0).standard_normal((6, 3, *SIZE)) + 1).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> Between:
    return Between(*POOLS.values()).eval()


@pytest.fixture(scope="module")
def onnx_models(network: Between, samples: np.ndarray) -> dict[str, bytes]:
    model = to_onnx(network, samples.shape[1:], NAMES)
    return {
        "fp32": model,
        "int8": onnx_int8.quantize(model, samples),
        "int8-sym": onnx_int8.quantize(model, samples, symmetric=True),
    }


def errors(network: nn.Module, model: bytes, x: np.ndarray, engine: str, form: str) -> list[float]:
    """Largest difference of each output, as a share of its range."""
    with torch.no_grad():
        expected = network(torch.from_numpy(x))
    loaded = load_engine(engine, model, form, threads=1)
    try:
        rows = [loaded.run({"image": one[None]}) for one in x]
    finally:
        loaded.close()
    shares = []
    for name, tensor in zip(NAMES, expected, strict=False):
        found = np.concatenate([row[name] for row in rows])
        assert found.shape == tensor.shape
        shares.append(float(np.abs(found - tensor.numpy()).max() / np.ptp(tensor.numpy())))
    return shares


@pytest.mark.parametrize(
    ("precision", "engine"),
    [
        ("fp32", "onnxruntime"),
        ("fp32", "openvino"),
        ("int8", "onnxruntime"),
        ("int8", "openvino"),
        ("int8-sym", "onnxruntime"),  # it is for TensorRT; ONNX Runtime computes what its nodes say
    ],
)
def test_every_engine_pools_onnx_alike(
    network: Between, samples: np.ndarray, onnx_models: dict[str, bytes], precision: str, engine: str
) -> None:
    if precision != "int8-sym" and not usable(engine, f"{precision}.onnx"):
        pytest.skip(f"{engine} is not installed, or is not exact on this processor")
    found = errors(network, onnx_models[precision], samples, engine, "onnx")
    wrong = {pool: share for pool, share in zip(POOLS, found, strict=True) if share > TOLERANCE[precision]}
    assert not wrong


def test_every_tflite_variant_pools_alike(network: Between, samples: np.ndarray) -> None:
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    from edge_sdk.calibration.quantization.tflite_int8 import TfliteStatistics
    from edge_sdk.export.formats.float_tflite import to_tflite

    model = to_tflite(network, samples.shape[1:], NAMES)
    statistics = TfliteStatistics(model, samples)
    made = {"fp32": model, "int8": statistics.quantize(), "int8-io": statistics.quantize(io="int8")}
    for precision, artifact in made.items():
        found = errors(network, artifact, samples, "litert", "tflite")
        wrong = {pool: share for pool, share in zip(POOLS, found, strict=True) if share > TOLERANCE[precision]}
        assert not wrong, precision


def test_pools_are_written_with_padding_of_their_own() -> None:
    for pool, kinds, pads in (
        ("padded", ["Conv", "Pad", "AveragePool", "Conv"], [0, 0, 0, 0]),
        ("rounded up", ["Conv", "AveragePool", "Conv"], [0, 0, 1, 0]),
        ("rounded up, padded", ["Conv", "Pad", "AveragePool", "Conv"], [0, 0, 1, 0]),
        ("padding left out", ["Conv", "AveragePool", "Conv"], [1, 1, 1, 1]),
    ):
        graph = onnx.load_from_string(to_onnx(Between(POOLS[pool]).eval(), (3, *SIZE))).graph
        assert [node.op_type for node in graph.node] == kinds
        (node,) = (node for node in graph.node if node.op_type == "AveragePool")
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        assert list(given.get("pads", [0, 0, 0, 0])) == pads, pool
        assert not given.get("ceil_mode")
        assert not given.get("count_include_pad")


def test_what_cannot_be_rewritten_is_left_alone() -> None:
    def made(shape: list[int | str], opset: int = 18, **attributes: object) -> onnx.ModelProto:
        node = onnx.helper.make_node("AveragePool", ["x"], ["y"], "pool", kernel_shape=[3, 3], **attributes)
        ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "xy"]
        graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:])
        return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])

    counted = {"pads": [1, 1, 1, 1], "count_include_pad": 1}
    for model in (
        made([1, 2, "height", "width"], **counted),
        made([1, 2, 9, 9], opset=10, **counted),
        made([1, 2, 9, 9], auto_pad="SAME_UPPER"),
    ):
        before = model.SerializeToString(deterministic=True)
        plain_pools(model)
        assert model.SerializeToString(deterministic=True) == before


class Rooted(nn.Module):
    """Convolution, L2 pooling, convolution: magnitudes of very different size, as trained maps have them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before, self.pool, self.after = nn.Conv2d(3, 8, 3, padding=1), L2Pool(), nn.Conv2d(8, 8, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.after(self.pool(self.before(x).relu())),)


ROOTED = Rooted().eval()


@pytest.mark.parametrize("symmetric", [False, True])
def test_l2_pools_stay_float_in_onnx(symmetric: bool, samples: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    x = samples**3
    model = to_onnx(ROOTED, x.shape[1:], NAMES[:1])
    (kept,) = errors(ROOTED, onnx_int8.quantize(model, x, symmetric=symmetric), x, "onnxruntime", "onnx")
    monkeypatch.setattr(onnx_int8, "root_of_squares", lambda _graph: set())
    (rounded,) = errors(ROOTED, onnx_int8.quantize(model, x, symmetric=symmetric), x, "onnxruntime", "onnx")
    assert kept <= 0.02
    assert rounded >= 4 * kept


def test_only_roots_of_squares_are_found() -> None:
    class Other(nn.Module):
        def __init__(self, squared: object) -> None:
            super().__init__()
            self.before, self.squared = nn.Conv2d(3, 4, 1), squared

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.before(x)
            return self.squared(x)

    found = {
        "power": lambda x: (functional.avg_pool2d(x**2, 3) + 1e-3).sqrt(),
        "product of two": lambda x: functional.avg_pool2d(x * x.roll(1, 2), 3).sqrt(),
        "no square": lambda x: functional.avg_pool2d(x.exp(), 3).sqrt(),
        "a layer between": lambda x: functional.conv2d(x * x, torch.ones(1, 4, 1, 1)).sqrt(),
    }
    for name, squared in found.items():
        graph = onnx.load_from_string(to_onnx(Other(squared).eval(), (3, 9, 9))).graph
        for number, node in enumerate(graph.node):
            node.name = node.name or str(number)
        kinds = {node.op_type for node in graph.node if node.name in root_of_squares(graph)}
        assert kinds == ({"Pow", "AveragePool", "Add", "Sqrt"} if name == "power" else set()), name


@pytest.mark.parametrize("io", ["float", "int8"])
def test_l2_pools_stay_float_in_tflite(io: str, samples: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    from edge_sdk.calibration.quantization import tflite_graph, tflite_int8
    from edge_sdk.export.formats.float_tflite import to_tflite

    x = samples**3
    statistics = tflite_int8.TfliteStatistics(to_tflite(ROOTED, x.shape[1:], NAMES[:1]), x)
    made = statistics.quantize(io=io)
    (kept,) = errors(ROOTED, made, x, "litert", "tflite")
    graph = tflite_graph.read(made)
    kinds = {tflite_graph.operator(graph, op) for op in graph.subgraphs[0].operators}
    assert not {"ABS", "SIGN"} & kinds
    monkeypatch.setattr(tflite_int8, "root_of_squares", lambda _graph: set())
    (rounded,) = errors(ROOTED, statistics.quantize(io=io), x, "litert", "tflite")
    assert kept <= 0.02
    assert rounded >= 4 * kept


def test_maps_that_are_always_zero_can_be_quantised(samples: np.ndarray) -> None:
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    from edge_sdk.calibration.quantization.tflite_int8 import TfliteStatistics
    from edge_sdk.export.formats.float_tflite import to_tflite

    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.before, self.dead, self.after = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1), nn.Conv2d(12, 8, 3)
            with torch.no_grad():
                self.dead.bias -= 1000

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            x = self.before(x).relu()
            return (self.after(torch.cat([x, self.dead(x).relu()], dim=1)),)

    network = Dead().eval()
    statistics = TfliteStatistics(to_tflite(network, samples.shape[1:], NAMES[:1]), samples)
    (share,) = errors(network, statistics.quantize(), samples, "litert", "tflite")
    assert share <= 0.016


class Functional(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.before, self.function = nn.Conv2d(3, 4, 1), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.before(x))


def masked(x: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[x > 0.5] = 0
    return x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (masked, "torch.where"),
        (
            lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
            r"STABLEHLO_REDUCE_WINDOW.*nn\.AvgPool2d",
        ),
    ],
    ids=["mask", "pool that is no module"],
)
def test_what_tflite_lacks_is_named(function: object, message: str) -> None:
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    from edge_sdk.export.formats.float_tflite import to_tflite

    with pytest.raises(ConversionError, match=message):
        to_tflite(Functional(function), (3, 12, 12))


def test_a_divisor_of_its_own_is_refused() -> None:
    """PyTorch 2.11's exporter to ONNX leaves it out."""
    with pytest.raises(ConversionError, match="divisor_override"):
        to_onnx(Between(nn.AvgPool2d(2, divisor_override=3)).eval(), (3, *SIZE))
