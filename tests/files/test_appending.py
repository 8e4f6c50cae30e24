"""Lines of many threads and processes stand whole behind each other, and none is lost without an error."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import stat
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_sdk import files
from edge_sdk.errors import ForeignFileError

from ..paths import ROOT

SPAWN = multiprocessing.get_context("spawn")
posix = pytest.mark.skipif(os.name != "posix", reason="permissions and appending as POSIX has them")


def lines(*paths: Path) -> list[bytes]:
    """All but the empty ones, which may stand between lines of several processes."""
    return [line for path in paths for line in path.read_bytes().splitlines() if line]


def write(path: Path, writer: int, count: int, max_bytes: int = 0, keep: int = 0) -> None:
    file = files.AppendedFile(path, max_bytes=max_bytes, keep=keep)
    for number in range(count):
        file.append(b"%d %d " % (writer, number) + b"x" * (number % 5000))
    file.close()


def is_whole(line: bytes) -> bool:
    _, number, filler = line.split(b" ")
    return filler == b"x" * (int(number) % 5000)


@posix
def test_processes_and_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    processes = [SPAWN.Process(target=write, args=(path, writer, 300)) for writer in range(3)]
    for process in processes:
        process.start()
    file = files.AppendedFile(path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: file.append(b"3 %d " % number + b"x" * (number % 5000)), range(300)))
    for process in processes:
        process.join()
    written = lines(path)
    assert all(map(is_whole, written))
    assert Counter(line.split(b" ")[0] for line in written) == dict.fromkeys((b"0", b"1", b"2", b"3"), 300)


@posix
def test_processes_that_move_full_files_away_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    processes = [SPAWN.Process(target=write, args=(path, writer, 200, 20_000, 1000)) for writer in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = [one for one in tmp_path.iterdir() if not one.name.startswith(".")]
    assert len(found) > 3
    written = lines(*found)
    assert all(map(is_whole, written))
    assert Counter(line.split(b" ")[0] for line in written) == dict.fromkeys((b"0", b"1", b"2"), 200)


def test_full_files_are_kept_up_to_a_number(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    file = files.AppendedFile(path, max_bytes=10, keep=2)
    for number in range(6):
        file.append(b"line %d" % number)
    names = {one.name: one.read_bytes() for one in tmp_path.iterdir() if not one.name.startswith(".")}
    assert names == {"lines": b"line 5\n", "lines.1": b"line 4\n", "lines.2": b"line 3\n"}
    (tmp_path / "lines.1").unlink()
    file.append(b"line 6")
    assert (tmp_path / "lines.2").read_bytes() == b"line 3\n", "there was room"


def test_a_file_that_was_moved_or_deleted_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    file = files.AppendedFile(path)
    file.append(b"one")
    path.rename(tmp_path / "moved")
    file.append(b"two")
    path.unlink()
    file.append(b"three")
    assert (tmp_path / "moved").read_bytes() == b"one\n"
    assert path.read_bytes() == b"three\n"


def test_the_working_folder_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = files.AppendedFile("lines")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    file.append(b"one")
    assert (tmp_path / "lines").read_bytes() == b"one\n"


@posix
def test_a_new_file_is_its_owners_alone_and_an_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    before = os.umask(0)
    try:
        files.AppendedFile(path).append(b"one")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    files.AppendedFile(path).append(b"two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert lines(path) == [b"one", b"two"]


@posix
@pytest.mark.usefixtures("shared_group")
@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_refused_also_later(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "lines"
    file = files.AppendedFile(path)
    path.chmod(mode)
    with pytest.raises(ForeignFileError, match="go-w"):
        file.append(b"one")
    with pytest.raises(ForeignFileError, match="go-w"):
        files.AppendedFile(path)
    assert path.read_bytes() == b""
    path.chmod(0o600)
    file.append(b"two")
    assert path.read_bytes() == b"two\n"


@posix
def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null"), tmp_path / "absent" / "lines", "a\0b"):
        with pytest.raises(OSError, match=r"Errno"):
            files.AppendedFile(path)


def test_a_closed_file_takes_nothing(tmp_path: Path) -> None:
    file = files.AppendedFile(tmp_path / "lines")
    file.close()
    file.close()
    with pytest.raises(OSError, match="closed"):
        file.append(b"one")


FULL = """
import resource, sys
from edge_sdk import files
file = files.AppendedFile(sys.argv[1])
file.append(b"first")
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        file.append(b"second, which is too long")
    except OSError as error:
        print(error.errno, error.filename == sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
file.append(b"third")
"""


@posix
def test_a_full_disk_is_an_error_and_the_next_line_stands_alone(tmp_path: Path) -> None:
    """With a limit of the file's size, at which a write stops half-way as on a full disk."""
    path = tmp_path / "lines"
    command = [sys.executable, "-c", FULL, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == [f"{errno.EFBIG} True"] * 2
    assert lines(path) == [b"first", b"seco", b"third"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_no_space_left_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = files.AppendedFile(tmp_path / "lines")
    full = os.open("/dev/full", os.O_WRONLY)
    real = os.write
    monkeypatch.setattr(os, "write", lambda _, data: real(full, data))
    with pytest.raises(OSError, match="No space left") as caught:
        file.append(b"one")
    os.close(full)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "lines"))


def test_a_line_is_flushed_where_that_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    plain, safe = files.AppendedFile(tmp_path / "plain"), files.AppendedFile(tmp_path / "safe", sync=True)
    flushed.clear()  # the folder of the new file
    plain.append(b"one")
    assert flushed == []
    safe.append(b"one")
    assert flushed == [4]

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        safe.append(b"two")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, where another test has imported it
def test_a_fork_writes_though_another_thread_held_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    file = files.AppendedFile(path)
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with file._lock:
            held.set()
            go_on.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    child = os.fork()
    if not child:
        file.append(b"child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    thread.join()
    file.append(b"parent")
    assert lines(path) == [b"child", b"parent"]
