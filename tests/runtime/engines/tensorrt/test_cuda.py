"""The driver's wrapper, against a driver made of host memory; a real one where there is a GPU."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import pytest

from edge_sdk.errors import DeviceMemoryError, DeviceNotFoundError, EngineError
from edge_sdk.runtime.engines.tensorrt import cuda as module
from edge_sdk.runtime.engines.tensorrt.cuda import Cuda

from .fake_cuda import FakeDriver


def test_what_goes_up_comes_down() -> None:
    driver = FakeDriver()
    cuda = Cuda(library=driver)
    array = np.random.default_rng(0).random((2, 3, 5), dtype=np.float32)
    back = np.empty_like(array)
    with cuda.current():
        address = cuda.allocate(array.nbytes)
        cuda.upload(address, array)
        cuda.download(back, address)
        cuda.synchronize()
    np.testing.assert_array_equal(back, array)
    assert cuda.stream == 8
    assert (driver.contexts, len(driver.memory), driver.retained) == (0, 1, 1)
    cuda.close()
    cuda.close()
    assert (driver.contexts, len(driver.memory), driver.retained) == (0, 0, 0)
    assert driver.calls.count("cuStreamDestroy_v2") == 1


def test_it_says_which_gpu_this_is() -> None:
    gpu = Cuda(library=FakeDriver()).gpu()
    assert (gpu.name, gpu.compute_capability, gpu.driver.split()[0]) == ("Orin", "8.7", "12.6")


def test_no_driver_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIBRARY", "no-such-library.so")
    monkeypatch.setattr(module, "_WSL_LIBRARY", "/no/such/library.so")
    with pytest.raises(DeviceNotFoundError, match=r'no NVIDIA driver.*engine="auto"') as caught:
        Cuda()
    assert isinstance(caught.value.__cause__, OSError)


def test_the_driver_of_wsl2_is_found_where_the_linker_is_not_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FakeDriver()

    def load(name: str) -> FakeDriver:
        if name != "/usr/lib/wsl/lib/libcuda.so.1":
            raise OSError(f"{name}: cannot open shared object file")
        return driver

    monkeypatch.setattr(module.ctypes, "CDLL", load)
    assert Cuda()._library is driver


def test_cuda_in_a_fork_says_what_to_do() -> None:
    with pytest.raises(EngineError, match=r"in a fork of a process that has used it.*spawn"):
        Cuda(library=FakeDriver(cuInit=3))


@pytest.mark.parametrize(("function", "code"), [("cuInit", 100), ("cuDeviceGet", 101), ("cuInit", 803)])
def test_no_gpu_says_what_to_do(function: str, code: int) -> None:
    with pytest.raises(DeviceNotFoundError, match=f"{code}.*nvidia-smi"):
        Cuda(library=FakeDriver(**{function: code}))


def test_out_of_memory_and_other_failures() -> None:
    cuda = Cuda(library=FakeDriver(cuMemAlloc_v2=2, cuStreamSynchronize=700))
    with cuda.current(), pytest.raises(DeviceMemoryError, match="out of memory") as caught:
        cuda.allocate(4)
    assert isinstance(caught.value, MemoryError)
    with pytest.raises(EngineError, match="cuStreamSynchronize failed with CUDA error 700"):
        cuda.synchronize()
    driver = cuda._library
    assert driver.contexts == 0


def test_the_real_driver_has_every_function_that_is_called() -> None:
    """Names are resolved when they are called: a misspelt one would be found on the device only."""
    try:
        library = ctypes.CDLL(module._LIBRARY)
    except OSError:
        pytest.skip("no NVIDIA driver")
    driver = FakeDriver()
    cuda = Cuda(library=driver)
    cuda.gpu()
    cuda.close()
    assert all(hasattr(library, name) for name in driver.calls), sys.platform
