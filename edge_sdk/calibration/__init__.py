"""From scores to numbers one can stand by: metrics, thresholds, int8 quantisation and the accuracy guardrail.

``metrics``, ``pairs``, ``thresholds``, ``guardrail`` and ``ranges`` need numpy alone, so a device can fit a threshold
again; ``observe`` and ``quantize`` need the ``export`` extra, modules named ``tflite`` the ``tflite-export`` extra.
"""
