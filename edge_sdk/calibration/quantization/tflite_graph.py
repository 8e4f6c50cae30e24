"""A TFLite file as Python objects: read, put in order, cut, write.

Graphs have one subgraph, with one input and one or more outputs. Tensors carry the names that `tidy` gives:
``conv_2d_3`` is what the fourth 2-D convolution computes. Raises MissingToolError on import where LiteRT is not
installed.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ConversionError
from edge_sdk.extras import needs_extra

with needs_extra("tflite-export"):
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

IDENTIFIER = b"TFL3"
ALIGNMENT = 16  # of weights in the file, as the schema demands; NEON and XNNPACK read them in place

WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"})
ON_MAPS = frozenset({"RELU", "RELU6", "LEAKY_RELU", "CONCATENATION", "MAX_POOL_2D", "AVERAGE_POOL_2D"})
"""Stay int8 behind the last layer with weights, as in the ONNX artifacts: they lose nothing."""

_BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "TRANSPOSE_CONV": 3, "FULLY_CONNECTED": 2}  # index of the operand

Model = Any
"""``schema.ModelT``; the generated classes have no types."""


class _Builder(flatbuffers.Builder):  # type: ignore[misc,unused-ignore]
    """Aligns byte vectors, that is weights; flatbuffers for Python ignores the schema's ``force_align``."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802
        """Start a vector; see the base."""
        return int(super().StartVector(elemSize, numElems, ALIGNMENT if elemSize == 1 else alignment))


def read(model: bytes, inputs: int | None = 1) -> Model:
    """Raises ConversionError if this is no TFLite model of one subgraph with so many inputs; None takes any number."""
    if model[4:8] != IDENTIFIER:
        raise ConversionError("not a TFLite model")
    try:
        parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
        left = [kind for kind in versions(parsed) if kind.startswith("STABLEHLO_")]
        if not left or len(parsed.subgraphs) == 1:
            (graph,) = parsed.subgraphs
            found = len(graph.inputs)
    except Exception as exc:  # the generated reader fails in many ways
        raise ConversionError("the TFLite model is damaged, or has several subgraphs") from exc
    if left and len(parsed.subgraphs) > 1:
        raise ConversionError(
            f"the converter has no TFLite operators for parts of the network and left {', '.join(sorted(left))}, which "
            "interpreters do not compute: write these parts otherwise (REDUCE_WINDOW is a pool: use nn.AvgPool2d)"
        )
    if inputs is not None and found != inputs:
        raise ConversionError(f"the TFLite model has {found} inputs, and {inputs} are asked for")
    return parsed


def write(model: Model) -> bytes:
    """Serialise, with the weights inside the flatbuffer: interpreters before 2.15 know no other place for them."""
    builder = _Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def operator(model: Model, op: Any) -> str:
    """The operator's kind, such as ``CONV_2D``."""
    return str(flatbuffer_utils.opcode_to_name(model, op.opcodeIndex))


def versions(model: Model) -> dict[str, int]:
    """{kind of operator: its version}, of all that the model has."""
    kinds = (str(flatbuffer_utils.opcode_to_name(model, index)) for index in range(len(model.operatorCodes)))
    return {kind: int(code.version) for kind, code in zip(kinds, model.operatorCodes, strict=True)}


def name(model: Model, index: int) -> str:
    """A tensor's name."""
    return str(model.subgraphs[0].tensors[index].name.decode())


def tidy(model: bytes, input_name: str, output_names: Sequence[str]) -> bytes:
    """Name the tensors after what computes them, the ends by these names, and give each bias one axis.

    Converters name tensors after the source's modules and line numbers: 40 kB of a 1 MB model. A transposed
    convolution's bias arrives as ``(1, 1, 1, C)``, which quantisers take for one with a single channel.
    """
    parsed = read(model)
    graph = parsed.subgraphs[0]
    counts: Counter[str] = Counter()
    for index, tensor in enumerate(graph.tensors):
        tensor.name = f"constant_{index}".encode()
    for op in graph.operators:
        kind = operator(parsed, op)
        for output in op.outputs:
            graph.tensors[output].name = f"{kind.lower()}_{counts[kind]}".encode()
            counts[kind] += 1
        bias = _BIAS.get(kind, len(op.inputs))
        if bias < len(op.inputs) and op.inputs[bias] >= 0:
            tensor = graph.tensors[op.inputs[bias]]
            tensor.shape = [int(np.prod(tensor.shape))]
    graph.name = b"main"
    rename_ends(parsed, input_name, output_names)
    return write(parsed)


