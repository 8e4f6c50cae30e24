"""What a process that was killed leaves goes with the next write; what somebody still uses stays."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import pytest

from edge_sdk import files
from edge_sdk.files import abandoned, scratch, writing

posix = pytest.mark.skipif(sys.platform == "win32", reason="locks and forks as POSIX has them")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _die_while_writing(path: Path) -> None:
    with files.atomic_write(path) as file:
        file.write(b"half")
        file.flush()
        os._exit(9)


def _killed(path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_while_writing, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 9


@posix
def test_what_a_killed_process_left_goes_with_the_next_write_into_the_folder(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "file", b"old")
    _killed(tmp_path / "file")
    assert [name.startswith(".file.new-") for name in names(tmp_path)] == [True, False]
    assert (tmp_path / "file").read_bytes() == b"old"
    files.write_bytes(tmp_path / "other", b"new")
    assert names(tmp_path) == ["file", "other"]


@posix
def test_what_is_being_written_and_what_others_named_stay(tmp_path: Path) -> None:
    others = {".file.new-by-hand", "file.new-0123456789abcdef", ".new-0123456789abcde"}
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / ".folder.new-0123456789abcdef").mkdir()
    os.mkfifo(tmp_path / ".pipe.new-0123456789abcdef")
    (tmp_path / ".link.new-0123456789abcdef").symlink_to("file.new-0123456789abcdef")
    before = set(names(tmp_path))
    with files.atomic_write(tmp_path / "file"):
        files.write_bytes(tmp_path / "file", b"other")
        (temporary,) = set(names(tmp_path)) - before - {"file"}
        assert temporary.startswith(".file.new-")
    assert set(names(tmp_path)) == before | {"file"}
    assert (tmp_path / "file").read_bytes() == b""


@posix
def test_a_file_that_is_taken_for_abandoned_before_it_is_locked_is_made_anew(tmp_path: Path, monkeypatch) -> None:
    real = writing.try_lock
    taken: list[Path] = []

    def late(descriptor: int) -> bool | None:
        if not taken:
            taken.extend(tmp_path.glob(".file.new-*"))
            taken[0].unlink()
        return real(descriptor)

    monkeypatch.setattr(writing, "try_lock", late)
    files.write_bytes(tmp_path / "file", b"new")
    assert (names(tmp_path), (tmp_path / "file").read_bytes()) == (["file"], b"new")


@posix
def test_without_locks_nothing_is_taken_for_abandoned(tmp_path: Path, monkeypatch) -> None:
    _killed(tmp_path / "file")
    monkeypatch.setattr(writing, "try_lock", lambda _: None)
    monkeypatch.setattr(abandoned, "try_lock", lambda _: None)
    files.write_bytes(tmp_path / "file", b"new")
    assert len(names(tmp_path)) == 2


def test_a_large_folder_is_searched_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(abandoned, "_LARGE_FOLDER", 2)
    for name in "abc":
        (tmp_path / name).touch()
    files.write_bytes(tmp_path / "a", b"new")
    searched: list[object] = []
    monkeypatch.setattr(os, "scandir", searched.append)
    files.write_bytes(tmp_path / "a", b"newer")
    assert (searched, (tmp_path / "a").read_bytes()) == ([], b"newer")


# --- folders that appear as a whole ---


def test_a_scratch_folder_goes_after_the_block(tmp_path: Path) -> None:
    with files.scratch_folder(tmp_path / "a" / "writer") as folder:
        assert folder.name.startswith(".writer.new-")
        (folder / "new").mkdir()
        (folder / "new" / "file").write_bytes(b"new")
        (folder / "new").rename(tmp_path / "a" / "writer")
    assert names(tmp_path / "a") == ["writer"]
    with pytest.raises(KeyError), files.scratch_folder(tmp_path / "a" / "writer"):
        raise KeyError
    assert names(tmp_path / "a") == ["writer"]


def _die_with_a_scratch_folder(path: Path) -> None:
    with files.scratch_folder(path) as folder:
        (folder / "half").mkdir()
        (folder / "half" / "file").write_bytes(b"half")
        os._exit(9)


@posix
def test_a_scratch_folder_of_a_killed_process_goes_and_one_in_use_stays(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_with_a_scratch_folder, args=(tmp_path / "w",))
    process.start()
    process.join()
    (left,) = names(tmp_path)
    assert left.startswith(".w.new-")
    with files.scratch_folder(tmp_path / "w") as one, files.scratch_folder(tmp_path / "v") as other:
        assert sorted([one.name, other.name]) == names(tmp_path)
        files.write_bytes(tmp_path / "file", b"new")
        assert sorted([one.name, other.name, "file"]) == names(tmp_path)
    assert names(tmp_path) == ["file"]


@posix
def test_a_scratch_folder_that_is_taken_for_abandoned_is_made_anew(tmp_path: Path, monkeypatch) -> None:
    real, seen = scratch.try_lock, []

    def late(descriptor: int) -> bool | None:
        seen.append(descriptor)
        return real(descriptor) if len(seen) > 1 else False

    monkeypatch.setattr(scratch, "try_lock", late)
    with files.scratch_folder(tmp_path / "w") as folder:
        assert (folder / "lock").exists()
    assert len(seen) == 2
