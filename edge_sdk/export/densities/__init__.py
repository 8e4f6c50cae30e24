"""Densities fitted on a workstation; what a device evaluates is in :mod:`edge_sdk.density`."""
