"""``hooks.cpp`` for ctypes."""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .interface import STATUSES, Image, Library, NativeError, Session

Outputs = Mapping[str, NDArray[np.float32]]


def _values(array: NDArray[Any]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in array.ravel().tolist()]


def encoded(outputs: Outputs) -> bytes:
    """Outputs of a network as hooks take them."""
    return msgspec.json.encode({name: {"shape": one.shape, "values": _values(one)} for name, one in outputs.items()})


class Hooks:
    """The library that holds them, and all of the interface besides."""

    def __init__(self, path: Path) -> None:
        self.library = Library(path)
        self.library.c.hook_said.restype = c.c_char_p

    def _call(self, name: str, *arguments: Any) -> None:
        if status := getattr(self.library.c, name)(*arguments):
            raise NativeError(STATUSES[status], self.library.c.hook_said().decode(errors="replace"))

    def files(self, path: Path) -> bytes:
        """What the files hold that a bundle's manifest names, of its graphs and then of its golden trial."""
        out, length = c.create_string_buffer(2**20), c.c_size_t()
        self._call("hook_files", str(path).encode(), out, c.c_size_t(len(out)), c.byref(length))
        return out.raw[: length.value]

    def decode(self, image: Image, room: int = 2**24) -> NDArray[np.uint8]:
        out, shape = np.empty(room, np.uint8), np.zeros(3, np.int32)
        self._call("hook_decode", c.byref(image), _at(out), c.c_size_t(out.size), _at(shape))
        found = out[: int(shape.prod())].reshape(shape)
        return found[:, :, 0] if shape[2] == 1 else found

    def preprocess(self, operations: Any, image: Image, shape: tuple[int, ...]) -> NDArray[np.float32]:
        out = np.empty(shape, np.float32)
        steps = msgspec.json.encode(operations)
        self._call("hook_preprocess", steps, c.byref(image), _at(out), c.c_size_t(out.size))
        return out

    def signature(
        self, operations: Any, region: Any, familiarity: Any, image: Image, shape: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], set[str], set[str]]:
        out, bits = np.empty(shape, np.float32), np.zeros(2, np.uint64)
        manifest = {"preprocessing": operations, "region": region, "familiarity": familiarity}
        given = msgspec.json.encode(manifest), c.byref(image), _at(out), c.c_size_t(out.size), _at(bits)
        self._call("hook_signature", *given)
        raised, blocking = (self.library.flags(int(one)) for one in bits)
        return out, raised, blocking

    def faces(
        self, locator: Any, alignment: Any, outputs: Outputs, image: Image, aligned: NDArray[np.uint8]
    ) -> dict[str, Any]:
        out = c.create_string_buffer(100_000)
        given = msgspec.json.encode(locator), msgspec.json.encode(alignment), encoded(outputs), c.byref(image)
        self._call("hook_faces", *given, out, c.c_size_t(len(out)), _at(aligned))
        found: dict[str, Any] = msgspec.json.decode(out.value)
        return found | {
            key: self.library.flags(found[key]) for key in ("unfit", "blocking", "not_enrolled") if key in found
        }

    def compare(
        self, score: Any, auxiliary: bytes, references: NDArray[np.float32], query: NDArray[np.float32]
    ) -> tuple[float, float]:
        found = np.zeros(2)
        rows, one = np.ascontiguousarray(references, np.float32), np.ascontiguousarray(query, np.float32)
        sizes = c.c_size_t(len(rows)), c.c_size_t(rows.shape[1])
        self._call(
            "hook_compare", msgspec.json.encode(score), auxiliary, c.c_size_t(len(auxiliary)), _at(rows), *sizes,
            _at(one), _at(found),
        )  # fmt: skip
        return float(found[0]), float(found[1])

    def liveness(self, score: Any, auxiliary: bytes, outputs: Outputs) -> tuple[float, float, float]:
        found = np.zeros(3)
        given = msgspec.json.encode(score), auxiliary, c.c_size_t(len(auxiliary)), encoded(outputs), _at(found)
        self._call("hook_liveness", *given)
        return tuple(found.tolist())

    def open(
        self, path: Path, variant: str, outputs: Outputs, *, cut_out: bool = False, locator: Session | None = None
    ) -> Session:
        """A session on an engine that gives these outputs, whatever the picture; none of them: it fails."""
        session = Session.__new__(Session)
        session.library, session.handle = self.library, c.c_void_p()
        held = locator.handle if locator else None
        self._call(
            "hook_open", str(path).encode(), variant.encode(), c.c_int32(cut_out), held, encoded(outputs),
            c.byref(session.handle),
        )  # fmt: skip
        return session


def _at(array: NDArray[Any]) -> c.c_void_p:
    return c.c_void_p(array.ctypes.data)
