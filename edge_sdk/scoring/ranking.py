"""Who may be among the best of many."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

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


class Contents(Protocol):
    """What people's templates hold, by their places."""

    def __getitem__(self, person: int, /) -> npt.NDArray[Any]: ...


def without_repeats(people: list[int], count: int, contents: Contents) -> list[int]:
    """Of people with equal templates, whose scores are equal, only the first ``count`` can be among the best."""
    if len(people) <= count:
        return people
    seen: Counter[bytes] = Counter()
    kept = []
    for person in people:
        content = contents[person].tobytes()
        seen[content] += 1
        if seen[content] <= count:
            kept.append(person)
    return kept
