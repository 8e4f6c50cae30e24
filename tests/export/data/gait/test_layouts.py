"""Walks: the layout of the Nexus One set, and what is made of it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import preprocess, sensors
from edge_sdk.errors import DatasetError
from edge_sdk.export.data import cache
from edge_sdk.export.data.gait import DATA, chart, golden_pair
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import impostor_kinds
from edge_sdk.preprocess.cycles import walked

from ....paths import ROOT

REAL = Path(os.environ.get("EDGE_SDK_DATA", ROOT / "../shared/data")) / "gait_nexus"


def plant(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(golden_pair()["query.csv"])


def test_walks_are_genuine_samples_of_their_users(tmp_path: Path) -> None:
    plant(tmp_path, "user10/walk02.csv", "user2/walk10.csv", "user2/walk9.csv")
    (tmp_path / "README.md").write_text("about")
    data = load(f"nexus:{tmp_path}")
    assert data.name == "nexus"
    assert [(s.subject, s.path.name, s.genuine) for s in data.samples] == [
        ("nexus/2", "walk9.csv", True),
        ("nexus/2", "walk10.csv", True),
        ("nexus/10", "walk02.csv", True),
    ]
    assert impostor_kinds(data.samples) == DATA.impostors == ("random",)
    resample = preprocess.Resample(rate_hz=25.0, samples=50, channels=3)
    tensors = cache.prepared(data.samples, (resample,))
    assert (tensors.dtype, tensors.shape) == (np.float32, (3, 50, 3))
    assert np.array_equal(cache.expanded(tensors), tensors)


def test_other_files_and_damaged_walks_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no recordings; expected userNN"):
        load(f"nexus:{tmp_path}")
    plant(tmp_path, "user1/walk01.csv", "walker/1.csv")
    with pytest.raises(DatasetError, match=r"1 recording\(s\) do not fit the layout: walker/1\.csv"):
        load(f"nexus:{tmp_path}")
    (tmp_path / "walker" / "1.csv").unlink()
    (tmp_path / "user1" / "walk01.csv").write_text("1,2,3,4\noops\n")
    data = load(f"nexus:{tmp_path}")
    with pytest.raises(DatasetError, match=r"walk01\.csv.*line 2"):
        cache.prepared(data.samples, (preprocess.Resample(rate_hz=25.0, samples=2, channels=3),))


def test_golden_walks_are_always_the_same_and_long_enough() -> None:
    first, second = golden_pair(), golden_pair()
    assert first == second
    recordings = [sensors.load(data) for data in first.values()]
    assert not np.array_equal(recordings[0].values[:500], recordings[1].values[:500])
    assert all(r.channels == 3 and r.times_ms[-1] - r.times_ms[0] > 38_000 for r in recordings)
    for data in first.values():
        assert len(preprocess.GaitCycles()(sensors.load(data))) >= 30


def test_charts_show_recordings_rows_and_cycles() -> None:
    recording = sensors.load(golden_pair()["query.csv"])
    cycles = preprocess.GaitCycles()(recording)
    pictures = [chart(recording), chart(recording.values), chart(cycles), chart(cycles[:0])]
    assert {(picture.shape, picture.dtype.name) for picture in pictures} == {((120, 480, 3), "uint8")}
    assert [(picture == 255).all() for picture in pictures] == [False, False, False, True]
    assert (pictures[2] == 0).all(axis=2).any()  # the magnitude


@pytest.mark.data
@pytest.mark.skipif(not REAL.is_dir(), reason="no gait data")
def test_the_real_set() -> None:
    data = load(f"nexus:{REAL}")
    assert (len(data.subjects), len(data.samples)) == (28, 523)
    for sample in data.samples[::50]:
        cycles, _ = walked(preprocess.GaitCycles(), sample.read())
        assert len(cycles.rows) >= 19
        assert 1.2 < 2000 / np.median(np.diff(cycles.spans_ms)) < 2.3  # steps a second
