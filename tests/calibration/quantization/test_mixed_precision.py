"""Sensitivity and mixed precision, on a network in which one layer was made unfit for int8."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="int8 models are made with the export extra")
pytest.importorskip("onnxruntime", reason="int8 models are made with the export extra")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edge_sdk.calibration import guardrail  # noqa: E402
from edge_sdk.calibration.metrics.pairs import verification_scores  # noqa: E402
from edge_sdk.calibration.quantization import mixed_precision  # noqa: E402
from edge_sdk.calibration.quantization.activation_statistics import collect_statistics  # noqa: E402
from edge_sdk.calibration.quantization.mixed_precision import keep_float  # noqa: E402
from edge_sdk.calibration.quantization.onnx_int8 import OnnxQuantizer, provenance, quantize  # noqa: E402
from edge_sdk.calibration.quantization.sensitivity import Sensitivity, sensitivity  # noqa: E402
from edge_sdk.errors import GuardrailError, UsageError  # noqa: E402
from edge_sdk.manifest import AccuracyDifference  # noqa: E402
from edge_sdk.runtime.engines import onnxruntime  # noqa: E402

PEOPLE, EACH = 12, 4


def network(*bad):
    """Four convolutions with ReLU, pooling, L2 norm: ``embedding`` (batch, 8 * 9).

    Channel 0 of every layer is always 0. The layers named in `bad` (1 to 3) give it a weight of 1000, which changes
    nothing in float; in int8, where that is the largest weight of each output channel, all others become 0.
    """
    rng = np.random.default_rng(0)
    nodes, weights, source = [], [], "image"
    for k in range(4):
        kernel = (rng.standard_normal((8, 8 if k else 1, 3, 3)) / (9 if k else 3)).astype(np.float32)
        bias = np.abs(rng.standard_normal(8) / 10).astype(np.float32)
        kernel[0], bias[0] = 0, -1
        if k in bad:
            kernel[1:, 0, 1, 1] = 1000
        weights += [numpy_helper.from_array(kernel, f"w{k}"), numpy_helper.from_array(bias, f"b{k}")]
        nodes.append(helper.make_node("Conv", [source, f"w{k}", f"b{k}"], [f"c{k}"], name=f"conv{k}", pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"c{k}"], [f"r{k}"]))  # without a name
        source = f"r{k}"
    nodes += [
        helper.make_node("AveragePool", [source], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("LpNormalization", ["flat"], ["embedding"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "planted",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 12, 12])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 72])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def images():
    """A pattern a person, with noise: float32 (N, 1, 12, 12)."""
    rng = np.random.default_rng(1)
    patterns = np.repeat(rng.random((PEOPLE, 1, 12, 12)), EACH, axis=0)
    return (patterns + 0.02 * rng.standard_normal(patterns.shape)).astype(np.float32)


def embed(model, images):
    engine = onnxruntime.load(model, threads=1)
    return np.concatenate([engine.run({"image": image[None]})["embedding"] for image in images])


def distance_to_float(model, images):
    """An error: the mean cosine distance."""
    expected = embed(model, images)
    return lambda candidate: float(1 - (embed(candidate, images) * expected).sum(axis=1).mean())


def scores(model, images):
    embeddings = embed(model, images)
    people = np.repeat(np.arange(PEOPLE), EACH)
    return verification_scores(embeddings, people, np.ones(len(people), bool), forgeries="random")


@pytest.fixture(scope="module")
def planted(images):
    """Layer 2 is bad: (float model, observed, measure, error)."""
    model = network(2)
    reference = scores(model, images)
    return (
        model,
        collect_statistics(model, images[::EACH]),
        lambda candidate: (guardrail.compare(reference, scores(candidate, images), data="made up", replicates=200),),
        distance_to_float(model, images[1::EACH]),
    )


def float_layers(model):
    """The convolutions whose weights are float, checking that nothing is quantised between them and their ReLU."""
    graph = onnx.load_from_string(model).graph
    weights = {tensor.name for tensor in graph.initializer}
    takers = {name: node.op_type for node in graph.node for name in node.input}
    kept = [node for node in graph.node if node.op_type == "Conv" and node.input[1] in weights]
    assert all(takers[node.output[0]] == "Relu" for node in kept)
    return [node.name for node in kept]


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_bad_layer_alone_is_kept_in_float_and_the_budget_holds(planted, images, symmetric):
    model, observed, measure, error = planted
    broken = quantize(observed, symmetric=symmetric)
    with pytest.raises(GuardrailError, match="fail"):
        guardrail.enforce(measure(broken))
    mixed = keep_float(OnnxQuantizer(observed, symmetric), measure, error)
    guardrail.enforce(mixed.differences)
    assert mixed.float_layers == ("conv2",)
    assert float_layers(mixed.model) == ["conv2"]
    assert error(mixed.model) < 0.01 < error(broken)
    again = quantize(model, images[::EACH], symmetric=symmetric, keep_float_ops=["conv2"])
    assert again == mixed.model
    record = provenance(images[::EACH], data="d", method="minmax", seed=0, float_nodes=mixed.float_layers)
    assert record.float_nodes == ("conv2",)


@pytest.mark.parametrize("symmetric", [False, True])
def test_onnx_runtime_leaves_float_layers_float(planted, images, symmetric):
    """It quantises float weights between DequantizeLinear and QuantizeLinear by itself unless the model prevents it."""
    model, _, _, error = planted
    observed = collect_statistics(model, images[::EACH])
    for kept in (["conv2"], ["conv1", "conv2"], ["conv0", "conv2"]):
        assert error(quantize(observed, symmetric=symmetric, keep_float_ops=kept)) < 1e-3


def test_a_symmetric_model_has_nothing_quantised_before_a_float_layer(planted):
    """Its input comes from a layer that feeds nobody else: TensorRT then sees plain float in between."""
    graph = onnx.load_from_string(quantize(planted[1], symmetric=True, keep_float_ops=["conv2"])).graph
    makers = {node.output[0]: node.op_type for node in graph.node}
    inputs = {node.name: makers.get(node.input[0]) for node in graph.node if node.op_type == "Conv"}
    assert inputs == {
        "conv0": "DequantizeLinear",
        "conv1": "DequantizeLinear",
        "conv2": "Relu",
        "conv3": "DequantizeLinear",
    }


def test_too_many_bad_layers_stop_with_a_table(images):
    model = network(1, 2, 3)
    reference = scores(model, images)

    def measure(candidate):
        return (guardrail.compare(reference, scores(candidate, images), data="made up", replicates=200),)

    with pytest.raises(GuardrailError, match=r"(?s)2 of 4 layers.*upper 90 %.*fail"):
        keep_float(
            OnnxQuantizer(collect_statistics(model, images[::EACH])), measure, distance_to_float(model, images[1::EACH])
        )


def difference(delta, upper, people):
    verdict = "pass" if upper <= 0.005 else "fail" if delta > 0.005 else "undecidable"
    return AccuracyDifference(
        metric="eer", budget=0.005, delta=delta, upper90=upper, subjects=people, verdict=verdict, data="made up"
    )


FAILS, WITHIN, PASSES = (0.01, 0.03), (0.004, 0.02), (0.001, 0.004)


@pytest.mark.parametrize(
    ("measured", "people", "count"),
    [
        ([FAILS, PASSES, PASSES], 5, 2),
        ([WITHIN, PASSES, PASSES], 5, 2),
        ([WITHIN, PASSES, PASSES], 4, 1),  # who are sure of nothing
        ([FAILS, WITHIN, PASSES], 4, 2),
        ([WITHIN, WITHIN, FAILS], 5, 1),
        ([FAILS, WITHIN, WITHIN], 5, 2),
    ],
)
def test_the_fewest_layers_that_pass_or_else_are_within_the_budget(planted, measured, people, count):
    """Three of six layers may stay float; what is measured with 1, 2 and 3 of them."""

    class Six(OnnxQuantizer):
        layers = tuple(f"conv{k % 4}" for k in range(6))

    attempts = iter(difference(*one, people) for one in measured)
    mixed = keep_float(Six(planted[1]), lambda _: (next(attempts),), lambda _: 0.5)
    assert len(mixed.float_layers) == count
    assert mixed.differences == (difference(*measured[count - 1], people),)


def test_the_calibration_method_is_chosen_again_with_the_layers_in_float(planted):
    _, _, measure, _ = planted
    quantizer = OnnxQuantizer(planted[1])
    best = {quantizer.quantize("minmax"): 0.1, quantizer.quantize("mse", ["conv2"]): 0.1}

    def error(candidate):
        return best.get(candidate, 0.2)

    alone = Sensitivity("conv2", 1.0), *(Sensitivity(f"conv{k}", 0.0) for k in (0, 1, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed_precision, "sensitivity", lambda *_, **__: alone)
        mixed = keep_float(quantizer, measure, error, method="minmax", methods=("minmax", "mse"))
        assert (mixed.method, mixed.float_layers) == ("mse", ("conv2",))
        assert mixed.model == quantizer.quantize("mse", ["conv2"])
        assert keep_float(quantizer, measure, error, method="minmax").method == "minmax"


def test_nothing_measured_is_no_cure(planted):
    with pytest.raises(GuardrailError, match="nothing"):
        keep_float(OnnxQuantizer(planted[1]), lambda _: (), planted[3])


def test_sensitivity_finds_each_bad_layer_beside_another(images):
    model = network(1, 3)
    ranking = sensitivity(OnnxQuantizer(collect_statistics(model, images[::EACH])), distance_to_float(model, images))
    assert {one.layer for one in ranking[:2]} == {"conv1", "conv3"}
    assert {one.layer for one in ranking[2:]} == {"conv0", "conv2"}
    assert ranking[1].error > 10 * ranking[2].error


def test_equal_layers_keep_the_graphs_order(planted):
    assert sensitivity(OnnxQuantizer(planted[1]), lambda _: 0.5) == tuple(
        Sensitivity(f"conv{k}", 0.5) for k in range(4)
    )
    with pytest.raises(UsageError, match="NaN"):
        sensitivity(OnnxQuantizer(planted[1]), lambda _: float("nan"))


def test_where_no_layer_may_stay_float_there_is_no_cure(planted):
    class Integer(OnnxQuantizer):
        layers = ()

    with pytest.raises(GuardrailError, match="no layer may stay float"):
        keep_float(Integer(planted[1]), planted[2], planted[3])
