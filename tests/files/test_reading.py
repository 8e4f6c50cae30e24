"""Ordinary files are read; what could wait for ever or never end is refused before it is opened."""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from edge_sdk import files

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes, sockets and devices with a path")


def test_a_file_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert files.read_bytes(path, 5) == files.read_bytes(str(path), 6) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes") as caught:
        files.read_bytes(path, 4)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    with files.open_regular(path) as file:
        assert (file.read(2), file.seek(4), file.read()) == (b"12", 4, b"5")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert files.read_bytes(tmp_path / "file", 0) == b""


@posix
def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert files.read_bytes(tmp_path / "link", 5) == b"12345"


def test_a_file_that_grows_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size was within the limit when it was opened; as /proc has them, of size 0 and full."""
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    found = os.stat_result((*path.stat()[:6], 0, *path.stat()[7:]))
    monkeypatch.setattr(os, "fstat", lambda _: found)
    with pytest.raises(OSError, match="more than 4 bytes"):
        files.read_bytes(path, 4)
    assert files.read_bytes(path, 5) == files.read_bytes(path, 2**40) == b"12345"


@pytest.mark.parametrize("read", [files.open_regular, lambda path: files.read_bytes(path, 9)])
def test_what_is_no_file(tmp_path: Path, read) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read(tmp_path)
    for name in ("null\0byte", "n" * 10_000, "\ud800"):
        with pytest.raises(OSError):  # noqa: PT011 - the system's words
            read(name)


@posix
def test_pipes_sockets_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{short}/socket")
        for path, kind in (
            (tmp_path / "pipe", "a pipe"),
            (tmp_path / "link", "a pipe"),
            (Path(short, "socket"), "a socket"),
            (Path("/dev/zero"), "a device"),
        ):
            with pytest.raises(OSError, match=f"is {kind}, not a file"):
                files.open_regular(path)


@posix
def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    was = (tmp_path / "file").stat()
    monkeypatch.setattr(os, "stat", lambda _: was)
    with pytest.raises(OSError, match="is a pipe, not a file"):
        files.open_regular(tmp_path / "pipe")
