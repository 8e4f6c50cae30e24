"""Imports of vendors' packages that would otherwise write to the user's home folder and report over the network.

Each opts out for the length of the ``import`` only, which is when the vendor decides: the environment and the modules
of the process are afterwards as before, for the process and for those that it starts. An application that imports such
a package before edge-sdk has made that choice itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

_SWITCH = "ORT_DISABLE_TELEMETRY"


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

    Without the package ``openvino_telemetry``, OpenVINO takes its own stub instead; so let it find none.
    """
    found = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's mark for "cannot be imported"
    try:
        yield
    finally:
        sys.modules.pop("openvino_telemetry", None)
        if found is not None:
            sys.modules["openvino_telemetry"] = found
