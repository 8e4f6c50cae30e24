from __future__ import annotations

import multiprocessing
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk import files

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and links as POSIX has them")


def fill(path: Path, data: bytes = b"new") -> None:
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(data)


WRITERS: list[Callable[[Path, bytes], None]] = [files.write_bytes, fill]
every_writer = pytest.mark.parametrize("write", WRITERS)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@every_writer
def test_a_file_is_made_with_its_folders_and_replaced(tmp_path: Path, write) -> None:
    path = tmp_path / "a" / "b" / "file"
    write(path, b"old, and longer")
    write(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["file"]


def test_text_is_utf_8_and_keeps_its_line_ends(tmp_path: Path) -> None:
    files.write_text(str(tmp_path / "text"), "gr\u00fcn\n")
    assert (tmp_path / "text").read_bytes() == b"gr\xc3\xbcn\n"


@every_writer
def test_a_name_of_the_greatest_length(tmp_path: Path, write) -> None:
    write(tmp_path / ("n" * 255), b"new")
    assert names(tmp_path) == ["n" * 255]


@posix
@every_writer
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path, write, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "file", b"new")
        (tmp_path / "ordinary").write_bytes(b"")
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == mode(tmp_path / "ordinary") == 0o666 & ~umask


@posix
@every_writer
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, write) -> None:
    path = tmp_path / "private"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", 0o600)


@posix
@every_writer
def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path, write) -> None:
    (tmp_path / "real").mkdir()
    link, target = tmp_path / "link", tmp_path / "real" / "file"
    link.symlink_to(target)
    write(link, b"first")  # the link names nothing yet
    write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(tmp_path / "real") == ["file"]


@pytest.mark.parametrize("reason", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("open_", [files.atomic_write, files.atomic_path])
def test_after_an_error_or_an_interrupt_there_is_the_old_file_alone(tmp_path: Path, open_, reason) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with open_(path) as opened:
            if open_ is files.atomic_write:
                opened.write(b"half")
            raise reason

    with pytest.raises(reason):
        fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@every_writer
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_errors_of_the_disk_stay_os_errors(tmp_path: Path, monkeypatch, write, where: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if where == "fsync" else (Path, "replace")), full)
    with pytest.raises(OSError, match="No space left"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@every_writer
def test_a_folder_is_refused(tmp_path: Path, write) -> None:
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        write(tmp_path, b"new")
    with pytest.raises(IsADirectoryError):
        files.check_writable(tmp_path)
    assert names(tmp_path) == []


@every_writer
def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, write) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        write(tmp_path / "file" / "inside", b"new")


@posix
def test_a_device_is_written_to_and_stays_one() -> None:
    files.check_writable("/dev/null")
    files.write_bytes("/dev/null", b"new")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_checking_leaves_nothing_but_the_folder(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "a" / "file")
    assert names(tmp_path / "a") == []
    (tmp_path / "file").write_bytes(b"old")
    files.check_writable(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"
    with pytest.raises(OSError, match="file"):
        files.check_writable(tmp_path / "file" / "inside")


def _write_often(path: Path, letter: str) -> None:
    for _ in range(20):
        files.write_bytes(path, letter.encode() * 50_000)


def test_two_processes_may_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"-" * 50_000)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_often, args=(path, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    found = set()
    while any(writer.is_alive() for writer in writers):
        found.add(path.read_bytes())
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert all(len(data) == 50_000 and len(set(data)) == 1 for data in found | {path.read_bytes()})
    assert names(tmp_path) == ["file"]


FOLDERS = [
    (files.cache_folder, "EDGE_SDK_CACHE", "XDG_CACHE_HOME", ".cache"),
    (files.config_folder, "EDGE_SDK_CONFIG", "XDG_CONFIG_HOME", ".config"),
]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs knows where")
@pytest.mark.parametrize(("folder", "own", "xdg", "default"), FOLDERS)
def test_folders_follow_the_environment(tmp_path: Path, monkeypatch, folder, own: str, xdg: str, default: str) -> None:
    monkeypatch.delenv(own, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(xdg, str(tmp_path / "xdg"))
    assert folder() == tmp_path / "xdg" / "edge-sdk"
    monkeypatch.delenv(xdg)
    assert folder() == tmp_path / "home" / default / "edge-sdk"
    monkeypatch.setenv(own, "")
    assert folder() == tmp_path / "home" / default / "edge-sdk"
    monkeypatch.setenv(own, "~/own")
    assert folder() == tmp_path / "home" / "own"
    monkeypatch.setenv(own, str(tmp_path / "own"))
    assert folder() == tmp_path / "own"
    assert names(tmp_path) == []


@pytest.mark.parametrize(("folder", "own", "xdg", "default"), FOLDERS)
def test_without_a_home_the_variable_is_asked_for(monkeypatch, folder, own: str, xdg: str, default: str) -> None:
    monkeypatch.delenv(own, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: "~/.cache/edge-sdk")
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: "~/.config/edge-sdk")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(FileNotFoundError, match=own):
        folder()


def test_tests_write_nothing_into_the_users_home() -> None:
    assert not files.cache_folder().is_relative_to(Path.home())
    assert not files.config_folder().is_relative_to(Path.home())
