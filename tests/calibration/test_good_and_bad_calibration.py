"""The shipped float model, calibrated with signatures and with noise, before the same guardrail and budget."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="int8 models are made with the export extra")
pytest.importorskip("onnxruntime", reason="int8 models are made with the export extra")

from edge_sdk import preprocess  # noqa: E402
from edge_sdk.bundle import Bundle  # noqa: E402
from edge_sdk.calibration import guardrail  # noqa: E402
from edge_sdk.calibration.pairs import verification_scores  # noqa: E402
from edge_sdk.calibration.quantize import quantize  # noqa: E402
from edge_sdk.errors import GuardrailError  # noqa: E402
from edge_sdk.export.datasets.synthetic import SyntheticWriter  # noqa: E402
from edge_sdk.runtime.engines import onnxruntime  # noqa: E402

WRITERS, EACH = 20, 3
