"""Older manifests, brought up to date step by step: from version N to N + 1, on plain JSON values; pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_sdk.errors import ManifestError

SCHEMA_VERSION = 1

Migration = Callable[[dict[str, Any]], dict[str, Any]]

MIGRATIONS: dict[int, Migration] = {}


def migrate(raw: dict[str, Any], version: int) -> dict[str, Any]:
    """The same manifest in today's version; ``ManifestError`` for a version that nobody wrote."""
    for old in range(version, SCHEMA_VERSION):
        if old not in MIGRATIONS:
            raise ManifestError(f"unknown manifest version {version}")
        raw = MIGRATIONS[old](raw)
    return raw
