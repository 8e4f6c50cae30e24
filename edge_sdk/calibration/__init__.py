"""From scores to numbers one can stand by: metrics, thresholds, int8 quantisation and the accuracy guardrail.

``metrics``, ``thresholds`` and ``guardrail`` need numpy alone, so that a device can fit a threshold again;
``quantization`` needs the extra ``export``, its TFLite modules ``tflite-export``.
"""

from __future__ import annotations

if __name__ != "edge_sdk.calibration":  # loaded through the link at the top of a checkout
    raise ImportError(
        f"import edge_sdk.calibration, not {__name__}: the folder calibration at the top is a link for people"
    )
