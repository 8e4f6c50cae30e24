"""Whoever reads, changes and writes a file takes turns with others, and waits for nobody for ever."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import sys
from pathlib import Path

import pytest

from edge_sdk import files
from edge_sdk.errors import StorageError
from edge_sdk.files import locks

SPAWN = multiprocessing.get_context("spawn")


def add(path: Path, times: int) -> None:
    for _ in range(times):
        with files.locked(path):
            files.write_bytes(path, str(int(path.read_bytes()) + 1).encode())


def test_processes_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_bytes(b"0")
    others = [SPAWN.Process(target=add, args=(path, 10)) for _ in range(4)]
    for process in others:
        process.start()
    add(path, 10)
    for process in others:
        process.join()
    assert int(path.read_bytes()) == 50
    assert sorted(found.name for found in tmp_path.iterdir()) == [".count.lock", "count"]


def die(path: Path) -> None:
    with files.locked(path):
        os._exit(9)


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    process = SPAWN.Process(target=die, args=(tmp_path / "file",))
    process.start()
    process.join()
    assert process.exitcode == 9
    with files.locked(tmp_path / "file", wait_s=0):
        pass


def test_a_lock_that_stays_held_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with files.locked(path):
        with pytest.raises(StorageError, match=r"another process has held \.file\.lock for 0 s"), files.locked(path, 0):
            pass
        with files.locked(tmp_path / "other", 0):
            pass
    with files.locked(path, 0):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_a_file_and_a_link_to_it_have_one_lock(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data/file")
    with files.locked(tmp_path / "link"), pytest.raises(StorageError), files.locked(tmp_path / "data" / "file", 0):
        pass


def test_names_of_the_greatest_length(tmp_path: Path) -> None:
    for name in ("n" * 249, "n" * 255, "m" * 255):
        with files.locked(tmp_path / name, 0):
            pass
    assert len(list(tmp_path.iterdir())) == 3


def test_where_there_are_no_locks_a_warning_says_so(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(locks, "try_lock", lambda _: None)
    with caplog.at_level(logging.WARNING), files.locked(tmp_path / "file"):
        pass
    assert "no locks" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
@pytest.mark.parametrize(("number", "held"), [(errno.EWOULDBLOCK, False), (errno.ENOLCK, None), (errno.ENOTSUP, None)])
def test_a_held_lock_is_told_from_none(tmp_path: Path, monkeypatch, number: int, held: bool | None) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "")

    monkeypatch.setattr("fcntl.flock", refuse)
    with (tmp_path / "file").open("wb") as file:
        assert locks.try_lock(file.fileno()) is held


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")
def test_another_users_lock_is_opened_to_read(tmp_path: Path, monkeypatch) -> None:
    real = os.open

    def refuse(path, flags, mode=0o777, **rest) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "", path)
        return real(path, flags, mode, **rest)

    monkeypatch.setattr(os, "open", refuse)
    with files.locked(tmp_path / "file"), pytest.raises(StorageError), files.locked(tmp_path / "file", 0):
        pass
