"""What was prepared once is read again; what cannot be read is made anew or named, and never waited for."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import DatasetError, ForeignFileError, StorageError
from edge_sdk.export.data import cache
from edge_sdk.export.data.layouts import Entry
from edge_sdk.export.data.samples import Sample
from edge_sdk.preprocess import INK, Resample

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a path")


def drawn(path: Path, number: int) -> Path:
    picture = np.full((60, 90, 3), 255, np.uint8)
    cv2.line(picture, (10, 10 + number), (80, 50 - number), (0, 0, 0), 3)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return path


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "cache"))
    paths = [drawn(tmp_path / f"{number}.png", number) for number in range(3)]
    return [Sample("own", f"own-{path.stem}", True, path, modality="signature") for path in paths]


def entry(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "cache" / "prepared-v2").iterdir()
    return found


def encoded(array: np.ndarray, save=np.save) -> bytes:
    buffer = io.BytesIO()
    save(buffer, array)
    return buffer.getvalue()


def test_what_was_prepared_is_read_again(samples: list[Sample], tmp_path: Path, monkeypatch) -> None:
    first = np.array(cache.prepared(samples, INK))
    monkeypatch.setattr(cache, "compact", lambda *_: pytest.fail("prepared again"))
    np.testing.assert_array_equal(cache.prepared(samples, INK), first)
    assert [path.name[:1] for path in entry(tmp_path).parent.iterdir()] != ["."]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: b"PK\x03\x04" + data,
        lambda data: data.replace(b"{'descr'", b"(((((((("),
        lambda data: data.replace(b"'|u1'", b"'|O1'"),
        lambda data: encoded(np.zeros((2, 4, 4), np.uint8)),
        lambda data: encoded(np.zeros(3)),
        lambda data: encoded(np.zeros(3, np.uint8), np.savez),
    ],
    ids=["empty", "cut", "zip", "token", "objects", "fewer", "float64", "npz"],
)
def test_a_damaged_file_is_made_anew(samples: list[Sample], tmp_path: Path, damage) -> None:
    wanted = np.array(cache.prepared(samples, INK))
    path = entry(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    np.testing.assert_array_equal(cache.prepared(samples, INK), wanted)
    assert path.read_bytes() == whole


@pipes
def test_a_pipe_is_not_waited_for(samples: list[Sample], tmp_path: Path) -> None:
    cache.prepared(samples, INK)
    path = entry(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StorageError, match=r"is a pipe, not a file.*EDGE_SDK_CACHE"):
        cache.prepared(samples, INK)
    os.mkfifo(tmp_path / "source.png")
    with pytest.raises(DatasetError, match="is a pipe, not a file"):
        cache.rendered([Entry("p", True, tmp_path / "source.png")], "made", ".png", lambda *_: b"", "photographed")


posix = pytest.mark.skipif(os.name != "posix", reason="Windows tells by access lists")


@posix
def test_what_is_kept_is_its_owners_alone(samples: list[Sample], tmp_path: Path) -> None:
    cache.prepared(samples, INK)
    cache.rendered([Entry("p", True, samples[0].path)], "made", ".png", lambda *_: b"picture", "photographed")
    modes = {path.is_file(): set[int]() for path in (tmp_path / "cache").rglob("*")}
    for path in (tmp_path / "cache").rglob("*"):
        modes[path.is_file()].add(path.stat().st_mode & 0o777)
    assert modes == {True: {0o600}, False: {0o700}}


@posix
@pytest.mark.usefixtures("shared_group")
def test_a_file_that_others_can_write_is_made_anew(
    samples: list[Sample], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = np.array(cache.prepared(samples, INK))
    path = entry(tmp_path)
    path.write_bytes(encoded(np.zeros_like(wanted)))
    path.chmod(0o666)
    np.testing.assert_array_equal(cache.prepared(samples, INK), wanted)
    assert "made anew: " in caplog.text
    assert path.stat().st_mode & 0o777 == 0o600

    def render() -> Path:
        entries = [Entry("p", True, samples[0].path)]
        return cache.rendered(entries, "made", ".png", lambda *_: b"picture", "photographed")[0].path

    render().write_bytes(b"another")
    render().chmod(0o620)
    assert render().read_bytes() == b"picture"


@posix
@pytest.mark.usefixtures("shared_group")
def test_a_folder_that_others_can_write_is_refused(samples: list[Sample], tmp_path: Path) -> None:
    cache.prepared(samples, INK)
    entry(tmp_path).parent.chmod(0o770)
    with pytest.raises(ForeignFileError, match=r"prepared-v2 can be written by others \(chmod go-w"):
        cache.prepared(samples, INK)
    (tmp_path / "cache" / "made").mkdir(mode=0o700)
    (tmp_path / "cache" / "made").chmod(0o777)
    with pytest.raises(ForeignFileError, match="made can be written by others"):
        cache.rendered([Entry("p", True, samples[0].path)], "made", ".png", lambda *_: b"picture", "photographed")


@posix
def test_a_link_that_leads_to_itself_is_named(samples: list[Sample], tmp_path: Path) -> None:
    cache.prepared(samples, INK)
    path = entry(tmp_path)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(StorageError, match="is a link that leads to itself"):
        cache.prepared(samples, INK)


def test_a_full_disk_is_named(samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left on device: '.*'; make room, .*EDGE_SDK_CACHE"):
        cache.prepared(samples, INK)
    with pytest.raises(StorageError, match="No space left on device"):
        cache.rendered([Entry("p", True, samples[0].path)], "made", ".png", lambda *_: b"picture", "photographed")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_cache_that_is_a_file_is_named(samples: list[Sample], tmp_path: Path, monkeypatch, name: str) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / name))
    with pytest.raises(StorageError, match="set EDGE_SDK_CACHE"):
        cache.prepared(samples, INK)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="locks that end with their process")
def test_what_a_killed_process_left_goes(samples: list[Sample], tmp_path: Path) -> None:
    cache.prepared(samples, INK)
    left = entry(tmp_path).with_name(".abc.npy.new-0123456789abcdef")
    left.write_bytes(b"half")
    cache.prepared(samples[:2], INK)
    assert not left.exists()


def walk(path: Path, rows: int) -> Sample:
    path.write_text(f"{rows}\n")
    return Sample("own", "own/1", True, path, modality="gait")


WINDOW = (Resample(rate_hz=10, samples=5, channels=2),)


def test_a_sample_gives_as_many_rows_as_its_pipeline_makes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "cache"))
    walks = [walk(tmp_path / f"{number}.csv", rows) for number, rows in enumerate([2, 0, 3])]

    def rows_of(sample: Sample, _operations: object) -> np.ndarray:
        count = int(sample.path.read_text())
        return np.arange(count * 10, dtype=np.float32).reshape(count, 5, 2) + 100 * int(sample.path.stem)

    monkeypatch.setattr(Sample, "prepared", rows_of)
    reports: list[tuple[int, int]] = []
    rows = cache.prepared_rows(walks, WINDOW, progress=lambda *report: reports.append(report))
    assert reports == [(1, 3), (2, 3), (3, 3)]
    assert rows.tensors.dtype == np.float32
    assert [int(row[0, 0]) for row in rows.tensors] == [0, 10, 200, 210, 220]
    assert [sample.path.stem for sample in rows.samples] == ["0", "0", "2", "2", "2"]
    assert rows.left_out == (walks[1],)
    monkeypatch.setattr(Sample, "prepared", lambda *_: pytest.fail("prepared again"))
    again = cache.prepared_rows(walks, WINDOW)
    np.testing.assert_array_equal(again.tensors, rows.tensors)
    assert (again.samples, again.left_out) == (rows.samples, rows.left_out)
    with pytest.raises(DatasetError, match="3 samples give 5 rows"):
        cache.prepared(walks, WINDOW)
    monkeypatch.setattr(Sample, "prepared", rows_of)
    with pytest.raises(DatasetError, match=r"none of 1 samples, .*1\.csv"):
        cache.prepared_rows(walks[1:2], WINDOW)


def test_a_single_tensor_is_one_row(samples: list[Sample]) -> None:
    rows = cache.prepared_rows(samples, INK)
    assert rows.samples == tuple(samples)
    assert rows.left_out == ()
    np.testing.assert_array_equal(rows.tensors, cache.prepared(samples, INK))
