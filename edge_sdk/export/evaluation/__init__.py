"""How well artifacts and bundles do on people they have never seen; reports as HTML and JSON."""

from __future__ import annotations

from collections.abc import Mapping

from edge_sdk.scoring.base import Task

PACKAGES: Mapping[Task, str] = {"verify": "verification", "spoof": "spoof", "locate": "locate"}
"""The package of each task, here: alike in ``evaluate.evaluate``, ``report`` and ``thresholds.fit``."""
