from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge_sdk.bundle import Bundle, BundleWriter, finding, pack, reader, shipped
from edge_sdk.bundle.digests import digest_file
from edge_sdk.bundle.writer import ALIGNMENT
from edge_sdk.errors import (
    BundleError,
    BundleNotFoundError,
    IntegrityError,
    ManifestError,
    SchemaVersionError,
    UnsafePathError,
)
from edge_sdk.manifest import SCHEMA_VERSION, FileEntry

from .made import GOLDEN, MODEL, check_whole, edit_manifest, fill, manifest_of, pin, write

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals, links or fork")
both = pytest.mark.parametrize("name", ["tiny", "tiny.edge"])

# --- the round trip --------------------------------------------------------------------------------------------------


@both
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    written = write(tmp_path / name)
    for source in (tmp_path / name, str(tmp_path / name), written):
        bundle = Bundle.open(source)
        assert bundle.read_model("fp32.onnx") == MODEL
        assert bundle.read(bundle.manifest.golden.inputs[0]) == GOLDEN
        assert bundle.manifest == written.manifest
    assert (tmp_path / name).is_dir() == (name == "tiny")
    assert [p.name for p in tmp_path.iterdir()] == [name], "nothing is left beside the bundle"
    with pytest.raises(ManifestError, match=r"int8\.onnx"):
        bundle.read_model("int8.onnx")


def test_an_opened_bundle_is_opened_as_itself(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    assert Bundle.open(bundle) is bundle


def test_the_id_names_the_manifest(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    digest = hashlib.sha256((tmp_path / "tiny" / "manifest.json").read_bytes()).hexdigest()
    assert bundle.id == f"tiny-1.0-{digest[:12]}"


def test_packing_keeps_identity_and_repeats_bit_by_bit(tmp_path: Path) -> None:
    folder = write(tmp_path / "tiny")
    first = pack(folder, tmp_path / "a.edge")
    second = pack(first, tmp_path / "b.edge")
    back = pack(second, tmp_path / "back")
    assert folder.id == first.id == second.id == back.id
    assert (tmp_path / "a.edge").read_bytes() == (tmp_path / "b.edge").read_bytes()
    for path in ("manifest.json", "manifest.sha256", "model.fp32.onnx", "golden/a.png"):
        assert (tmp_path / "back" / path).read_bytes() == (tmp_path / "tiny" / path).read_bytes()


def test_packing_a_damaged_bundle_writes_nothing(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    (tmp_path / "tiny" / "golden" / "a.png").write_bytes(GOLDEN[::-1])
    with pytest.raises(IntegrityError):
        pack(bundle, tmp_path / "tiny.edge")
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


def test_members_are_stored_at_page_boundaries(tmp_path: Path) -> None:
    write(tmp_path / "tiny.edge")
    data = (tmp_path / "tiny.edge").read_bytes()
    with zipfile.ZipFile(tmp_path / "tiny.edge") as archive:
        members = archive.infolist()
        assert archive.testzip() is None
        manifest = archive.read("manifest.json")
    paths = ["manifest.json", "manifest.sha256", "model.fp32.onnx", "golden/a.png", "golden/b.png"]
    assert [m.filename for m in members] == paths
    for member in members:
        # The local header by hand: name and extra lengths at 26 and 28, data behind them.
        name, extra = struct.unpack_from("<2H", data, member.header_offset + 26)
        start = member.header_offset + 30 + name + extra
        assert start % ALIGNMENT == 0
        assert hashlib.sha256(data[start : start + member.file_size]).hexdigest() in {
            hashlib.sha256(content).hexdigest() for content in (MODEL, GOLDEN, manifest, digest_file(manifest))
        }


# --- finding ---------------------------------------------------------------------------------------------------------


@both
def test_shipped_bundles_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(finding, "SHIPPED", tmp_path / "bundles")
    assert shipped() == ()
    pin(monkeypatch, write(tmp_path / "bundles" / name))
    assert shipped() == ("tiny",)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "tiny", b"another model")
    assert Bundle.open("tiny").read_model("fp32.onnx") == MODEL
    assert Bundle.open("./tiny").path == Path("tiny"), "pathlib drops the dot, the meaning stays"
    assert Bundle.open(Path("tiny")).read_model("fp32.onnx") == b"another model"


@pytest.mark.parametrize(
    "source", ["nothing_here", "", "a\0b", "\ud800", "../nothing", "Deepsign", "deepsign ", Path("nothing.edge")]
)
def test_missing_bundles_have_their_own_error(source: str | Path) -> None:
    with pytest.raises(BundleNotFoundError) as caught:
        Bundle.open(source)
    assert isinstance(caught.value, FileNotFoundError)


def test_what_the_system_refuses_is_a_bundle_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleError, match="cannot read"):
        Bundle.open(tmp_path / ("x" * 5000))
    with pytest.raises(BundleError, match="cannot read") as caught:
        Bundle.open("x" * 10_000)
    assert len(str(caught.value)) < 300
    write(tmp_path / "tiny")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BundleError, match=r"cannot read .*: Permission denied"):
        Bundle.open(tmp_path / "tiny")


def test_a_folder_called_edge_and_a_zip_of_another_name_are_what_they_are(tmp_path: Path) -> None:
    folder, packed = write(tmp_path / "folder"), write(tmp_path / "packed.edge")
    folder.path.rename(tmp_path / "folder.edge")
    packed.path.rename(tmp_path / "packed")
    assert Bundle.open(tmp_path / "folder.edge").id == Bundle.open(tmp_path / "packed").id == folder.id


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 100, b"\x89PNG\r\n\x1a\n" * 10])
def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tiny.edge").write_bytes(content)
    with pytest.raises(IntegrityError, match="zip"):
        Bundle.open(tmp_path / "tiny.edge")


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"manifest\.json is missing"):
        Bundle.open(tmp_path)


