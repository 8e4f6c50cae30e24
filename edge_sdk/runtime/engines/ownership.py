"""A loaded model belongs to the process that loaded it.

A fork copies a process's memory but only one of its threads. In the child a vendor's pool waits for threads that are
not there: running, freeing and even forgetting the model may hang or end the process (OpenVINO 2026.4.1, ONNX Runtime
1.31.1 with two threads). So the child runs nothing that it inherited, and its copy is never freed.
"""

from __future__ import annotations

import ctypes
import os
from typing import NoReturn

from edge_sdk.errors import EngineError
from edge_sdk.runtime.engines.protocol import Engine, TensorInfo, Tensors

_keep_for_ever = ctypes.pythonapi.Py_IncRef
_keep_for_ever.argtypes = [ctypes.py_object]
_keep_for_ever.restype = None

_forks: list[None] = []  # one for each fork that led to this process; numbers of processes are used again
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=lambda: _forks.append(None))


class OwnedEngine:
    """An engine that another process than its own cannot use: there :meth:`run` raises and :meth:`close` lets go."""

    def __init__(self, engine: Engine) -> None:
        self._owner = _process()
        self._engine: Engine | None = engine
        self.inputs: tuple[TensorInfo, ...] = engine.inputs
        self.outputs: tuple[TensorInfo, ...] = engine.outputs

    def run(self, inputs: Tensors) -> Tensors:
        """Compute all outputs; see :class:`edge_sdk.runtime.engines.Engine`."""
        self.check_process()
        engine = self._engine
        if engine is None:
            raise EngineError("the engine is closed")
        return engine.run(inputs)

    def close(self) -> None:
        """Free the model; in another process only forget it."""
        if not self._abandoned():
            engine, self._engine = self._engine, None
            if engine is not None:
                engine.close()

    def check_process(self) -> None:
        """Raise ``EngineError`` in a process that the one that loaded the model has forked."""
        if _process() != self._owner:
            raise EngineError(
                f"the model was loaded by process {self._owner[0]}, of which this one ({os.getpid()}) is a fork: "
                "open the bundle in each process after the fork, or start processes by spawn"
            )

    def __del__(self) -> None:
        self._abandoned()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a loaded model cannot be pickled or copied: open the bundle in each process")

    def _abandoned(self) -> bool:
        """Whether this is a fork, which never frees the model: its vendor's destructors would wait for ever."""
        if _process() == self._owner:
            return False
        engine, self._engine = self._engine, None
        if engine is not None:
            _keep_for_ever(engine)
        return True


def _process() -> tuple[int, int]:
    return os.getpid(), len(_forks)
