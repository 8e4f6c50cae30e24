"""What models made of a run's people, kept for as long as it is likely to be asked for again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

KEPT = 12
"""Arrays that are kept: those of the reference and of the artifact at work on four groups of people, and some more."""

Array = NDArray[Any]


class ModelOutputs:
    """Arrays by model and group of people; of more than ``kept`` the one that was asked for longest ago goes.

    A model is known by its digest, so that the search through many versions of it holds none of their bytes.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._arrays: OrderedDict[tuple[bytes, str], Array] = OrderedDict()

    def __len__(self) -> int:
        return len(self._arrays)

    def get(self, model: bytes, role: str, compute: Callable[[], Array]) -> Array:
        """What the model made of the people of a role, computed where it is not kept; do not change it."""
        key = hashlib.sha256(model).digest(), role
        if key not in self._arrays:
            self._arrays[key] = compute()
        self._arrays.move_to_end(key)
        while len(self._arrays) > self._kept:
            self._arrays.popitem(last=False)
        return self._arrays[key]
