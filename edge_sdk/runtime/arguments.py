"""What an application may pass for a number or a switch: neither takes the other for its own."""

from __future__ import annotations

import numpy as np

from edge_sdk.errors import UsageError


def check_switches(**given: object) -> None:
    """UsageError unless all are True or False: ``warm_up="no"`` would be taken for True."""
    for name, value in given.items():
        if not isinstance(value, (bool, np.bool_)):
            raise UsageError(f"{name} is {value!r}; it must be True or False")


def is_whole(number: object) -> bool:
    """Whether it is an integer, Python's or numpy's."""
    return isinstance(number, (int, np.integer))
