"""Who may be among the best of many."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_GROUP = 64  # scores of which the highest is looked at first


def near_best(scores: npt.NDArray[np.floating[Any]], count: int, tolerance: float) -> list[int]:
    """The places, ascending, of all that may be among the ``count`` highest of ``(N,)``, each wrong by ``tolerance``.

    ``count`` is from 1 to N.
    """
    # As many reach the count-th highest of the maxima of groups, which is nearly always the count-th highest of all.
    groups = len(scores) // _GROUP
    highest = np.maximum.reduce(scores[: groups * _GROUP].reshape(_GROUP, groups)) if groups > 8 * count else scores
    least = np.partition(highest, -count)[-count]
    found: list[int] = np.flatnonzero(scores >= least - 2 * tolerance).tolist()
    return found
