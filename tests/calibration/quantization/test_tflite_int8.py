"""int8 TFLite: close to float, ranges of all values, the right parts integer, and files that old boards can read."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("ai_edge_quantizer", reason="quantising TFLite needs edge-sdk[tflite-export]")

import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from edge_sdk.calibration.quantization import tflite_graph, tflite_versions
from edge_sdk.calibration.quantization.ranges import METHODS
from edge_sdk.calibration.quantization.tflite_decision import decide_by_place
from edge_sdk.calibration.quantization.tflite_int8 import LOGIT_LIMIT, TfliteStatistics, quantize
from edge_sdk.errors import ConversionError, MissingToolError, UsageError
from edge_sdk.export.formats.float_tflite import to_tflite
from edge_sdk.runtime.engines import load_engine

FLOAT, INT8, INT32 = schema.TensorType.FLOAT32, schema.TensorType.INT8, schema.TensorType.INT32


@pytest.fixture(scope="module")
def statistics(tflite_models) -> TfliteStatistics:
    return TfliteStatistics(tflite_models.fp32, tflite_models.samples)


def run(model: bytes, samples: np.ndarray) -> np.ndarray:
    return load_engine("litert", model, "tflite").run({"image": samples})["embedding"]


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(axis=1) / lengths


def operators(model: bytes) -> list[tuple[str, set[int]]]:
    """(kind, tensor types of what it computes) of each operator."""
    graph = tflite_graph.read(model)
    tensors = graph.subgraphs[0].tensors
    return [
        (tflite_graph.operator(graph, op), {tensors[index].type for index in op.outputs})
        for op in graph.subgraphs[0].operators
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("io", ["float", "int8"])
def test_int8_is_smaller_and_close(tflite_models, statistics, method, io) -> None:
    int8 = statistics.quantize(method=method, io=io)
    assert len(int8) < 0.65 * len(tflite_models.fp32)  # a toy net: names and scales weigh more than they will
    assert cosine(run(int8, tflite_models.samples), tflite_models.expected).min() > 0.99
    tflite_versions.require_old_boards(int8)


def test_the_same_arguments_give_the_same_bytes(tflite_models, statistics) -> None:
    assert quantize(tflite_models.fp32, tflite_models.samples.copy()) == tflite_models.int8 == statistics.quantize()


def test_the_end_of_the_graph_stays_float(tflite_models) -> None:
    found = operators(tflite_models.int8)
    dense = [kind for kind, _ in found].index("FULLY_CONNECTED")
    assert found[0] == ("QUANTIZE", {INT8})
    assert all(types == {INT8} for _, types in found[1 : dense + 1])
    assert found[dense + 1][0] == "DEQUANTIZE"
    assert all(types == {FLOAT} for _, types in found[dense + 1 :])
    lengths = np.linalg.norm(run(tflite_models.int8, tflite_models.samples), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_a_decision_layer_and_the_pooling_before_it_stay_float() -> None:
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = (nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1))
        network = nn.Sequential(*layers).eval()
        samples = torch.rand(6, 1, 16, 24)
    float32 = to_tflite(network, (1, 16, 24))
    found = operators(quantize(float32, samples.numpy()))
    kinds = [kind for kind, _ in found]
    assert all(types == {INT8} for _, types in found[: kinds.index("DEQUANTIZE")])
    behind = found[kinds.index("DEQUANTIZE") :]
    assert all(types == {FLOAT} for _, types in behind[1:])
    assert {"MEAN", "FULLY_CONNECTED"} <= {kind for kind, _ in behind}, kinds
    integer = quantize(float32, samples.numpy(), io="int8")
    assert all(FLOAT not in types for _, types in operators(integer))


def test_integers_of_a_logit_end_where_no_threshold_lies() -> None:
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 1)).eval()
    with torch.no_grad():
        for layer, weight, bias in ((network[0], 1.0, 0.0), (network[3], 60.0, -30.0)):
            layer.weight.fill_(weight)
            layer.bias.fill_(bias)
    samples = np.linspace(0, 1, 31, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 4, 6), np.float32)
    statistics = TfliteStatistics(to_tflite(network, (1, 4, 6)), samples)
    before = statistics.quantize()
    logits = run(statistics.quantize(io="int8"), samples)[:, 0]
    assert statistics.quantize() == before
    assert [high for _, high in statistics._ranges("minmax").values()][-1] > 29  # kept as they were statistics
    wanted = np.linspace(-30, 30, 31).clip(-LOGIT_LIMIT, LOGIT_LIMIT)
    np.testing.assert_allclose(logits, wanted, atol=60 / 255 + 16 / 255)  # half a step in, half a step out, and more
    assert logits.min() == pytest.approx(-LOGIT_LIMIT, abs=0.1)
    assert logits.max() == pytest.approx(LOGIT_LIMIT, abs=0.1)


@pytest.mark.parametrize("channels", [1, 2])
def test_all_integer_decides_at_each_place_and_then_takes_the_mean(channels: int) -> None:
    """Pictures of zeros and ones, whose logit is 102 times the share of ones, minus 50.

    The maps, and the -50 and 52 of each place, are on the integers' grid, so that nothing but the logit is rounded. A
    mean of 8 bits would be: its steps of 1 / 255 are 0.4 of this logit.
    """
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    first, last = nn.Conv2d(1, channels, 1), nn.Linear(channels, 1)
    with torch.no_grad():
        for parameter, value in ((first.weight, 1.0), (first.bias, 0.0), (last.weight, 0.0), (last.bias, -50.0)):
            parameter.fill_(value)
        last.weight[0, 0] = 102.0
    network = nn.Sequential(first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last).eval()
    ones = np.arange(100, 152)
    samples = (np.arange(256) < ones[:, None]).astype(np.float32).reshape(-1, 1, 16, 16)
    logits = 102 * ones / 256 - 50

    float32 = to_tflite(network, (1, 16, 16))
    moved = tflite_graph.read(float32)
    decide_by_place(moved)
    np.testing.assert_allclose(run(tflite_graph.write(moved), samples)[:, 0], logits, atol=1e-4)

    integer = quantize(float32, samples, io="int8")
    assert [kind for kind, _ in operators(integer)][-2:] == ["CONV_2D", "MEAN"]
    (output,) = Interpreter(model_content=integer).get_output_details()
    assert (output["name"], tuple(output["shape"]), output["dtype"]) == ("embedding", (1, 1), np.int8)
    half_a_step = LOGIT_LIMIT / 255
    wanted = logits.clip(-LOGIT_LIMIT, LOGIT_LIMIT)
    np.testing.assert_allclose(run(integer, samples)[:, 0], wanted, atol=1.1 * half_a_step)


def test_with_int8_input_and_output_all_is_integer_and_the_norm_is_gone(tflite_models) -> None:
    found = operators(tflite_models.int8_io)
    assert found[-1] == ("FULLY_CONNECTED", {INT8})
    assert all(types == {INT8} for _, types in found)
    interpreter = Interpreter(model_content=tflite_models.int8_io)
    (image,), (embedding,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (image["name"], image["dtype"], tuple(image["shape"])) == ("image", np.int8, (1, 150, 180, 1))
    assert (embedding["name"], embedding["dtype"]) == ("embedding", np.int8)
    stored = run(tflite_models.int8_io, tflite_models.samples) / embedding["quantization"][0]
    assert np.ptp(stored) > 200  # its range is used; of a unit embedding it would be a part


def test_weights_have_a_scale_for_each_channel(tflite_models) -> None:
    graph = tflite_graph.read(tflite_models.int8)
    tensors = graph.subgraphs[0].tensors
    checked = 0
    for op in graph.subgraphs[0].operators:
        if tflite_graph.operator(graph, op) in {"CONV_2D", "FULLY_CONNECTED"}:
            weights, bias = (tensors[index] for index in op.inputs[1:3])
            assert (weights.type, bias.type) == (INT8, INT32)
            assert len(weights.quantization.scale) == len(bias.quantization.scale) == weights.shape[0] > 1
            assert not np.any(weights.quantization.zeroPoint)
            checked += 1
    assert checked >= 4


def test_ranges_hold_all_that_was_seen_and_not_an_average_of_it(tflite_models) -> None:
    samples = tflite_models.samples.copy()
    samples[5] *= 8
    int8 = quantize(tflite_models.fp32, samples, io="int8")
    scale, zero_point = Interpreter(model_content=int8).get_input_details()[0]["quantization"]
    assert scale == pytest.approx(samples.max() / 255, rel=1e-3)
    assert zero_point == -128  # the range starts at 0


def test_layers_can_be_kept_float(tflite_models, statistics) -> None:
    kept = statistics.quantize(keep_float=["conv_2d_1"])
    convolutions = [types for kind, types in operators(kept) if kind in {"CONV_2D", "DEPTHWISE_CONV_2D"}]
    assert sorted(types == {FLOAT} for types in convolutions) == [False] * (len(convolutions) - 1) + [True]
    assert cosine(run(kept, tflite_models.samples), tflite_models.expected).min() > 0.99
    none = statistics.quantize(keep_float=["CONV_2D", "FULLY_CONNECTED"])
    assert {INT8} not in [types for kind, types in operators(none) if kind in {"CONV_2D", "FULLY_CONNECTED"}]


def test_weights_are_aligned_and_inside_the_flatbuffer(tflite_models) -> None:
    """Interpreters of 2023 know no weights behind the flatbuffer, where the quantiser puts them above 256 KiB."""
    for model in (tflite_models.fp32, tflite_models.int8, tflite_models.int8_io):
        parsed = schema.Model.GetRootAs(model, 0)
        filled = [b for b in map(parsed.Buffers, range(parsed.BuffersLength())) if b.DataLength()]
        assert len(filled) > 8
        assert not any(buffer.Offset() or buffer.Size() for buffer in filled)
        starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in filled]
        assert not any(start % tflite_graph.ALIGNMENT for start in starts)


class Maps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh()
        )
        nn.init.normal_(self.layers[2].bias, std=2.0)  # very different from one channel to the next

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.parametrize("io", ["float", "int8"])
def test_transposed_convolutions_and_a_tanh_at_the_end(io) -> None:
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = Maps().eval()
        samples = torch.rand(6, 1, 16, 24)
    with torch.no_grad():
        expected = network(samples).numpy()
    int8 = quantize(to_tflite(network, (1, 16, 24)), samples.numpy(), io=io)
    assert (operators(int8)[-1][0] == "TANH") or io == "float"  # no norm, so nothing is left out
    np.testing.assert_allclose(run(int8, samples.numpy()), expected, atol=0.04)


class Sine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.sin(x)).flatten(1)


def test_an_operator_that_cannot_be_integer_is_named() -> None:
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    model, samples = to_tflite(Sine(), (1, 8, 8)), np.random.default_rng(0).random((4, 1, 8, 8), np.float32)
    assert ("SIN", {FLOAT}) in operators(quantize(model, samples))
    with pytest.raises(ConversionError, match="SIN"):
        quantize(model, samples, io="int8")


@pytest.mark.parametrize(
    "arguments",
    [{"method": "guess"}, {"keep_float": ["nonesuch"]}, {"keep_float": ["conv_2d_0"], "io": "int8"}],
)
def test_impossible_requests_are_usage_errors(statistics, arguments) -> None:
    with pytest.raises(UsageError):
        statistics.quantize(**arguments)


@pytest.mark.parametrize("damage", ["none", "integers", "nan", "shape"])
def test_bad_samples_are_usage_errors(tflite_models, damage) -> None:
    good = tflite_models.samples
    bad = {
        "none": good[:0],
        "integers": good.astype(np.uint8),
        "nan": np.where(good == good.max(), np.float32(np.nan), good),
        "shape": good[:, :, :-1],
    }[damage]
    with pytest.raises(UsageError):
        quantize(tflite_models.fp32, bad)


@pytest.mark.parametrize("damage", [b"", b"\x1c\0\0\0TFL3", b"\x08\0\0\0ONNX" + bytes(64)])
def test_no_model_is_a_conversion_error(damage) -> None:
    with pytest.raises(ConversionError):
        quantize(damage, np.zeros((1, 1, 8, 8), np.float32))


def test_what_old_boards_do_not_know_is_named(tflite_models) -> None:
    tflite_versions.require_old_boards(tflite_models.fp32)
    graph = tflite_graph.read(tflite_models.fp32)
    known = tflite_graph.versions(graph)
    assert known["FULLY_CONNECTED"] >= 1
    for code in graph.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.FULLY_CONNECTED:
            code.version = 99
        if code.builtinCode == schema.BuiltinOperator.SQRT:
            code.builtinCode = schema.BuiltinOperator.STABLEHLO_ADD
    with pytest.raises(ConversionError, match=r"FULLY_CONNECTED 99: at most 10\nSTABLEHLO_ADD 1: unknown"):
        tflite_versions.require_old_boards(tflite_graph.write(graph))


def test_a_missing_package_names_the_extra(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "edge_sdk.calibration.quantization.tflite_graph")
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(MissingToolError, match='with the extra "tflite-export"'):
        import edge_sdk.calibration.quantization.tflite_graph  # noqa: F401


class Several(nn.Module):
    """An embedding, the map that it comes from, and its latent, which a map is made of again: out of their order."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU())
        self.dense = nn.Linear(6 * 4 * 5, 12)
        self.decoder = nn.Sequential(nn.Linear(12, 40), nn.Unflatten(1, (2, 4, 5)), nn.Conv2d(2, 3, 1), nn.Sigmoid())
        self.last = nn.Linear(12, 8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self.encoder(x)
        latent = self.dense(features.flatten(1))
        return nn.functional.normalize(self.last(latent)), features, self.decoder(latent), latent


def test_several_outputs_keep_their_names_and_axes() -> None:
    names = ("embedding", "features", "reconstruction", "latent")
    torch.manual_seed(0)
    network = Several().eval()
    samples = np.random.default_rng(0).random((16, 1, 8, 10)).astype(np.float32)
    with torch.no_grad():
        expected = dict(zip(names, (made.numpy() for made in network(torch.from_numpy(samples))), strict=True))
    model = to_tflite(network, (1, 8, 10), names)
    both = TfliteStatistics(model, samples)
    integer = both.quantize(io="int8")
    for made, tolerance in ((model, 1e-5), (both.quantize(), 0.05), (integer, 0.05)):
        found = load_engine("litert", made, "tflite").run({"image": samples})
        assert tuple(found) == names
        lengths = np.linalg.norm(found["embedding"], axis=1, keepdims=True)
        found["embedding"] /= lengths
        for name in names:
            assert found[name].shape == expected[name].shape
            assert np.abs(found[name] - expected[name]).max() < tolerance * np.abs(expected[name]).max(), name
        tensors = tflite_graph.read(made).subgraphs[0].tensors
        assert len({tensor.name for tensor in tensors}) == len(tensors)
        assert np.allclose(lengths, 1, atol=1e-2) == (made is not integer)  # which leaves the norm out
        tflite_versions.require_old_boards(made)


@pytest.mark.parametrize("io", ["float", "int8"])
@pytest.mark.parametrize("layer", ["convolution", "depthwise", "dense", "transposed"])
def test_a_channel_without_weights_keeps_its_bias(layer, io) -> None:
    """Folded batch norms and pruning leave such channels; the tool alone stores their bias as the least int32."""
    layers = {
        "convolution": torch.nn.Conv2d(4, 8, 3, padding=1),
        "depthwise": torch.nn.Conv2d(4, 4, 3, padding=1, groups=4),
        "dense": torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 12 * 12, 8)),
        "transposed": torch.nn.ConvTranspose2d(4, 8, 4, 2, 1),
    }
    torch.manual_seed(0)
    network = torch.nn.Sequential(layers[layer])
    weighted = next(m for m in network.modules() if hasattr(m, "weight"))
    with torch.no_grad():
        dead = weighted.weight[:, 0] if layer == "transposed" else weighted.weight[0]
        dead.mul_(0)
        weighted.bias[0] = 1.2345
    samples = np.random.default_rng(0).random((4, 4, 12, 12), np.float32)
    model = to_tflite(network.eval(), (4, 12, 12))
    with torch.no_grad():
        expected = network(torch.from_numpy(samples)).numpy()
    engine = load_engine("litert", quantize(model, samples, io=io), "tflite", threads=1)
    (taken,), (given,) = engine.inputs, engine.outputs
    found = np.concatenate([engine.run({taken.name: sample[None]})[given.name] for sample in samples])
    engine.close()
    step = (expected.max() - expected.min()) / 255
    assert np.abs(found[:, 0] - 1.2345).max() < 2 * step
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
