"""The little of CUDA that an engine needs: device memory, a stream, and which GPU this is.

Through the driver's own library, which every machine with an NVIDIA driver has (a Jetson too) under one name and with
a stable interface: no Python package and no version of the CUDA runtime has to be installed.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import DeviceMemoryError, DeviceNotFoundError, EngineError

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_WSL_LIBRARY = "/usr/lib/wsl/lib/libcuda.so.1"  # where the linker is not told of it
_OUT_OF_MEMORY = 2
_FORKED = 3  # "not initialized", by a driver that was: in the process that this one is a fork of
_NO_DEVICE = {100: "no GPU", 101: "no such GPU", 803: "a driver that does not fit its library"}
_MAJOR, _MINOR = 75, 76  # attributes: compute capability


@dataclass(frozen=True)
class Gpu:
    """Name (``Orin``), compute capability (``8.7``), and driver (``12.6``, and its own version where it tells)."""

    name: str
    compute_capability: str
    driver: str


class Cuda:
    """A GPU's primary context, which TensorRT shares, with one stream.

    Args:
        device: Number of the GPU.
        library: The driver's library, for tests.

    Raises:
        DeviceNotFoundError: There is no driver or no such GPU.
    """

    def __init__(self, device: int = 0, library: Any = None) -> None:
        self._library = _open() if library is None else library
        self._call("cuInit", 0)
        self._device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(self._device), device)
        self._context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)
        self._stream = ctypes.c_void_p()
        self._memory: list[int] = []
        with self.current():
            self._call("cuStreamCreate", ctypes.byref(self._stream), 0)

    @property
    def stream(self) -> int:
        """Handle of the stream."""
        assert self._stream.value is not None, "a closed context was used"
        return self._stream.value

    def gpu(self) -> Gpu:
        """Say which GPU and driver this is."""
        name = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", name, len(name), self._device)
        major, minor, version = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, self._device)
        self._call("cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, self._device)
        self._call("cuDriverGetVersion", ctypes.byref(version))
        driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
        with contextlib.suppress(OSError):  # Linux
            driver += " " + Path("/sys/module/nvidia/version").read_text(encoding="ascii").strip()
        return Gpu(name.value.decode(errors="replace"), f"{major.value}.{minor.value}", driver)

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Make this the calling thread's context, which all but :meth:`gpu` needs."""
        self._call("cuCtxPushCurrent_v2", self._context)
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    def allocate(self, size: int) -> int:
        """Return the address of ``size`` bytes on the device, freed by :meth:`close`."""
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        self._memory.append(address.value)
        return address.value

    def upload(self, address: int, array: NDArray[np.float32]) -> None:
        """Queue the copying of a contiguous array to the device; keep it until :meth:`synchronize`."""
        source = ctypes.c_void_p(array.ctypes.data)
        self._call(
            "cuMemcpyHtoDAsync_v2", ctypes.c_uint64(address), source, ctypes.c_size_t(array.nbytes), self._stream
        )

    def download(self, array: NDArray[np.float32], address: int) -> None:
        """Queue the filling of a contiguous array from the device; look at it after :meth:`synchronize`."""
        target = ctypes.c_void_p(array.ctypes.data)
        self._call(
            "cuMemcpyDtoHAsync_v2", target, ctypes.c_uint64(address), ctypes.c_size_t(array.nbytes), self._stream
        )

    def synchronize(self) -> None:
        """Wait for all that was queued."""
        self._call("cuStreamSynchronize", self._stream)

    def close(self) -> None:
        """Free memory, stream and context; twice is harmless."""
        if self._context.value is None:
            return
        with self.current():
            while self._memory:
                self._call("cuMemFree_v2", ctypes.c_uint64(self._memory.pop()))
            self._call("cuStreamDestroy_v2", self._stream)
        self._call("cuDevicePrimaryCtxRelease_v2", self._device)
        self._context = ctypes.c_void_p()

    def _call(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code == 0:
            return
        if code in _NO_DEVICE:
            raise DeviceNotFoundError(
                f"the NVIDIA driver finds {_NO_DEVICE[code]} (CUDA error {code}): see what nvidia-smi says, "
                'or use engine="auto"'
            )
        if code == _OUT_OF_MEMORY:
            raise DeviceMemoryError(f"{function}: the GPU is out of memory; close other programs that use it")
        if code == _FORKED and function == "cuInit":
            raise EngineError(
                "CUDA cannot be used in a fork of a process that has used it: open bundles after the fork alone, or "
                "start processes by spawn"
            )
        raise EngineError(f"{function} failed with CUDA error {code}")


def _open() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as exc:
        with contextlib.suppress(OSError):
            return ctypes.CDLL(_WSL_LIBRARY)
        raise DeviceNotFoundError(
            f'no NVIDIA driver on this machine ({exc}): install one, or use engine="auto"'
        ) from exc
