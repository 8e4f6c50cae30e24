"""Bundles on disk: a folder, or the same files in one uncompressed zip (``NAME.edge``)."""

from __future__ import annotations

from edge_sdk.bundle.reader import SHIPPED, SUFFIX, Bundle, shipped
from edge_sdk.bundle.writer import BundleWriter, pack

__all__ = ["SHIPPED", "SUFFIX", "Bundle", "BundleWriter", "pack", "shipped"]
