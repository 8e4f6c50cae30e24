"""Golden walks: of nobody, and long enough for what thresholds of gait are measured with."""

from __future__ import annotations

from edge_sdk.export.data.gait.synthetic import SyntheticWalker

SECONDS = 40.0
"""At least 30 cycles of two steps, of any synthetic walker."""


def golden_pair() -> dict[str, bytes]:
    """Walks of two made-up people as CSV files, by name: ``reference`` and ``query``.

    Of two, for a mean of clipped ratios says little of how an engine computes where it lies at either end, as it does
    between walks of one.
    """
    walks = {"reference": SyntheticWalker(0), "query": SyntheticWalker(1)}
    return {f"{name}.csv": walker.walk(0, SECONDS) for name, walker in walks.items()}
