"""tflite-runtime 2.14, the last of its line (2023), for boards that LiteRT's packages do not support."""

from __future__ import annotations

import numpy as np
from tflite_runtime.interpreter import Interpreter

from edge_sdk.errors import EngineError
from edge_sdk.runtime.engines.tflite import TFLiteEngine


def load(model: bytes, *, threads: int) -> TFLiteEngine:
    """Load a TFLite model. Raises EngineError beside NumPy 2, with which the package can be imported but not used."""
    if int(np.__version__.split(".")[0]) > 1:
        raise EngineError(
            f"tflite-runtime does not work with numpy {np.__version__}; "
            'run: pip install "numpy<2", or take the engine "litert"'
        )
    return TFLiteEngine(model, lambda: Interpreter(model_content=model, num_threads=threads), "tflite-runtime")