# --- hostile and damaged folders -------------------------------------------------------------------------------------


def test_a_flipped_byte_is_found_before_anyone_sees_the_file(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    for position in (0, len(MODEL) // 2, len(MODEL) - 1):
        damaged = bytearray(MODEL)
        damaged[position] ^= 1
        (tmp_path / "tiny" / "model.fp32.onnx").write_bytes(damaged)
        with pytest.raises(IntegrityError, match="SHA-256"):
            Bundle.open(tmp_path / "tiny").read_model("fp32.onnx")


@pytest.mark.parametrize("change", [-1, 1, 10**9], ids=["shorter", "longer", "a gigabyte longer"])
def test_another_size_is_found_when_opening_and_when_reading(tmp_path: Path, change: int) -> None:
    bundle = write(tmp_path / "tiny")
    os.truncate(tmp_path / "tiny" / "model.fp32.onnx", len(MODEL) + change)
    with pytest.raises(IntegrityError, match="bytes"):
        Bundle.open(tmp_path / "tiny")
    with pytest.raises(IntegrityError, match="bytes"):
        bundle.read_model("fp32.onnx")


def test_an_oversized_manifest_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    os.truncate(tmp_path / "tiny" / "manifest.json", reader.MAX_MANIFEST_BYTES + 1)
    with pytest.raises(IntegrityError, match="exceeds"):
        Bundle.open(tmp_path / "tiny")


def test_a_file_may_not_announce_more_than_the_limit(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", "graphs", 0, "files", "fp32.onnx", "size", value=2**33)
    with pytest.raises(ManifestError, match="size"):
        Bundle.open(tmp_path / "tiny")


@pytest.mark.parametrize("path", ["model.fp32.onnx", "golden/a.png", "golden"])
def test_a_missing_file_is_found_when_opening(tmp_path: Path, path: str) -> None:
    bundle = write(tmp_path / "tiny")
    target = tmp_path / "tiny" / path
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        Bundle.open(tmp_path / "tiny")
    with pytest.raises(IntegrityError, match="missing"):
        check_whole(bundle)


@pytest.mark.parametrize("path", ["../outside", "golden/../../outside", "/etc/hostname", "C:\\outside", "..\\outside"])
def test_paths_out_of_the_bundle_are_refused(tmp_path: Path, path: str) -> None:
    write(tmp_path / "tiny")
    (tmp_path / "outside").write_bytes(MODEL)
    edit_manifest(tmp_path / "tiny", "graphs", 0, "files", "fp32.onnx", "path", value=path)
    with pytest.raises(UnsafePathError):
        Bundle.open(tmp_path / "tiny")


@posix
def test_a_link_to_the_bundle_itself_is_the_users_choice(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    (tmp_path / "current").symlink_to("tiny")
    check_whole(Bundle.open(tmp_path / "current"))


@posix
@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_only_ordinary_files_are_opened(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "tiny")
    target = tmp_path / "tiny" / "model.fp32.onnx"
    target.unlink()
    os.mkfifo(target) if kind == "fifo" else target.mkdir()
    with pytest.raises(IntegrityError, match="not a file"):
        Bundle.open(tmp_path / "tiny")


NAMES = [
    "con",
    "AUX.onnx",
    "golden/nul.png",
    "com1/a",
    "lpt9.x.y",
    "a.",
    "a ",
    "a\u0308.png",
    "\u00e4.png",
    "a:b",
    "*",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_not_the_same_file_everywhere_are_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", "golden", "inputs", 0, "path", value=name)
    with pytest.raises(UnsafePathError):
        Bundle.open(tmp_path / "tiny")


@pytest.mark.parametrize("name", ["console.onnx", "auxiliary", "com.onnx", "a/nul_", "com10"])
def test_names_that_only_look_like_devices_are_fine(name: str) -> None:
    assert FileEntry(path=name, sha256="0" * 64, size=0).path == name


@pytest.mark.parametrize("name", ["MODEL.FP32.ONNX", "model.fp32.onnx/a.png", "Model.fp32.onnx/a.png"])
def test_names_that_cannot_be_told_apart_everywhere_are_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", "golden", "inputs", 0, "path", value=name)
    with pytest.raises((ManifestError, IntegrityError), match=r"twice|a file, and a folder"):
        Bundle.open(tmp_path / "tiny")


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 1), ("MAX_TOTAL_BYTES", len(MODEL))])
def test_files_are_counted_before_any_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    write(tmp_path / "tiny")
    monkeypatch.setattr(reader, limit, value)
    with pytest.raises(IntegrityError, match="lists 3 files of 10280 bytes; at most"):
        Bundle.open(tmp_path / "tiny")


def test_a_newer_schema_says_so(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", "schema_version", value=SCHEMA_VERSION + 1)
    with pytest.raises(SchemaVersionError, match="upgrade"):
        Bundle.open(tmp_path / "tiny")


def test_a_swap_while_open_is_noticed(tmp_path: Path) -> None:
    for name in ("tiny", "tiny.edge"):
        bundle = write(tmp_path / name)
        write(tmp_path / name, MODEL[::-1])
        with pytest.raises(IntegrityError):
            bundle.read_model("fp32.onnx")


# --- writing ---------------------------------------------------------------------------------------------------------


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
