"""What commands that write a bundle share: the keys that sign it, and what they say of its signature."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle, SigningKey


def add_sign_key(parser: argparse._ActionsContainer) -> None:
    """``--sign-key KEY...``, for :func:`read_keys`."""
    parser.add_argument(
        "--sign-key",
        nargs="+",
        type=Path,
        default=[],
        metavar="KEY",
        help="sign what is written with these private keys (PEM); default: it has no signature",
    )


def read_keys(paths: list[Path]) -> list[SigningKey]:
    """The private keys in these files, read before any work; ``StorageError`` where one cannot be."""
    from edge_sdk.bundle import SigningKey

    return [SigningKey.read(path) for path in paths]


def signature_line(written: Bundle, *, was_signed: bool = False) -> str:
    """Who signed a bundle that was written, or that the signature of the one it was made of is gone; else nothing."""
    if ids := [one.key_id[:12] for one in written.signatures()]:
        return f"signed with {', '.join(ids)}"
    return "not signed: the signature that was there does not hold for it (edge-sdk sign)" if was_signed else ""
