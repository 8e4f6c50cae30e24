"""Imports of vendors' packages that would otherwise write to the user's home folder and report over the network.

Each opts out for the length of the ``import`` only, which is when the vendor decides: the environment and the modules
of the process are afterwards as before, for the process and for those that it starts. An application that imports such
a package before edge-sdk has made that choice itself.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_SWITCH = "ORT_DISABLE_TELEMETRY"
_CONVERTER = "openvino.tools.ovc"


@contextlib.contextmanager
def without_onnxruntime_telemetry() -> Iterator[None]:
    """Opt out: from 1.29 on ``import onnxruntime`` alone writes a device id and a queue of events, and sends them.

    A value that the user has given is kept, ``0`` too.
    """
    before = os.environ.get(_SWITCH)
    if before:
        yield
        return
    os.environ[_SWITCH] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_SWITCH, None)
        else:
            os.environ[_SWITCH] = before


@contextlib.contextmanager
def without_openvino_telemetry() -> Iterator[None]:
    """Opt out: ``import openvino`` alone writes a client id into the home folder and reports to Google Analytics.

    What reports is its converter of other frameworks' models, which nothing here needs, and which takes 60 % of the
    processor time of the import (OpenVINO 2026.4.1). So the converter is imported by the first call of
    ``openvino.convert_model``, or by whoever imports it, and finds no package ``openvino_telemetry``, in place of which
    OpenVINO brings a stub.
    """
    later = ModuleType(_CONVERTER)
    later.convert_model = _convert_model  # type: ignore[attr-defined]
    with _imported_as("openvino_telemetry", None), _imported_as(_CONVERTER, later):
        yield
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _convert_model(*arguments: Any, **options: Any) -> Any:
    """Convert a model of another framework; see OpenVINO's function of this name."""
    return importlib.import_module(_CONVERTER).convert_model(*arguments, **options)


class _ConverterFinder:
    """Finds OpenVINO's converter where it is, and hides from it what reports while it is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Called by Python for each module."""
        del target
        found = PathFinder.find_spec(fullname, path) if fullname == _CONVERTER else None
        if found is not None and found.loader is not None:
            execute = found.loader.exec_module

            def quietly(module: ModuleType) -> None:
                with _imported_as("openvino_telemetry", None):
                    execute(module)

            found.loader.exec_module = quietly  # type: ignore[method-assign]
        return found


_FINDER = _ConverterFinder()


@contextlib.contextmanager
def _imported_as(name: str, module: ModuleType | None) -> Iterator[None]:
    """Let ``import name`` give another module, or with None fail, as Python marks what cannot be imported."""
    found = sys.modules.get(name)
    sys.modules[name] = module  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(name, None)
        if found is not None:
            sys.modules[name] = found
