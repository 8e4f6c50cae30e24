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


MAX_TABLES = 2**18
"""Tables and vectors that are followed: offsets may all lead to the same few, which are looked at for each."""


def check(model: bytes) -> None:
    """Raise EngineError if the file is none, or cut off, or its structure damaged; weights are not looked at.

    UnsupportedModelError if weights or options are not in its buffers.
    """
    if model[4:8] != IDENTIFIER:
        raise EngineError("not a TFLite model")
    try:
        _Reader(model).follow(0, _MODEL)
    except (struct.error, ValueError) as exc:
        raise EngineError(f"the TFLite model is damaged or cut off: {exc}") from exc


class _Reader:
    """Checks offsets; all methods raise ValueError or struct.error where one leads out of the file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MAX_TABLES

    def follow(self, place: int, kind: _Kind) -> None:
        """Check what the offset at ``place`` leads to."""
        if isinstance(kind, str):
            if self._read(kind, place):
                raise UnsupportedModelError("the TFLite model keeps weights or options outside of its buffers")
            return
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {MAX_TABLES} tables")
        target = place + self._read("<I", place)
        if isinstance(kind, dict):
            self._table(target, kind)
            return
        size = 4 if isinstance(kind, list) else kind
        count = self._read("<I", target)
        if target + 4 + count * size > len(self._data):
            raise ValueError("a vector leads out of the file")
        if isinstance(kind, list):
            for number in range(count):
                self.follow(target + 4 + 4 * number, kind[0])

    def _table(self, table: int, fields: dict[int, _Kind]) -> None:
        layout = table - self._read("<i", table)
        layout_size, size = self._read("<H", layout), self._read("<H", layout + 2)
        if layout + layout_size > len(self._data) or table + size > len(self._data):
            raise ValueError("a table leads out of the file")
        places = struct.unpack_from(f"<{max(0, layout_size // 2 - 2)}H", self._data, layout + 4)
        if any(place >= size for place in places):
            raise ValueError("a field leads out of its table")
        for number, kind in fields.items():
            if number < len(places) and places[number]:
                self.follow(table + places[number], kind)

    def _read(self, form: str, place: int) -> int:
        if place < 0:
            raise ValueError("an offset leads before the file")
        return int(struct.unpack_from(form, self._data, place)[0])
