"""Facts about the machine at hand. What cannot be found out is None, never a guess."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BOARD = Path("/proc/device-tree/model")  # "NVIDIA Jetson Orin Nano ..."; Arm's cpuinfo names only the core
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
STATUS = Path("/proc/self/status")

# What makes int8 or fp32 fast: x86's vectors and dot products, then Arm's.
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve", "sve2")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def processor() -> str:
    """Name the board and the processor, as far as the operating system does; never empty."""
    model = re.search(r"^model name\s*:\s*(.+)$", _read(CPUINFO), re.MULTILINE)
    names = (_read(BOARD), model[1] if model else platform.processor(), platform.machine())
    return ", ".join(dict.fromkeys(name for name in names if name)) or "unknown"


def instructions() -> tuple[str, ...] | None:
    """Those of :data:`INSTRUCTIONS` that the processor has."""
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _read(CPUINFO), re.MULTILINE)
    return tuple(name for name in INSTRUCTIONS if name in flags[1].split()) if flags else None


def governor() -> str | None:
    """Return how the kernel sets the clock (``performance``, ``schedutil``)."""
    return _read(GOVERNOR) or None


def load_average() -> float | None:
    """Processes that wanted to run in the last minute: above the number of cores, latencies are somebody else's."""
    with contextlib.suppress(OSError, AttributeError):  # Windows has none
        return os.getloadavg()[0]
    return None


def peak_memory() -> int | None:
    """Return the most memory this process has had resident, in bytes."""
    peak = re.search(r"^VmHWM:\s*(\d+) kB", _read(STATUS), re.MULTILINE)
    return int(peak[1]) * 1024 if peak else None