_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0, "FULLY_CONNECTED": 0}
"""Axis of the output channels in the weights."""


def widen_dead_channels(model: Model, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Make each bias fit into 32 bits: raise one weight of channels whose weights are too small for their bias.

    A bias is stored in steps of input scale x weight scale. A channel that a folded batch norm or pruning has left
    with weights near 0 has so small a step that its bias overflows, and AI Edge Quantizer 0.10.0 stores the most
    negative number in silence (``findings/ai_edge_quantizer_dead_channel_bias.sh``). The weight is raised to the least
    value with which the bias fits, far below one step of the layer's output.

    Args:
        ranges: Of the activations by name, as they will be quantised to 8 bits.
    """
    graph = model.subgraphs[0]
    for op in graph.operators:
        kind = operator(model, op)
        bias_operand = _BIAS.get(kind, len(op.inputs))
        if bias_operand >= len(op.inputs) or op.inputs[bias_operand] < 0:
            continue
        # A transposed convolution takes its output's shape first: shape, weights, input, bias.
        taken = op.inputs[2 if kind == "TRANSPOSE_CONV" else 0]
        weight, bias = op.inputs[1], op.inputs[bias_operand]
        low, high = ranges.get(name(model, taken), (0.0, 0.0))
        scale = (max(high, 0.0) - min(low, 0.0)) / 255
        weights, biases = (constant(model, index) for index in (weight, bias))
        if weights is None or biases is None or scale == 0:
            continue
        rows = np.moveaxis(weights.copy(), _CHANNEL_AXIS[kind], 0)
        flat = rows.reshape(len(rows), -1)
        least = 1.01 * 127 * np.abs(biases.reshape(-1)) / (scale * 2**31)
        if not (dead := np.flatnonzero(np.abs(flat).max(axis=1) < least)).size:
            continue
        flat = flat.copy()
        flat[dead, 0] = least[dead]
        widened = np.ascontiguousarray(np.moveaxis(flat.reshape(rows.shape), 0, _CHANNEL_AXIS[kind]), "<f4")
        model.buffers[graph.tensors[weight].buffer].data = np.frombuffer(widened.tobytes(), np.uint8)


def constant(model: Model, index: int) -> NDArray[np.float32] | None:
    """A float constant in its shape; None for what is computed or of another type."""
    tensor = model.subgraphs[0].tensors[index]
    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or data is None or not len(data):
        return None
    return np.frombuffer(bytes(data), "<f4").reshape(tensor.shape)


def split_input(model: bytes, names: Sequence[str]) -> bytes:
    """Equal parts of the input, ``(1, D)``, as inputs of these names, which the graph puts together first.

    Raises:
        ConversionError: The input cannot be split so.
    """
    parsed = read(model)
    graph = parsed.subgraphs[0]
    (whole,) = graph.inputs
    tensor = graph.tensors[whole]
    if len(tensor.shape) != 2 or tensor.shape[1] % len(names):
        raise ConversionError(f"an input of {list(tensor.shape)} has no {len(names)} equal parts")
    outputs = [name(parsed, index) for index in graph.outputs]
    tensor.name += b"_whole"
    graph.inputs = []
    for _ in names:
        part = copy.copy(tensor)
        part.shape = [tensor.shape[0], tensor.shape[1] // len(names)]
        part.shapeSignature = None
        graph.inputs.append(len(graph.tensors))
        graph.tensors.append(part)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONCATENATION
    code.version = 1 if tensor.type == schema.TensorType.FLOAT32 else 2  # integers came with the second
    joined = schema.OperatorT()
    joined.opcodeIndex = len(parsed.operatorCodes)
    joined.inputs, joined.outputs = list(graph.inputs), [whole]
    joined.builtinOptionsType = schema.BuiltinOptions.ConcatenationOptions
    joined.builtinOptions = schema.ConcatenationOptionsT()
    joined.builtinOptions.axis = 1
    parsed.operatorCodes.append(code)
    graph.operators.insert(0, joined)
    rename_ends(parsed, names, outputs)
    return write(parsed)


def rename_ends(model: Model, input_names: str | Sequence[str], output_names: Sequence[str]) -> None:
    """Name input and outputs, in the graph and in its signature, which is ``serving_default``."""
    graph = model.subgraphs[0]
    input_names = (input_names,) if isinstance(input_names, str) else tuple(input_names)
    taken = {end.encode() for end in (*input_names, *output_names)}
    for tensor in graph.tensors:
        if tensor.name in taken:  # an output that other layers take too, as quantisers leave it: integer, of its name
            tensor.name += b"_inner"
    ends = []
    for indices, names in ((graph.inputs, input_names), (graph.outputs, output_names)):
        entries = []
        for index, end in zip(indices, names, strict=True):
            graph.tensors[index].name = end.encode()
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = end.encode(), index
            entries.append(entry)
        ends.append(entries)
    signature = schema.SignatureDefT()
    signature.inputs, signature.outputs = ends
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    model.signatureDefs = [signature]


def tail(model: Model) -> list[Any]:
    """Operators that stay float: from the first behind all weights that does not merely work on maps, to the end.

    The weights of a decision layer (a dense one to a single value) do not count, as in the ONNX artifacts.
    """
    operators = model.subgraphs[0].operators  # sorted
    weighted = [operator(model, op) in WEIGHTED and not is_decision_layer(model, op) for op in operators]
    leads_on: set[int] = set()  # tensors that a layer with weights still follows
    for op, weighs in zip(reversed(operators), reversed(weighted), strict=True):
        if weighs or leads_on.intersection(op.outputs):
            leads_on.update(op.inputs)
    behind: set[int] = set()
    found = []
    for op, weighs in zip(operators, weighted, strict=True):
        if weighs or leads_on.intersection(op.outputs):
            continue
        if operator(model, op) not in ON_MAPS or behind.intersection(op.inputs):
            found.append(op)
            behind.update(op.outputs)
    return found


def logits(model: Model) -> list[str]:
    """Names of the outputs that a decision layer computes: a single value each."""
    graph = model.subgraphs[0]
    found = (op.outputs[0] for op in graph.operators if is_decision_layer(model, op))
    return [name(model, index) for index in found if index in graph.outputs]


def is_decision_layer(model: Model, op: Any) -> bool:
    """Whether an operator is a dense layer to a single value."""
    return operator(model, op) == "FULLY_CONNECTED" and model.subgraphs[0].tensors[op.inputs[1]].shape[0] == 1


def cut(model: Model, outputs: Sequence[int]) -> None:
    """Make these tensors the outputs, and drop all that they do not need."""
    graph = model.subgraphs[0]
    needed = set(outputs)
    kept = []
    for op in reversed(graph.operators):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
            kept.append(op)
    graph.operators, graph.outputs = kept[::-1], list(outputs)
    _drop_tensors(graph, needed | set(graph.inputs))
    model.operatorCodes, codes = _used(model.operatorCodes, {op.opcodeIndex for op in kept})
    model.buffers, buffers = _used(model.buffers, {0, *(t.buffer for t in graph.tensors)})
    model.metadata = []
    for op in kept:
        op.opcodeIndex = codes[op.opcodeIndex]
    for tensor in graph.tensors:
        tensor.buffer = buffers[tensor.buffer]
    rename_ends(model, name(model, graph.inputs[0]), [name(model, index) for index in graph.outputs])


def _drop_tensors(graph: Any, needed: Container[int]) -> None:
    graph.tensors, places = _used(graph.tensors, {index for index in range(len(graph.tensors)) if index in needed})
    places[-1] = -1  # an operand that is left out
    for owner in graph.operators:
        owner.inputs = [places[index] for index in owner.inputs]
        owner.outputs = [places[index] for index in owner.outputs]
    graph.inputs, graph.outputs = ([places[index] for index in ends] for ends in (graph.inputs, graph.outputs))


def _used(items: list[Any], kept: Iterable[int]) -> tuple[list[Any], dict[int, int]]:
    """(the kept items, {old place: new place})."""
    places = {old: new for new, old in enumerate(sorted(kept))}
    return [items[old] for old in places], places
