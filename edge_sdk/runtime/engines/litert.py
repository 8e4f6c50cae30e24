"""LiteRT (formerly TensorFlow Lite) on the CPU: XNNPACK's kernels."""

from __future__ import annotations

from ai_edge_litert.interpreter import Interpreter

from edge_sdk.runtime.engines.tflite import TFLiteEngine


def load(model: bytes, *, threads: int) -> TFLiteEngine:
    """Load a TFLite model."""
    return TFLiteEngine(model, lambda: Interpreter(model_content=model, num_threads=threads), "LiteRT")
