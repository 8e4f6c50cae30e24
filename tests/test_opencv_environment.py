"""Values of environment variables at which OpenCV would end the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edge_sdk.opencv_environment import SIZES, SWITCHES, problem

from .paths import ROOT


@pytest.mark.parametrize(
    "value", ["", "abc", "1e10", "2^40", "-1", "+1", " 5", "5 ", "1GB", "1M", "1mB", str(2**64), "٣"]
)
def test_sizes_that_opencv_cannot_read(value: str) -> None:
    for name in SIZES:
        assert problem({name: value}).startswith(f"{name} is {value!r}; it must be a whole number")


@pytest.mark.parametrize("value", ["0", "1", "10000000000", "64MB", "64Mb", "64mb", "1KB", "1kb", str(2**64 - 1)])
def test_sizes_that_it_reads(value: str) -> None:
    assert problem(dict.fromkeys(SIZES, value)) == ""


@pytest.mark.parametrize("value", ["", "yes", "on", "2", "t", "tRue", " 1", "1 "])
def test_switches_that_opencv_cannot_read(value: str) -> None:
    for name in SWITCHES:
        assert problem({name: value}) == f"{name} is {value!r}; it must be 0 or 1, or unset"


@pytest.mark.parametrize("value", ["0", "1", "true", "True", "TRUE", "false", "False", "FALSE"])
def test_switches_that_it_reads(value: str) -> None:
    assert problem(dict.fromkeys(SWITCHES, value)) == ""


def test_the_command_line_says_so_instead_of_ending() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENCV_IO_MAX_IMAGE_PIXELS": "1e10"}
    command = [sys.executable, "-m", "edge_sdk", "verify", "a.png", "b.png"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 3
    assert "OPENCV_IO_MAX_IMAGE_PIXELS is '1e10'; it must be a whole number" in done.stderr
    assert "Traceback" not in done.stderr
