"""From finished runs to a bundle: artifacts, thresholds, guardrail, model card."""
