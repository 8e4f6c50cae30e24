from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

import torch  # noqa: E402
from torch import nn  # noqa: E402

from edge_sdk.calibration.quantization import onnx_int8 as q  # noqa: E402
from edge_sdk.calibration.quantization.activation_statistics import collect_statistics  # noqa: E402
from edge_sdk.calibration.quantization.ranges import METHODS  # noqa: E402
from edge_sdk.errors import EngineError, UsageError  # noqa: E402
from edge_sdk.runtime import device  # noqa: E402
from edge_sdk.runtime.engines import onnxruntime as engine  # noqa: E402
from edge_sdk.runtime.engines.compiled import CompiledStore  # noqa: E402

SATURATES = device.int8_saturates()


class Fire(nn.Module):
    def __init__(self, channels, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeeze, 1)
        self.one = nn.Conv2d(squeeze, expand, 1)
        self.three = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x).relu()
        return torch.cat([self.one(x).relu(), self.three(x).relu()], 1)


class Net(nn.Module):
    def __init__(self, dense):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2)
        self.fire = nn.Sequential(nn.MaxPool2d(3, 2), Fire(16, 8, 32), nn.MaxPool2d(3, 2), Fire(64, 16, 64))
        self.dense = nn.Linear(128, 64) if dense else nn.Identity()

    def forward(self, x):
        x = self.fire(self.stem(x).relu())
        return nn.functional.normalize(self.dense(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)))


@pytest.fixture(scope="module", params=[True, False], ids=["dense", "pooled"])
def model(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net(request.param).eval()
    return exported(net, "embedding")


def exported(net, output):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            net,
            (torch.rand(2, 1, 48, 64),),
            dynamo=True,
            opset_version=18,
            external_data=False,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["image"],
            output_names=[output],
        )
    return program.model_proto.SerializeToString()


@pytest.fixture(scope="module")
def samples():
    """Sparse strokes, as ink is: mostly 0, up to 1."""
    rng = np.random.default_rng(0)
    return (rng.random((12, 1, 48, 64)) * (rng.random((12, 1, 48, 64)) < 0.2)).astype(np.float32)


