"""Pictures that take no part in fitting thresholds, and why."""

from __future__ import annotations

from dataclasses import dataclass

_SHOWN = 3


@dataclass(frozen=True)
class UnusablePicture:
    """A picture that the device would refuse. reasons: quality flags, or the name of the error on reading it."""

    path: str
    subject: str
    reasons: tuple[str, ...]


def named(unusable: tuple[UnusablePicture, ...]) -> str:
    """The first unusable pictures, for the end of a sentence; empty if there are none."""
    if not unusable:
        return ""
    first = ", ".join(f"{one.path} ({', '.join(one.reasons)})" for one in unusable[:_SHOWN])
    more = f" and {len(unusable) - _SHOWN} more" if len(unusable) > _SHOWN else ""
    return f"; {len(unusable)} pictures cannot be used: {first}{more}"
