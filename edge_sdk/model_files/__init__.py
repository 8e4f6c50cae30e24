"""Model files, looked at before an engine sees them: whole, and complete without any other file.

A bundle's hashes cover the files that its manifest lists. A model that names further files, as ONNX's external data do,
would be loaded with whatever lies in the working folder.
"""

from __future__ import annotations

from edge_sdk.model_files import onnx, tflite

_CHECKS = {"onnx": onnx.check, "tflite": tflite.check}


def check(model: bytes, format: str) -> None:  # noqa: A002 - the manifest's word
    """Check the bytes of a model in a manifest's ``format``.

    Raises:
        UnsupportedModelError: It needs other files, or code that comes neither with it nor with the engines.
        EngineError: It is no such model, cut off, or damaged.
    """
    _CHECKS[format](model)