def run(model, samples):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options).run(None, {"image": samples})[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("symmetric", [False, True])
def test_int8_is_smaller_and_close(model, samples, method, symmetric):
    int8 = q.quantize(model, samples, method=method, symmetric=symmetric)
    assert len(int8) < 0.65 * len(model)  # a toy net: names and scales weigh more than they will
    cosine = (run(model, samples) * run(int8, samples)).sum(axis=1)
    assert cosine.min() > 0.99
    assert np.linalg.norm(run(int8, samples), axis=1) == pytest.approx(1, abs=1e-5)


def test_the_same_arguments_give_the_same_bytes(model, samples):
    assert q.quantize(model, samples) == q.quantize(model, samples.copy())


def types(proto):
    """Activation zero-point types, and {convolution weight: (type, number of scales)}."""
    tensors = {t.name: t for t in proto.graph.initializer}
    activations = {tensors[n.input[2]].data_type for n in proto.graph.node if n.op_type == "QuantizeLinear"}
    producers = {n.output[0]: n for n in proto.graph.node}
    weights = {}
    for node in proto.graph.node:
        if node.op_type in {"Conv", "Gemm"}:
            source = producers[node.input[1]].input
            weights[node.name] = (tensors[source[0]].data_type, tuple(tensors[source[1]].dims))
    return activations, weights, tensors


def test_cpu_artifact_has_unsigned_activations_and_signed_weights_per_channel(model, samples):
    activations, weights, _ = types(onnx.load_from_string(q.quantize(model, samples)))
    assert activations == {onnx.TensorProto.UINT8}
    assert len(weights) >= 7
    assert all(kind == onnx.TensorProto.INT8 and dims and dims[0] > 1 for kind, dims in weights.values())


def test_symmetric_artifact_has_zero_points_of_zero_and_float_bias(model, samples):
    proto = onnx.load_from_string(q.quantize(model, samples, symmetric=True))
    activations, weights, tensors = types(proto)
    assert activations == {onnx.TensorProto.INT8}
    assert all(kind == onnx.TensorProto.INT8 for kind, _ in weights.values())
    assert not any(t.data_type == onnx.TensorProto.INT32 for t in tensors.values())
    for node in proto.graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            assert not onnx.numpy_helper.to_array(tensors[node.input[2]]).any()


@pytest.mark.parametrize("symmetric", [False, True])
def test_what_is_concatenated_has_one_scale(model, samples, symmetric):
    """Branches with scales of their own are rounded a second time by some engines, and not by others."""
    proto = onnx.load_from_string(q.quantize(model, samples, method="percentile_99.9", symmetric=symmetric))
    constants = {t.name: onnx.numpy_helper.to_array(t).item() for t in proto.graph.initializer if not t.dims}
    producers = {name: n for n in proto.graph.node for name in n.output}
    maps = [n for n in proto.graph.node if n.op_type == "Concat" and n.input[0].endswith("DequantizeLinear_Output")]
    assert len(maps) == 2
    for concat in maps:
        (result,) = (n for n in proto.graph.node if concat.output[0] in n.input)
        pairs = [[constants[name] for name in producers[branch].input[1:]] for branch in concat.input]
        assert pairs == [[constants[name] for name in result.input[1:]]] * 2
        for branch in concat.input:  # and the node that quantises agrees with the one that restores
            restored = producers[branch]
            assert producers[restored.input[0]].input[1:] == restored.input[1:]


def test_the_end_of_the_graph_stays_float(model, samples):
    proto = onnx.load_from_string(q.quantize(model, samples))
    producers = {name: n for n in proto.graph.node for name in n.output}
    (output,) = proto.graph.output
    node, behind = producers[output.name], []
    while node.op_type not in {"Gemm", "DequantizeLinear"}:
        behind.append(node.op_type)
        node = producers[node.input[0]]
    assert "Div" in behind  # the L2 norm
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(behind)
    if any(n.op_type == "Gemm" for n in proto.graph.node):
        assert node.op_type == "Gemm"  # hands out float
        assert producers[node.input[0]].op_type == "DequantizeLinear"  # but takes int8
    else:
        assert behind[-1] in {"ReduceMean", "GlobalAveragePool"}


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_decision_layer_and_the_pooling_before_it_stay_float(samples, symmetric):
    """One value has no others to make up for its rounding; a layer to many is int8, as ``dense`` above."""
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1)).eval()
    proto = onnx.load_from_string(q.quantize(exported(net, "logit"), samples, symmetric=symmetric))
    producers = {name: n for n in proto.graph.node for name in n.output}
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    decision = producers["logit"]
    assert decision.op_type == "Gemm"
    assert constants[decision.input[1]].data_type == onnx.TensorProto.FLOAT
    node, behind = producers[decision.input[0]], []
    while node.op_type != "DequantizeLinear" and node.op_type != "Conv":
        behind.append(node.op_type)
        node = producers[node.input[0]]
    assert {"ReduceMean", "GlobalAveragePool"} & set(behind)
    assert sum(n.op_type == "QuantizeLinear" for n in proto.graph.node) == (1 if symmetric else 2)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("groups", [2, 8])
