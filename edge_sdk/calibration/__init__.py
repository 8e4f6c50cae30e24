"""From scores to numbers one can stand by: metrics, thresholds, int8 quantisation and the accuracy guardrail.

``metrics``, ``pairs``, ``thresholds`` and ``guardrail`` need numpy alone, so a device can fit a threshold again;
``quantize`` needs the ``export`` extra.
"""
