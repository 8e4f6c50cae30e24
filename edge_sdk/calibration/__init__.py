"""From scores to numbers one can stand by: metrics, thresholds, int8 quantisation and the accuracy guardrail.

``metrics``, ``pairs``, ``thresholds``, ``guardrail`` and ``ranges`` need numpy alone, so a device can fit a threshold
again; ``observe``, ``quantize``, ``sensitivity`` and ``mixed`` need the ``export`` extra.
"""
