"""This machine's clock, and how long the machine slept.

A clock that stands still while a machine is suspended makes frames from before and after look like neighbours. Python's
``time.monotonic`` stands still on Linux and macOS; on Windows it goes on. Changes of the wall clock matter to neither
function here.
"""

from __future__ import annotations

import sys
import time


def now() -> float:
    """Seconds from anywhere, never backwards, and going on while the machine is suspended."""
    return time.monotonic() if _ASLEEP_TOO is None else time.clock_gettime(_ASLEEP_TOO)


def suspended() -> float:
    """Seconds that this machine has slept, from anywhere; a constant where the system does not tell (Windows)."""
    if _ASLEEP_TOO is None or _AWAKE is None:
        return 0.0
    awake = time.clock_gettime(_AWAKE)  # first, so that a pause between the two counts as sleep
    return time.clock_gettime(_ASLEEP_TOO) - awake


def _named(name: str) -> int | None:
    """The number of a clock, None where it does not work."""
    number: int | None = getattr(time, name, None)
    try:
        if number is not None:
            time.clock_gettime(number)
    except OSError:
        return None
    return number


# Apple's CLOCK_MONOTONIC_RAW is mach_continuous_time, its CLOCK_UPTIME_RAW mach_absolute_time.
_APPLE = sys.platform in ("darwin", "ios")
_ASLEEP_TOO = _named("CLOCK_MONOTONIC_RAW" if _APPLE else "CLOCK_BOOTTIME")
_AWAKE = _named("CLOCK_UPTIME_RAW" if _APPLE else "CLOCK_MONOTONIC")
