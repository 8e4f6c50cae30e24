"""A writer leaves the old bundle or the new one, whole, whatever ends it."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge_sdk.bundle import Bundle, BundleWriter, pack
from edge_sdk.errors import (
    BundleError,
    BundleNotFoundError,
    ManifestError,
    UnsafePathError,
)

from .made import MODEL, check_whole, fill, manifest_of, write

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals, links or fork")
both = pytest.mark.parametrize("name", ["tiny", "tiny.edge"])


@both
def test_a_bundle_is_replaced_as_a_whole(tmp_path: Path, name: str) -> None:
    with BundleWriter(tmp_path / name) as writer:
        entries = [writer.add(path, path.encode()) for path in ("model.fp32.onnx", "golden/old.png", "golden/b.png")]
        writer.finish(manifest_of(*entries))
    new = write(tmp_path / name, version="2.0")
    check_whole(new)
    assert new.manifest.version == "2.0"
    assert not (tmp_path / name / "golden" / "old.png").exists()
    assert [p.name for p in tmp_path.iterdir()] == [name]


@both
def test_an_unfinished_or_failed_writer_changes_nothing(tmp_path: Path, name: str) -> None:
    before = write(tmp_path / name)
    with BundleWriter(tmp_path / name) as writer:
        writer.add("model.fp32.onnx", b"new")

    def fail() -> None:
        with BundleWriter(tmp_path / name) as writer:
            writer.add("model.fp32.onnx", b"new")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    check_whole(before)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_manifest_and_files_must_agree(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "tiny") as writer:
        entries = fill(writer)
        writer.add("golden/unlisted.png", b"")
        with pytest.raises(BundleError, match=r"golden/unlisted\.png"):
            writer.finish(manifest_of(*entries))
    with BundleWriter(tmp_path / "tiny") as writer:
        model, *golden = fill(writer)
        with pytest.raises(BundleError, match=r"model\.fp32\.onnx"):
            writer.finish(manifest_of(replace(model, sha256="0" * 64), *golden))
    assert list(tmp_path.iterdir()) == []


def test_add_refuses_unsafe_and_repeated_paths(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "tiny") as writer:
        writer.add("a", b"1")
        for path in ("../a", "/a", "b/../a", ".hidden"):
            with pytest.raises(UnsafePathError):
                writer.add(path, b"2")
        with pytest.raises(ManifestError):
            writer.add("manifest.json", b"{}")
        with pytest.raises(BundleError, match="before"):
            writer.add("a", b"2")


def test_a_writer_works_once_inside_its_with_statement(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path / "tiny")
    with pytest.raises(BundleError, match="with"):
        writer.add("a", b"")
    with writer:
        entries = fill(writer)
        writer.finish(manifest_of(*entries))
        with pytest.raises(BundleError, match="once"):
            writer.add("a", b"")


@both
def test_overwrite_can_be_forbidden(tmp_path: Path, name: str) -> None:
    before = write(tmp_path / name)
    with pytest.raises(BundleError, match="exists"):
        pack(before, tmp_path / name, overwrite=False)
    check_whole(before)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_nothing_but_a_bundle_is_ever_replaced(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder.edge").mkdir()
    for target in (home, tmp_path / "file", tmp_path / "folder.edge"):
        with pytest.raises(BundleError, match="not replaced"):
            pack(bundle, target)
    assert (home / "thesis.tex").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.edge", "home", "tiny"]


def test_an_empty_folder_and_missing_parents_will_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    check_whole(write(tmp_path / "empty"))
    check_whole(write(tmp_path / "not" / "yet" / "there.edge"))


def test_a_failed_second_rename_brings_the_old_bundle_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write(tmp_path / "tiny")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == "bundle":
            raise PermissionError("no")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(PermissionError):
            write(tmp_path / "tiny", b"new")
    check_whole(before)
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


def test_two_writers_at_once_do_not_clear_each_other(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "tiny") as first:
        entries = fill(first, b"first")
        write(tmp_path / "tiny", b"second")
        assert first.finish(manifest_of(*entries)).read_model("fp32.onnx") == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


def test_a_deleted_bundle_stays_deleted(tmp_path: Path) -> None:
    """Whatever a writer that was killed after it had replaced the bundle left beside it."""
    write(tmp_path / "tiny", b"new")
    for left in (".tiny.old", ".tiny.new-killed/old", ".tiny.new-killed/gone"):
        write(tmp_path / left, b"old")
    (tmp_path / ".tiny.new-killed" / "lock").touch()
    assert Bundle.open(tmp_path / "tiny").read_model("fp32.onnx") == b"new"
    shutil.rmtree(tmp_path / "tiny")
    with pytest.raises(BundleNotFoundError, match="no bundle at"):
        Bundle.open(tmp_path / "tiny")
    assert write(tmp_path / "tiny", b"newer").read_model("fp32.onnx") == b"newer"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".tiny.old", "tiny"], "the next writer cleared the folder"


@posix
def test_without_locks_bundles_are_written_and_nothing_is_taken_for_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network shares, where nobody can tell whether another writer still runs."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr("fcntl.flock", refuse)
    (tmp_path / ".tiny.new-other").mkdir()
    check_whole(write(tmp_path / "tiny"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tiny.new-other", "tiny"]


def test_a_bundle_that_was_being_replaced_is_the_old_one(tmp_path: Path) -> None:
    """As a writer leaves it that is killed between its two renames; a bundle that came since counts more."""
    write(tmp_path / ".tiny.new-killed" / "old", b"old")
    write(tmp_path / ".tiny.new-killed" / "bundle", b"new")
    (tmp_path / ".tiny.new-killed" / "lock").touch()
    assert Bundle.open(tmp_path / "tiny").read_model("fp32.onnx") == b"old"
    shutil.copytree(tmp_path / ".tiny.new-killed", tmp_path / "kept")
    with BundleWriter(tmp_path / "tiny"):
        assert Bundle.open(tmp_path / "tiny").read_model("fp32.onnx") == b"old", "restored by the next writer"
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["kept", "tiny"]
    (tmp_path / "kept").rename(tmp_path / ".tiny.new-killed")
    shutil.rmtree(tmp_path / "tiny")
    shutil.copytree(tmp_path / ".tiny.new-killed" / "bundle", tmp_path / "tiny")
    assert Bundle.open(tmp_path / "tiny").read_model("fp32.onnx") == b"new"
    with BundleWriter(tmp_path / "tiny"):
        pass
    assert Bundle.open(tmp_path / "tiny").read_model("fp32.onnx") == b"new"


@posix
@both
def test_many_writers_of_one_bundle_take_turns(tmp_path: Path, name: str) -> None:
    def many(number: int) -> list[str]:
        return [write(tmp_path / name, MODEL, f"{number}.{turn}").manifest.version for turn in range(8)]

    with ThreadPoolExecutor(4) as pool:
        for number, versions in enumerate(pool.map(many, range(4))):
            assert versions == [f"{number}.{turn}" for turn in range(8)], "each opened what it had written"
    check_whole(Bundle.open(tmp_path / name))
    assert [p.name for p in tmp_path.iterdir()] == [name]


# --- kill -9 ---------------------------------------------------------------------------------------------------------

# Forks one writer after another; the n-th is killed just before its n-th file-system event (opening, making, renaming,
# removing), until one comes through. Prints the number of kills, and how many struck between the two renames.
KILLER = """
    import os, signal, sys
    from pathlib import Path
    from edge_sdk.bundle import Bundle
    from made import check_whole, write

    os.fsync = lambda _: None  # slow, and only a power cut loses what is not flushed
    EVENTS = ("open", "os.", "shutil.", "tempfile.", "fcntl.")
    destination, old = Path(sys.argv[1]), b"old" * 5000
    write(destination, old, version="old")
    between = 0
    for step in range(1, 1000):
        child = os.fork()
        if child == 0:
            seen = 0
            def hook(event, arguments):
                global seen
                if event.startswith(EVENTS):
                    seen += 1
                    if seen == step:
                        os.kill(os.getpid(), signal.SIGKILL)
            sys.addaudithook(hook)
            write(destination, b"new" * 5000, version="new")
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        between += not destination.exists()
        bundle = Bundle.open(destination)
        check_whole(bundle)
        expected = {"old": old, "new": b"new" * 5000}[bundle.manifest.version]
        assert bundle.read_model("fp32.onnx") == expected
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        if sys.argv[2] == "tidy":  # otherwise leftovers pile up, and the kills strike while they are cleared
            write(destination, old, version="old")
            left = [p.name for p in destination.parent.iterdir()]
            assert left == [destination.name], left
    print(step - 1, between)
