"""What an x86 processor does to int8."""

from __future__ import annotations

import platform
import re
from pathlib import Path


def saturates(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether fast u8s8 kernels may saturate here: x86 without VNNI, or where nobody can tell.

    Without VNNI the products of two neighbours are added in 16 bits, where 255 * 127 * 2 does not fit.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        return not re.search(r"\bavx(512)?_vnni\b", cpuinfo.read_text())
    except OSError:
        return True
