"""Environment variables that OpenCV reads: values that it cannot read end the process, most when it is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_SIZE = re.compile(r"(\d{1,20})(?:[KM]B|[km]b|[KM]b)?", re.ASCII)
_LARGEST_SIZE = 2**64 - 1
_BOOLEANS = {"0", "1", "False", "false", "FALSE", "True", "true", "TRUE"}

# Those that OpenCV 4.14.0 reads in what edge-sdk calls, found by giving each variable it knows a wrong value.
SIZES = tuple(
    f"OPENCV_{name}"
    for name in (
        "FFMPEG_DECODE_ATTEMPTS",
        "FFMPEG_READ_ATTEMPTS",
        "FOR_THREADS_NUM",
        "IMGCODECS_AVIF_MAX_FILE_SIZE",
        "IMGCODECS_WEBP_MAX_FILE_SIZE",
        "IO_MAX_IMAGE_HEIGHT",
        "IO_MAX_IMAGE_PARAMS",
        "IO_MAX_IMAGE_PIXELS",
        "IO_MAX_IMAGE_WIDTH",
        "KMEANS_PARALLEL_GRANULARITY",
        "OPENCL_ALIGNMENT_MEM_USE_HOST_PTR",
        "THREAD_POOL_ACTIVE_WAIT_MAIN",
        "THREAD_POOL_ACTIVE_WAIT_PAUSE_LIMIT",
        "THREAD_POOL_ACTIVE_WAIT_THREADS_LIMIT",
        "THREAD_POOL_ACTIVE_WAIT_WORKER",
        "TRACE_DEPTH_OPENCV",
        "TRACE_MAX_CHILDREN",
        "TRACE_MAX_CHILDREN_OPENCV",
        "VIDEOIO_PRIORITY_AVFOUNDATION",
        "VIDEOIO_PRIORITY_DSHOW",
        "VIDEOIO_PRIORITY_FFMPEG",
        "VIDEOIO_PRIORITY_GSTREAMER",
        "VIDEOIO_PRIORITY_MSMF",
        "VIDEOIO_PRIORITY_V4L2",
    )
)
SWITCHES = tuple(
    f"OPENCV_{name}"
    for name in (
        "BUFFER_AREA_ALWAYS_SAFE",
        "DUMP_CONFIG",
        "DUMP_ERRORS",
        "ENABLE_MEMALIGN",
        "GAUSSIANBLUR_CHECK_BITEXACT_KERNELS",
        "OPENCL_CACHE_CLEANUP",
        "OPENCL_CACHE_ENABLE",
        "OPENCL_CACHE_LOCK_ENABLE",
        "OPENCL_CACHE_WRITE",
        "OPENCL_DISABLE_BUFFER_RECT_OPERATIONS",
        "OPENCL_ENABLE_MEM_USE_HOST_PTR",
        "OPENCL_VALIDATE_BINARY_PROGRAMS",
        "SKIP_CPU_BASELINE_CHECK",
        "TRACE",
        "TRACE_ITT_ENABLE",
        "TRACE_ITT_PARENT",
        "TRACE_ITT_SET_THREAD_NAME",
        "TRACE_SYNC_OPENCL",
        "VIDEOCAPTURE_DEBUG",
        "VIDEOIO_DEBUG",
        "VIDEOWRITER_DEBUG",
    )
)


def problem(environment: Mapping[str, str] = os.environ) -> str:
    """What is wrong with a variable and what it may be, empty if nothing is."""
    for name in SIZES:
        value = environment.get(name)
        if value is not None and not _is_size(value):
            return f"{name} is {value!r:.60}; it must be a whole number such as 100000000, or unset"
    for name in SWITCHES:
        value = environment.get(name)
        if value is not None and value not in _BOOLEANS:
            return f"{name} is {value!r:.60}; it must be 0 or 1, or unset"
    return ""


def _is_size(value: str) -> bool:
    match = _SIZE.fullmatch(value)
    return match is not None and int(match[1]) <= _LARGEST_SIZE
