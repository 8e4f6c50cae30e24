"""Bundles on disk: a folder, or the same files in one uncompressed zip (``NAME.edge``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_sdk.bundle.finding import SHIPPED, SUFFIX, shipped
from edge_sdk.bundle.reader import Bundle
from edge_sdk.bundle.signing import SigningKey
from edge_sdk.bundle.trust import Trust

if TYPE_CHECKING:
    from edge_sdk.bundle.writer import BundleWriter, check_destination, pack, sign_bundle
else:
    from edge_sdk import lazy

    __getattr__ = lazy.names(__name__, {"writer": ("BundleWriter", "check_destination", "pack", "sign_bundle")})

__all__ = [
    "SHIPPED", "SUFFIX", "Bundle", "BundleWriter", "SigningKey", "Trust", "check_destination", "pack", "shipped",
    "sign_bundle",
]  # fmt: skip
