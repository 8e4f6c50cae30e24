"""What is counted of a stream."""

from __future__ import annotations

import statistics
import sys

import numpy as np
import pytest

from edge_sdk.cli.spoof_summary import Latencies


def test_latencies_are_exact_of_short_streams() -> None:
    latencies = Latencies()
    assert latencies.median_and_max() is None
    times = np.random.default_rng(0).gamma(2, 10, 2001).tolist()
    for time in times:
        latencies.add(time)
    assert latencies.median_and_max() == (statistics.median(times), max(times))


def test_latencies_of_an_endless_camera_take_no_more_memory() -> None:
    latencies = Latencies()
    times = np.random.default_rng(0).permutation(100_000).astype(float).tolist()
    for time in times:
        latencies.add(time)
    found = latencies.median_and_max()
    assert found is not None
    assert found[0] == pytest.approx(50_000, abs=3 * 1118), "three standard errors of a sample of 2,001"
    assert found[1] == 99_999
    assert sum(map(sys.getsizeof, vars(latencies).values())) < 30_000
