"""Probability densities that a device evaluates."""
