"""Bundles on disk: a folder, or the same files in one uncompressed zip (``NAME.edge``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_sdk.bundle.finding import SHIPPED, SUFFIX, shipped
from edge_sdk.bundle.reader import Bundle

if TYPE_CHECKING:
    from edge_sdk.bundle.writer import BundleWriter, check_destination, pack
else:
    from edge_sdk import lazy

    __getattr__ = lazy.names(__name__, {"writer": ("BundleWriter", "check_destination", "pack")})

__all__ = ["SHIPPED", "SUFFIX", "Bundle", "BundleWriter", "check_destination", "pack", "shipped"]
