"""Golden walks: of nobody, and long enough for what thresholds of gait are measured with."""

from __future__ import annotations

from edge_sdk.export.data.gait.synthetic import SyntheticWalker

SECONDS = 40.0
"""At least 30 cycles of two steps, of any synthetic walker."""


def golden_pair() -> dict[str, bytes]:
    """Two walks of one made-up person as CSV files, by name: ``reference`` and ``query``."""
    walker = SyntheticWalker(0)
    return {f"{name}.csv": walker.walk(number, SECONDS) for number, name in enumerate(("reference", "query"))}