def test_every_channel_of_a_grouped_transposed_convolution_keeps_its_values(samples, groups, symmetric):
    """Weights of 0.001 to 1 by output channel: those of groups would share a scale, or stop the quantiser."""
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=groups))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        sizes = torch.logspace(-3, 0, 8)
        net[2].weight.normal_()
        for row in range(8):
            first = row // (8 // groups) * (8 // groups)
            net[2].weight[row] *= sizes[first : first + 8 // groups, None, None]
        net[2].bias.copy_(sizes)
    model = exported(net.eval(), "map")
    expected, found = run(model, samples), run(q.quantize(model, samples, symmetric=symmetric), samples)
    noise = np.square(found - expected).mean(axis=(0, 2, 3)) / np.square(expected).mean(axis=(0, 2, 3))
    assert noise.max() < 1e-3, "30 dB in each channel"


def test_no_unused_tensors_are_left(model, samples):
    proto = onnx.load_from_string(q.quantize(model, samples))
    used = {name for n in proto.graph.node for name in n.input}
    assert {t.name for t in proto.graph.initializer} <= used


def test_named_nodes_stay_float(model, samples):
    nodes = onnx.load_from_string(model).graph.node
    operators = {n.op_type for n in nodes}
    stem = next(n.name for n in nodes if n.op_type == "Conv")
    proto = onnx.load_from_string(q.quantize(model, samples, keep_float_ops=[stem]))
    node = next(n for n in proto.graph.node if n.name == stem)
    assert node.input[1] in {t.name for t in proto.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    whole = onnx.load_from_string(q.quantize(model, samples, keep_float_ops=sorted({"Conv", "Gemm"} & operators)))
    assert not any(t.data_type == onnx.TensorProto.INT8 for t in whole.graph.initializer)


def test_usage_errors(model, samples):
    with pytest.raises(UsageError, match="unknown calibration method"):
        q.quantize(model, samples, method="guess")
    with pytest.raises(UsageError, match="float32"):
        q.quantize(model, samples[:0])
    with pytest.raises(UsageError, match="float32"):
        q.quantize(model, samples.astype(np.float64))
    with pytest.raises(UsageError, match="no such node"):
        q.quantize(model, samples, keep_float_ops=["nobody"])


def test_provenance_digests_values_and_shape(samples):
    first = q.provenance(samples, data="synthetic", method="minmax", seed=3)
    assert (first.count, first.method, first.seed, len(first.digest)) == (12, "minmax", 3, 64)
    changed = samples.copy()
    changed[0, 0, 0, 0] += 1
    assert q.provenance(changed, data="synthetic", method="minmax", seed=3).digest != first.digest
    assert q.provenance(samples.reshape(12, 1, 64, 48), data="s", method="minmax", seed=3).digest != first.digest


def test_one_pass_makes_every_artifact(model, samples):
    """Equal bytes to quantising from scratch, whatever was made from the statistics before."""
    statistics = collect_statistics(model, samples)
    for method in ("mse", "minmax"):
        for symmetric in (True, False):
            expected = q.quantize(model, samples, method=method, symmetric=symmetric)
            assert q.quantize(statistics, method=method, symmetric=symmetric) == expected
    with pytest.raises(UsageError, match="calibration samples"):
        q.quantize(statistics, samples)
    with pytest.raises(UsageError, match="calibration samples"):
        q.quantize(model)


def test_ranges_hold_what_the_float_model_computed(model, samples):
    """Against all tensors of all samples at once, from ONNX's own reference implementation."""
    from onnx.reference import ReferenceEvaluator

    statistics = collect_statistics(model, samples)
    proto = onnx.load_from_string(statistics.model)
    names = [name for node in proto.graph.node if node.op_type in {"Conv", "Relu", "Gemm"} for name in node.output]
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    values = ReferenceEvaluator(proto).run(names, {"image": samples})
    ranges = statistics.ranges("minmax", "affine")
    for name, value in zip(names, values, strict=True):
        assert ranges[name] == pytest.approx((min(value.min(), 0), max(value.max(), 0)), abs=1e-4)
    assert ranges["image"] == (0, samples.max())


def test_a_layer_and_its_activation_function_are_one(model, samples):
    statistics = collect_statistics(model, samples)
    nodes = {node.name: node for node in onnx.load_from_string(statistics.model).graph.node}
    for name, layer in statistics.layers.items():
        kinds = [nodes[part].op_type for part in layer]
        assert layer[0] == name
        assert kinds in (["Conv", "Relu"], ["Gemm"])


def test_a_model_that_overflows_is_refused(model, samples):
    with pytest.raises(UsageError, match="not finite"):
        collect_statistics(model, np.full_like(samples, 3e38))


class Twice(nn.Module):
    """Uses one convolution twice, and two layers with one bias."""

    def __init__(self):
        super().__init__()
        self.stem, self.body, self.last = (nn.Conv2d(channels, 8, 3, padding=1) for channels in (1, 8, 8))
        self.last.bias = self.stem.bias

    def forward(self, x):
        x = self.body(self.stem(x).relu()).relu()
        return self.last(self.body(x).relu()).mean((2, 3))


@pytest.fixture(scope="module")
def twice():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return exported(Twice().eval(), "embedding")


def shared_constants(proto):
    """Initialisers of weights and biases, and what is dequantised of them, that have more than one consumer."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    restored = [n for n in proto.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]
    used = Counter(name for node in restored for name in node.input)
    outputs = {node.output[0] for node in restored}
    used.update(name for node in proto.graph.node for name in node.input if name in outputs)
    return {name for name, count in used.items() if count > 1}


@pytest.mark.parametrize("symmetric", [False, True])
def test_layers_that_share_a_weight_run_with_exact_kernels(twice, samples, symmetric, monkeypatch):
    """ONNX Runtime's switch for x86 without VNNI refuses a weight that it meets twice."""
    monkeypatch.setattr(device, "int8_saturates", lambda: False)
    int8 = q.quantize(twice, samples, symmetric=symmetric)
    assert not shared_constants(onnx.load_from_string(int8))
    expected = engine.load(int8, threads=1).run({"image": samples})["embedding"]
    monkeypatch.setattr(device, "int8_saturates", lambda: True)
    monkeypatch.setattr(engine, "_IN_FLOAT", "must not be needed")
    found = engine.load(int8, threads=1).run({"image": samples})["embedding"]
    difference = np.abs(run(twice, samples) - found).max() / np.abs(found).max()
    assert difference < 0.1, "it computes something else"
    if not SATURATES:  # else the first is what the second must not be
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_model_that_shares_is_loaded_with_exact_arithmetic(twice, samples, monkeypatch, caplog, tmp_path):
    """As bundles made before hold them."""
    expected = q.quantize(twice, samples)
    monkeypatch.setattr(q, "_unshare_constants", lambda _: None)
    shares = q.quantize(twice, samples)
    assert shared_constants(onnx.load_from_string(shares))
    monkeypatch.setattr(device, "int8_saturates", lambda: True)
    found, wanted = (engine.load(model, threads=1).run({"image": samples})["embedding"] for model in (shares, expected))
    np.testing.assert_allclose(found, wanted, atol=1e-2 * np.abs(wanted).max())
    assert "share a weight" in caplog.text
    store = CompiledStore("ab" * 32, True, tmp_path)
    for _ in range(2):  # kept, and from what was kept
        kept = engine.load(shares, threads=1, compiled=store).run({"image": samples})["embedding"]
        np.testing.assert_array_equal(kept, found)
    assert list(tmp_path.iterdir())
    with pytest.raises(EngineError):
        engine.load(b"no model", threads=1)


def test_what_shares_nothing_is_left_as_it_is(model, samples, monkeypatch):
    expected = q.quantize(model, samples)
    monkeypatch.setattr(q, "_unshare_constants", lambda _: None)
    assert q.quantize(model, samples) == expected


def test_shared_scales_and_biases_are_given_to_each_layer(twice, samples, monkeypatch):
    """Whatever a quantiser shares: here every constant of the last layer but its weight is also the first one's."""
    with monkeypatch.context() as patch:
        patch.setattr(q, "_unshare_constants", lambda _: None)
        proto = onnx.load_from_string(q.quantize(twice, samples))
    graph = proto.graph
    producers = {node.output[0]: node for node in graph.node}
    first, *_, last = (node for node in graph.node if node.op_type == "Conv")
    producers[last.input[1]].input[1:] = producers[first.input[1]].input[1:]
    last.input[2] = first.input[2]
    expected = run(proto.SerializeToString(), samples)
    assert len(shared_constants(proto)) > 3
    q._unshare_constants(graph)
    onnx.checker.check_model(proto)
    assert not shared_constants(proto)
    np.testing.assert_array_equal(run(proto.SerializeToString(), samples), expected)
