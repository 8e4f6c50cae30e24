"""Do all offsets of a TFLite file point into it, and are all its weights in its buffers?

tflite-runtime follows offsets unchecked, and a truncated file ends the process. Checked is what every interpreter
reads; tables of operators' options only as such, for each operator has its own. Newer files may keep weights and
options elsewhere: in other files (``external_buffer``), or behind the structure (``offset``, above 2 GB).
"""

from __future__ import annotations

import struct
from typing import TypeAlias

from edge_sdk.errors import EngineError, UnsupportedModelError

IDENTIFIER = b"TFL3"

# The schema: {number of a field: what its offset leads to}. Numbers below are sizes of a vector's elements (1 also for
# strings), a dict is a table, and a list a vector of such tables. A string is the type of a field that leads out of the
# file, or behind its structure, and has to be 0. Other fields without an offset are not listed.
_Kind: TypeAlias = "int | str | dict[int, _Kind] | list[dict[int, _Kind]]"
_NAMED: dict[int, _Kind] = {0: 1}
_QUANTIZATION: dict[int, _Kind] = {0: 4, 1: 4, 2: 4, 3: 8}
_TENSOR: dict[int, _Kind] = {0: 4, 3: 1, 4: _QUANTIZATION, 7: 4, 10: "<I"}
_OPERATOR: dict[int, _Kind] = {1: 4, 2: 4, 4: {}, 5: 1, 7: 1, 8: 4, 9: "<Q", 12: {}}
_SUBGRAPH: dict[int, _Kind] = {0: [_TENSOR], 1: 4, 2: 4, 3: [_OPERATOR], 4: 1}
_MODEL: dict[int, _Kind] = {
    1: [{1: 1}],  # operator codes
    2: [_SUBGRAPH],
    3: 1,
    4: [{0: 1, 1: "<Q"}],  # buffers
    5: 4,
    6: [_NAMED],  # metadata
    7: [{0: [_NAMED], 1: [_NAMED], 2: 1}],  # signatures
    8: "<I",  # groups of external buffers
    9: "<I",  # external buffers
}


def check(model: bytes) -> None:
    """Raise EngineError if the file is none, or cut off, or its structure damaged; weights are not looked at.

    UnsupportedModelError if weights or options are not in its buffers.
    """
    if model[4:8] != IDENTIFIER:
        raise EngineError("not a TFLite model")
    try:
        _follow(model, 0, _MODEL)
    except (struct.error, ValueError) as exc:
        raise EngineError("the TFLite model is damaged or cut off") from exc


def _follow(data: bytes, place: int, kind: _Kind) -> None:
    """Check what the offset at ``place`` leads to. Raises ValueError or struct.error where it leads out."""
    if isinstance(kind, str):
        if _read(kind, data, place):
            raise UnsupportedModelError("the TFLite model keeps weights or options outside of its buffers")
        return
    target = place + _read("<I", data, place)
    if isinstance(kind, dict):
        _table(data, target, kind)
        return
    size = 4 if isinstance(kind, list) else kind
    count = _read("<I", data, target)
    if target + 4 + count * size > len(data):
        raise ValueError("a vector leads out of the file")
    if isinstance(kind, list):
        for number in range(count):
            _follow(data, target + 4 + 4 * number, kind[0])


def _table(data: bytes, table: int, fields: dict[int, _Kind]) -> None:
    layout = table - _read("<i", data, table)
    layout_size, size = _read("<H", data, layout), _read("<H", data, layout + 2)
    if layout + layout_size > len(data) or table + size > len(data):
        raise ValueError("a table leads out of the file")
    places = [_read("<H", data, layout + 4 + 2 * number) for number in range(layout_size // 2 - 2)]
    if any(place >= size for place in places):
        raise ValueError("a field leads out of its table")
    for number, place in enumerate(places):
        if place and number in fields:
            _follow(data, table + place, fields[number])


def _read(form: str, data: bytes, place: int) -> int:
    if place < 0:
        raise ValueError("an offset leads before the file")
    return int(struct.unpack_from(form, data, place)[0])
