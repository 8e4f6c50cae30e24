from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk import files
from edge_sdk.files import writing

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and links as POSIX has them")


def write_in_pieces(path: Path, data: bytes = b"new") -> None:
    with files.atomic_write(path) as file:
        for letter in data:
            file.write(bytes([letter]))


WRITERS: list[Callable[[Path, bytes], None]] = [files.write_bytes, write_in_pieces]
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
def test_after_an_error_or_an_interrupt_there_is_the_old_file_alone(tmp_path: Path, reason) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with files.atomic_write(path) as opened:
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
def test_a_name_that_ends_as_a_folders_is_no_file(tmp_path: Path, write) -> None:
    for name in (f"{tmp_path}/new/", f"{tmp_path}/"):
        with pytest.raises(IsADirectoryError, match="ends as the name of a folder"):
            write(name, b"new")
        with pytest.raises(IsADirectoryError):
            files.check_writable(name)
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


def test_tests_write_nothing_into_the_users_home() -> None:
    assert not files.cache_folder().is_relative_to(Path.home())
    assert not files.config_folder().is_relative_to(Path.home())


# --- what lasts ---


@posix
@every_writer
def test_the_file_is_on_the_disk_before_it_is_renamed_and_the_folder_after(tmp_path: Path, monkeypatch, write) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", lambda *paths: (done.append("rename"), replace(*paths)))
    write(tmp_path / "file", b"new")
    assert done == ["file", "rename", "folder"]
    done.clear()
    write(tmp_path / "a" / "b" / "file", b"new")
    assert done == ["folder", "folder", "file", "rename", "folder"]


@posix
def test_nobody_may_ever_read_more_than_before(tmp_path: Path, monkeypatch) -> None:
    """The modes that the temporary file has, from its making to its renaming."""
    found: list[int] = []
    make = os.open

    def noted(path, flags, mode=0o777, **rest) -> int:
        descriptor = make(path, flags, mode, **rest)
        if flags & os.O_EXCL:
            found.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", noted)
    (tmp_path / "old").write_bytes(b"old")
    for before in (0o600, 0o640, 0o666):
        (tmp_path / "old").chmod(before)
        with files.atomic_write(tmp_path / "old"):
            (temporary,) = tmp_path.glob(".old.new-*")
            assert mode(temporary) == before
    files.write_bytes(tmp_path / "private", b"new", private=True)
    assert found == [0o600] * 4
    assert mode(tmp_path / "private") == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
@every_writer
def test_the_owner_and_the_group_stay(tmp_path: Path, write) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    path.chmod(0o640)
    write(path, b"new")
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 23456, 0o640)


@posix
def test_a_group_that_cannot_be_kept_is_not_replaced_by_another_that_may_read(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o664)
    was = path.stat()
    others = os.stat_result((*was[:4], was.st_uid + 1, was.st_gid + 1, *was[6:]))
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **rest: others if self == path else real(self, **rest))

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    files.write_bytes(path, b"new")
    monkeypatch.undo()
    assert (path.read_bytes(), mode(path)) == (b"new", 0o604)


@pytest.mark.skipif(sys.platform != "linux", reason="extended attributes")
def test_noted_attributes_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.person", b"7")
    except OSError:
        pytest.skip("this file system has none")
    files.write_bytes(path, b"new")
    assert os.getxattr(path, "user.person") == b"7"


# --- what cannot be replaced ---


@posix
@every_writer
def test_of_hard_links_the_named_one_is_replaced(tmp_path: Path, write) -> None:
    (tmp_path / "backup").write_bytes(b"old")
    os.link(tmp_path / "backup", tmp_path / "file")
    write(tmp_path / "file", b"new")
    assert ((tmp_path / "file").read_bytes(), (tmp_path / "backup").read_bytes()) == (b"new", b"old")


@posix
@every_writer
def test_a_file_that_may_not_be_written_to_is_not_replaced(tmp_path: Path, monkeypatch, write) -> None:
    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, _: False)  # as root may write to anything
    with pytest.raises(PermissionError, match="may not be written to"):
        write(tmp_path / "file", b"new")
    assert (names(tmp_path), (tmp_path / "file").read_bytes()) == (["file"], b"old")


@posix
@every_writer
def test_a_link_that_leads_to_itself(tmp_path: Path, write) -> None:
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="itself"):
        write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()


@every_writer
@pytest.mark.parametrize("name", ["n" * 256, "n" * 10_000, "null\0byte"])
def test_a_name_that_no_file_can_have(tmp_path: Path, write, name: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - the system's words
        write(tmp_path / name, b"new")
    assert names(tmp_path) == []


@posix
@every_writer
@pytest.mark.parametrize("letter", ["\u00e9", "\u20ac", "\U0001f58a"])
def test_a_long_name_of_letters_of_several_bytes(tmp_path: Path, write, letter: str) -> None:
    name = "a" + letter * (254 // len(letter.encode()))
    write(tmp_path / name, b"new")
    write(tmp_path / name, b"newer")
    assert (names(tmp_path), (tmp_path / name).read_bytes()) == ([name], b"newer")


@every_writer
def test_a_full_disk_is_named_with_the_file(tmp_path: Path, monkeypatch, write) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path / "file", b"new")
    assert caught.value.filename == str((tmp_path / "file").resolve())


@pytest.mark.skipif(sys.platform != "linux", reason="a device that is full")
def test_a_full_device_is_named() -> None:
    with pytest.raises(OSError, match=r"No space left.*/dev/full"):
        files.write_bytes("/dev/full", b"new")


def test_a_folder_in_which_nothing_can_be_made_is_named_by_the_file(tmp_path: Path, monkeypatch) -> None:
    def refuse(path, flags, mode=0o777, **_) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    for write in (*WRITERS, lambda path, _: files.check_writable(path)):
        with pytest.raises(PermissionError, match="beside its name") as caught:
            write(tmp_path / "file", b"new")
        assert caught.value.filename == str((tmp_path / "file").resolve())


@every_writer
def test_a_file_that_is_a_mount_says_what_to_mount(tmp_path: Path, monkeypatch, write) -> None:
    """As a container has a single file that was mounted into it."""

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", busy)
    with pytest.raises(OSError, match="mount its folder instead"):
        write(tmp_path / "file", b"new")
    assert names(tmp_path) == []


@every_writer
def test_where_a_file_that_is_read_cannot_be_renamed_onto_it_is_tried_again(tmp_path, monkeypatch, write) -> None:
    """As Windows has it."""
    monkeypatch.setattr(writing, "_TRIES", 3)
    real, tried = Path.replace, []

    def busy(*paths: Path) -> None:
        tried.append(paths)
        if len(tried) < 3:
            raise PermissionError(errno.EACCES, "used by another process")
        real(*paths)

    monkeypatch.setattr(Path, "replace", busy)
    write(tmp_path / "file", b"new")
    assert (len(tried), (tmp_path / "file").read_bytes()) == (3, b"new")


@posix
def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads"):
        files.write_bytes(tmp_path / "pipe", b"new")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    files.write_bytes(tmp_path / "pipe", b"new")
    assert os.read(reader, 9) == b"new"
    os.close(reader)
    assert names(tmp_path) == ["pipe"]
