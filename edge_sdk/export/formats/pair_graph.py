"""The graph that compares two templates, in every format.

Converters and quantisers take networks of one input. So the network takes the two templates behind one another, and
when its file is made, the input is split in two.
"""

from __future__ import annotations

import copy

import onnx

from edge_sdk.errors import ConversionError
from edge_sdk.export.formats.float_onnx import INPUT
from edge_sdk.manifest import Format

REFERENCE, QUERY = "reference", "query"


def two_inputs(model: bytes, form: Format) -> bytes:
    """The model with inputs ``reference`` and ``query``, ``(N, D)`` each, in place of ``(N, 2 D)``.

    Raises:
        ConversionError: It has another input.
    """
    return {"onnx": _onnx, "tflite": _tflite}[form](model)


def _onnx(model: bytes) -> bytes:
    proto = onnx.load_from_string(model)
    graph = proto.graph
    whole = next((value for value in graph.input if value.name == INPUT), None)
    sides = list(whole.type.tensor_type.shape.dim) if whole else []
    if whole is None or len(sides) != 2 or sides[1].dim_value % 2:
        raise ConversionError(f"a graph of pairs takes {INPUT} of two templates behind one another")
    halves = []
    for name in (REFERENCE, QUERY):
        half = copy.deepcopy(whole)
        half.name = name
        half.type.tensor_type.shape.dim[1].dim_value = sides[1].dim_value // 2
        halves.append(half)
    others = [value for value in graph.input if value.name != INPUT]
    nodes = [onnx.helper.make_node("Concat", [REFERENCE, QUERY], [INPUT], "pair", axis=1), *graph.node]
    del graph.input[:], graph.node[:]
    graph.input.extend([*halves, *others])
    graph.node.extend(nodes)
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString(deterministic=True))


def _tflite(model: bytes) -> bytes:
    from edge_sdk.calibration.quantization import tflite_graph  # LiteRT is an extra of its own

    return tflite_graph.split_input(model, (REFERENCE, QUERY))
