"""An NVIDIA driver made of the host's own memory, for tests without a GPU."""

from __future__ import annotations

import ctypes
from typing import Any


class FakeDriver:
    """Has the functions of ``libcuda`` that :class:`edge_sdk.runtime.engines.tensorrt.cuda.Cuda` calls.

    ``failures`` gives the error code of a function; what is allocated, and contexts pushed, is counted.
    """

    def __init__(self, **failures: int) -> None:
        self.failures = failures
        self.memory: dict[int, Any] = {}
        self.contexts = 0
        self.retained = 0
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name in self.failures:
                return self.failures[name]
            getattr(self, f"do_{name}", lambda *_: None)(*arguments)
            return 0

        return call

    def do_cuDevicePrimaryCtxRetain(self, context, device) -> None:  # noqa: N802 - the driver's name
        context._obj.value = 7
        self.retained += 1

    def do_cuDevicePrimaryCtxRelease_v2(self, device) -> None:  # noqa: N802
        self.retained -= 1

    def do_cuStreamCreate(self, stream, flags) -> None:  # noqa: N802
        stream._obj.value = 8

    def do_cuDeviceGetName(self, buffer, size, device) -> None:  # noqa: N802
        buffer.value = b"Orin"

    def do_cuDeviceGetAttribute(self, value, attribute, device) -> None:  # noqa: N802
        value._obj.value = {75: 8, 76: 7}[attribute]

    def do_cuDriverGetVersion(self, value) -> None:  # noqa: N802
        value._obj.value = 12060

    def do_cuCtxPushCurrent_v2(self, context) -> None:  # noqa: N802
        assert context.value == 7
        self.contexts += 1

    def do_cuCtxPopCurrent_v2(self, context) -> None:  # noqa: N802
        self.contexts -= 1

    def do_cuMemAlloc_v2(self, address, size) -> None:  # noqa: N802
        assert self.contexts
        block = ctypes.create_string_buffer(size.value)
        address._obj.value = ctypes.addressof(block)
        self.memory[address._obj.value] = block

    def do_cuMemFree_v2(self, address) -> None:  # noqa: N802
        del self.memory[address.value]

    def do_cuMemcpyHtoDAsync_v2(self, target, source, size, stream) -> None:  # noqa: N802
        self._copy(target.value, source.value, target.value, size.value, stream)

    def do_cuMemcpyDtoHAsync_v2(self, target, source, size, stream) -> None:  # noqa: N802
        self._copy(target.value, source.value, source.value, size.value, stream)

    def _copy(self, target: int, source: int, device: int, size: int, stream) -> None:
        assert self.contexts and stream.value == 8 and size <= len(self.memory[device])
        ctypes.memmove(target, source, size)
