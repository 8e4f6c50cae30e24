"""Facts about the machine at hand. What cannot be found out is None, never a guess."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
from pathlib import Path
from typing import Literal

from edge_sdk.errors import UsageError

CPUINFO = Path("/proc/cpuinfo")
BOARD = Path("/proc/device-tree/model")  # "NVIDIA Jetson Orin Nano ..."; Arm's cpuinfo names only the core
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
STATUS = Path("/proc/self/status")

# Variables that change what engines make and how fast it is: oneDNN's (ONEDNN_MAX_CPU_ISA), OpenVINO's, TensorRT's.
_ENGINE_SETTINGS = ("ONEDNN_", "DNNL_", "OV_", "OPENVINO_", "EDGE_SDK_TENSORRT")
_CORE_CHARACTERS = 8192  # what is said of one core takes 1,500

# What makes int8 or fp32 fast: x86's vectors and dot products, then Arm's. As Linux spells them.
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve", "sve2")

INSTRUCTIONS_VARIABLE = "EDGE_SDK_INSTRUCTIONS"
"""Environment variable that replaces what the processor reports: names of :data:`INSTRUCTIONS`, separated by commas.

For tests: ``EDGE_SDK_INSTRUCTIONS=avx2`` makes edge-sdk choose and load as on x86 without VNNI. It does not change what
the engines themselves use; ``ONEDNN_MAX_CPU_ISA=AVX2`` does that for OpenVINO.
"""

ProcessorKind = Literal["x86-64-vnni", "x86-64", "aarch64", "other"]
"""What decides whether int8 is exact and fast: ``x86-64`` is one without VNNI, or where nobody can tell."""

_X86, _ARM = frozenset({"x86_64", "amd64"}), frozenset({"aarch64", "arm64"})
# The label of the best instruction set of each architecture, the best first; int8's dot products before vectors.
_LABELS = {
    "x86-64": (("avx512_vnni", "AVX512-VNNI"), ("avx_vnni", "AVX-VNNI"), ("avx512f", "AVX512"), ("avx2", "AVX2")),
    "aarch64": (("i8mm", "i8mm"), ("asimddp", "dotprod"), ("asimd", "NEON")),
}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _first_core() -> str:
    """What the system says of the first core; of the others, of which servers have hundreds, it says the same."""
    try:
        with CPUINFO.open(encoding="utf-8", errors="replace") as file:
            return file.read(_CORE_CHARACTERS)
    except OSError:
        return ""


def _flags() -> str:
    """The processor's instruction sets and other abilities, in the system's words; empty if it does not tell."""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _first_core(), re.MULTILINE)
    return found[1] if found else ""


def processor() -> str:
    """Name the board and the processor, as far as the operating system does; never empty."""
    model = re.search(r"^model name\s*:\s*(.+)$", _first_core(), re.MULTILINE)
    names = (_read(BOARD), model[1] if model else platform.processor(), platform.machine())
    return ", ".join(dict.fromkeys(name for name in names if name)) or "unknown"


def instructions() -> tuple[str, ...] | None:
    """Those of :data:`INSTRUCTIONS` that the processor has, or that :data:`INSTRUCTIONS_VARIABLE` names.

    Raises:
        UsageError: The variable names an unknown one.
    """
    if (named := os.environ.get(INSTRUCTIONS_VARIABLE)) is not None:
        wanted = set(named.replace(",", " ").split())
        if unknown := wanted - set(INSTRUCTIONS):
            known = ", ".join(INSTRUCTIONS)
            raise UsageError(f"{INSTRUCTIONS_VARIABLE} names {', '.join(sorted(unknown))}; known are {known}")
        return tuple(name for name in INSTRUCTIONS if name in wanted)
    flags = _flags()
    return tuple(name for name in INSTRUCTIONS if name in flags.split()) if flags else None


def features() -> str:
    """What code that was compiled for this processor may depend on: :func:`instructions`, and a digest of all flags."""
    digest = hashlib.sha256(_flags().encode()).hexdigest()[:12]
    return f"{platform.machine()} {' '.join(instructions() or ())} {digest}"


def conditions() -> str:
    """What was compiled or measured here holds for: processor, its abilities, and the environment's engine settings."""
    settings = (f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(_ENGINE_SETTINGS))
    return "; ".join((processor(), features(), *settings))


def processor_kind() -> ProcessorKind:
    """Return the kind of this machine's processor."""
    architecture = _architecture()
    if architecture == "x86-64":
        return "x86-64-vnni" if {"avx_vnni", "avx512_vnni"} & set(instructions() or ()) else "x86-64"
    return "aarch64" if architecture == "aarch64" else "other"


def int8_saturates() -> bool:
    """Return whether fast u8s8 kernels may saturate here: x86 without VNNI, or where nobody can tell.

    Without VNNI the products of two neighbours are added in 16 bits, where 255 * 127 * 2 does not fit.
    """
    return processor_kind() == "x86-64"


def instruction_set() -> str:
    """Name the architecture and its best instruction set for int8: ``x86-64 AVX512-VNNI``, ``aarch64 dotprod``.

    Every statement about speed names it.
    """
    architecture, found = _architecture(), instructions()
    if found is None:
        return f"{architecture}, instruction set unknown"
    label = next((label for name, label in _LABELS.get(architecture, ()) if name in found), "baseline")
    return f"{architecture} {label}"


def _architecture() -> str:
    machine = platform.machine().lower()
    return "x86-64" if machine in _X86 else "aarch64" if machine in _ARM else machine or "unknown"


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
