"""Does an ONNX file hold all its weights? A reader of its protobuf, for devices without the package ``onnx``.

Weights may be tensors of the graph, of attributes (constants), of subgraphs in attributes, of functions and of training
graphs. Each of them can say that its values lie in another file (``data_location``, ``external_data``). Only what leads
to a tensor or names an operator is followed (onnx.proto, IR version 13); all else is skipped by its length.

Protobuf is read as its own parsers do: fields in any order, messages in several parts, numbers of any length. What no
writer of ONNX makes is refused: groups, more than :data:`MAX_DEPTH` messages in each other, more than
:data:`MAX_FIELDS` fields.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_sdk.errors import EngineError, UnsupportedModelError

MAX_DEPTH = 100  # protobuf's own limit
MAX_FIELDS = 2**20  # more than networks of 50,000 nodes have; walked in two seconds

_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}  # what ONNX Runtime's and OpenVINO's packages bring
_COMPILED = "EPContext"  # a node with code for an accelerator, in the file or in another one

# Messages, and the numbers of their fields that hold others.
_MODEL, _TRAINING, _FUNCTION, _GRAPH = "model", "training information", "function", "graph"
_NODE, _ATTRIBUTE, _SPARSE, _TENSOR = "node", "attribute", "sparse tensor", "tensor"
_FIELDS: dict[str, dict[int, str]] = {
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {},
}
_OPERATOR, _DOMAIN, _FUNCTION_NAME, _FUNCTION_DOMAIN = 4, 7, 1, 10
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
_TEXTS = {  # what is kept of a message
    (_NODE, _OPERATOR),
    (_NODE, _DOMAIN),
    (_FUNCTION, _FUNCTION_NAME),
    (_FUNCTION, _FUNCTION_DOMAIN),
    (_TENSOR, _TENSOR_NAME),
}

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def check(model: bytes) -> None:
    """Check that a model holds all that it needs.

    Raises:
        UnsupportedModelError: Weights lie in other files, a part is compiled for an accelerator, an operator is of a
            maker whose code would have to be loaded, or the file is ONNX Runtime's own format.
        EngineError: The file is no ONNX model, cut off, or damaged.
    """
    if model[4:8] == b"ORTM":
        raise UnsupportedModelError("the model is in ONNX Runtime's own format (.ort); a bundle takes ONNX")
    reader = _Reader(model)
    try:
        reader.message(_MODEL, 0, len(model), 0)
    except ValueError as exc:
        raise EngineError(f"this is no ONNX model, or a damaged one: {exc}") from exc
    if not reader.found_graph:
        raise EngineError("this is no ONNX model: it has no graph")
    for domain, operator in sorted(reader.operators - reader.functions):
        if domain not in _DOMAINS:
            raise UnsupportedModelError(
                f"operator {operator!r:.80} of {domain!r:.80} needs code that neither the model nor an engine brings"
            )


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MAX_FIELDS
        self.found_graph = False
        self.operators: set[tuple[str, str]] = set()  # domain, name
        self.functions: set[tuple[str, str]] = set()

    def message(self, kind: str, start: int, end: int, depth: int) -> None:
        """Read the message in these bytes, and those in it. Raises ValueError where it is damaged."""
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} messages lie in each other")
        self.found_graph |= kind == _GRAPH
        texts: dict[int, str] = {}
        outside = False
        for number, wire, low, high in self._fields(start, end):
            if kind == _TENSOR and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and (wire or low))):
                outside = True
            elif wire == _LENGTH and number in _FIELDS[kind]:
                self.message(_FIELDS[kind][number], low, high, depth + 1)
            elif wire == _LENGTH and (kind, number) in _TEXTS:
                texts[number] = self._data[low:high].decode(errors="replace")  # of several the last one counts
                if kind == _NODE and texts.get(_OPERATOR) == _COMPILED:
                    raise UnsupportedModelError("the model holds or names code compiled for an accelerator (EPContext)")
        if outside:
            raise UnsupportedModelError(
                f"the values of tensor {texts.get(_TENSOR_NAME, '')!r:.80} lie in another file, which no hash covers: "
                "save the model with its weights inside (external_data=False)"
            )
        if kind == _NODE:
            self.operators.add((texts.get(_DOMAIN, ""), texts.get(_OPERATOR, "")))
        elif kind == _FUNCTION:
            self.functions.add((texts.get(_FUNCTION_DOMAIN, ""), texts.get(_FUNCTION_NAME, "")))

    def _fields(self, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield number and wire type of each field, and its value (varints) or where it begins and ends."""
        while place < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"more than {MAX_FIELDS} fields")
            tag, place = self._varint(place, end)
            number, wire = tag >> 3, tag & 7
            if not 1 <= number < 2**29:
                raise ValueError(f"a field has the number {number}")
            if wire == _VARINT:
                value, place = self._varint(place, end)
                yield number, wire, value, 0
                continue
            if wire == _LENGTH:
                size, place = self._varint(place, end)
            elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
                size = 8 if wire == _EIGHT_BYTES else 4
            else:
                raise ValueError(f"a field has the wire type {wire}")
            if size > end - place:
                raise ValueError("a field leads out of its message")
            yield number, wire, place, place + size
            place += size

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        if place < end and self._data[place] < 128:  # nearly all of them
            return self._data[place], place + 1
        value = 0
        for shift in range(0, 70, 7):
            if place >= end:
                raise ValueError("it is cut off")
            byte = self._data[place]
            place += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, place
        raise ValueError("a number is too long")