"""


@posix
@pytest.mark.parametrize(("name", "habit"), [("tiny", "tidy"), ("tiny.edge", "tidy"), ("tiny", "untidy")])
def test_killed_at_every_step_the_old_or_the_new_bundle_is_whole(tmp_path: Path, name: str, habit: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLER), str(tmp_path / name), habit],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills, between = map(int, done.stdout.split())
    assert kills > 20, "the hook saw the writer's steps"
    if habit == "tidy":
        assert between == (1 if name == "tiny" else 0), "a folder is replaced in two steps, a file in one"
    assert Bundle.open(tmp_path / name).manifest.version == "new"
    assert [p.name for p in tmp_path.iterdir()] == [name], "the writer that came through cleared everything"


WRITE_FOREVER = """
    import os, sys
    from pathlib import Path
    from made import write

    os.fsync = lambda _: None  # as above
    turn = 0
    while True:
        turn += 1
        write(Path(sys.argv[1]), str(turn).encode() * 100_000, version=str(turn))
        print(turn, flush=True)
"""


@posix
@both
def test_killed_from_outside_at_any_time(tmp_path: Path, name: str) -> None:
    rng = random.Random(1)
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITE_FOREVER), str(tmp_path / name)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            finished = int(process.stdout.readline())
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
            finished = max([finished, *map(int, process.stdout.read().split())])
        assert process.returncode == -signal.SIGKILL
        bundle = Bundle.open(tmp_path / name)
        check_whole(bundle)
        assert int(bundle.manifest.version) in (finished, finished + 1)
    write(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
