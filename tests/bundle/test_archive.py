"""A bundle as one zip: whatever is done to it, it opens with its own content or not at all."""

from __future__ import annotations

import random
import stat
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.bundle import Bundle, archive
from edge_sdk.bundle.writer import ALIGNMENT
from edge_sdk.errors import BundleError, IntegrityError, UnsafePathError

from .made import GOLDEN, MODEL, check_whole, write


def rezip(folder: Path, target: Path, **special: Any) -> Path:
    """Zip a folder plainly; ``special`` maps a member to keyword arguments of its ZipInfo."""
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            for key, value in special.get(info.filename, {}).items():
                setattr(info, key, value)
            archive.writestr(info, file.read_bytes())
    return target


def test_a_plain_uncompressed_zip_is_a_bundle(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    zipped = Bundle.open(rezip(tmp_path / "tiny", tmp_path / "tiny.edge"))
    check_whole(zipped)
    assert zipped.id == bundle.id


@pytest.mark.parametrize(
    ("special", "error", "message"),
    [
        ({"model.fp32.onnx": {"compress_type": zipfile.ZIP_DEFLATED}}, IntegrityError, "compressed"),
        ({"manifest.json": {"compress_type": zipfile.ZIP_BZIP2}}, IntegrityError, "compressed"),
        ({"model.fp32.onnx": {"external_attr": (stat.S_IFLNK | 0o777) << 16}}, UnsafePathError, "link"),
        ({"golden/a.png": {"filename": "../a.png"}}, UnsafePathError, "unsafe"),
        ({"golden/a.png": {"filename": "/a.png"}}, UnsafePathError, "unsafe"),
        ({"golden/a.png": {"filename": "golden\\a.png"}}, UnsafePathError, "unsafe"),
        ({"golden/a.png": {"filename": "model.fp32.onnx/a"}}, IntegrityError, "missing"),
    ],
)
def test_hostile_members_are_refused(
    tmp_path: Path, special: dict[str, Any], error: type[Exception], message: str
) -> None:
    write(tmp_path / "tiny")
    with pytest.raises(error, match=message):
        Bundle.open(rezip(tmp_path / "tiny", tmp_path / "tiny.edge", **special))


@pytest.mark.parametrize("name", ["model.fp32.onnx", "MODEL.fp32.onnx", "manifest.json"])
def test_duplicate_members_are_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "tiny")
    target = rezip(tmp_path / "tiny", tmp_path / "tiny.edge")
    with warnings.catch_warnings(), zipfile.ZipFile(target, "a") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of duplicates
        archive.writestr(zipfile.ZipInfo(name), b"the other one")
    with pytest.raises(IntegrityError, match="twice"):
        Bundle.open(target)


def test_a_name_cut_at_a_nul_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    target = rezip(tmp_path / "tiny", tmp_path / "tiny.edge")
    target.write_bytes(target.read_bytes().replace(b"golden/a.png", b"golden/a\0png"))
    with pytest.raises(UnsafePathError):
        Bundle.open(target)


def test_a_directory_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "tiny.edge").path.read_bytes())
    struct.pack_into("<I", data, len(data) - 22 + 12, archive.MAX_DIRECTORY_BYTES + 1)
    (tmp_path / "tiny.edge").write_bytes(data)
    with pytest.raises(IntegrityError, match="directory of"):
        Bundle.open(tmp_path / "tiny.edge")


def test_zip64_cannot_overrule_the_directory_size(tmp_path: Path) -> None:
    data = write(tmp_path / "tiny.edge").path.read_bytes()
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1)
    (tmp_path / "tiny.edge").write_bytes(data[:-22] + locator + data[-22:])
    with pytest.raises(IntegrityError, match="plain zip"):
        Bundle.open(tmp_path / "tiny.edge")


def test_a_zip_of_a_version_still_to_come_is_refused(tmp_path: Path) -> None:
    """For which ``zipfile`` raises NotImplementedError."""
    data = bytearray(write(tmp_path / "tiny.edge").path.read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 6, 99)
    (tmp_path / "tiny.edge").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"no sound zip file: zip file version 9\.9"):
        Bundle.open(tmp_path / "tiny.edge")


def test_a_truncated_zip_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path / "tiny.edge").path.read_bytes()
    for length in (0, 1, 21, 22, 41, 42, len(data) // 2, len(data) - 1):
        (tmp_path / "tiny.edge").write_bytes(data[:length])
        with pytest.raises(IntegrityError):
            Bundle.open(tmp_path / "tiny.edge")


def test_random_damage_never_changes_content_and_never_escapes_the_error_tree(tmp_path: Path) -> None:
    whole = write(tmp_path / "tiny.edge")
    data = whole.path.read_bytes()
    headers = [i for i in range(len(data)) if i % ALIGNMENT < 60 or i > len(data) - 260]
    rng = random.Random(5)
    for _ in range(600):
        damaged = bytearray(data)
        for _ in range(rng.choice([1, 1, 3])):
            damaged[rng.choice(headers)] = rng.randrange(256)
        whole.path.write_bytes(damaged)
        try:
            bundle = Bundle.open(whole.path)
            for entry in bundle.manifest.files:
                assert bundle.read(entry) in (MODEL, GOLDEN)
        except BundleError:
            pass


# --- said twice: in the directory and before the member ---------------------------------------------------------------


class Zip:
    """A zip whose every field can be wrong: ``local`` and ``central`` change fields by name before they are packed."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
        }

    def write(self, target: Path, **how: Any) -> Path:
        data, directory = bytearray(how.get("before", b"")), bytearray()
        for name, content in self.files.items():
            local = {"name": name, "extra": b"", "flags": 0, "size": len(content), "crc": zlib.crc32(content)}
            central = local | {"offset": len(data) - len(how.get("before", b"")), "attributes": 0}
            if name == "model.fp32.onnx":
                local |= how.get("local", {})
                central |= how.get("central", {})
            data += self.header(b"PK\3\4", b"\x14\0", local) + local["name"].encode() + local["extra"] + content
            data += how.get("between", b"")
            directory += self.header(b"PK\1\2", b"\x14\0\x14\0", central)
            directory += struct.pack("<3H2I", 0, 0, 0, central["attributes"], central["offset"])
            directory += central["name"].encode() + central["extra"]
        count, start = len(self.files), len(data) - len(how.get("before", b""))
        comment = how.get("comment", b"")
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), start, len(comment))
        target.write_bytes(bytes(data + directory) + end + comment + how.get("behind", b""))
        return target

    @staticmethod
    def header(signature: bytes, versions: bytes, said: dict[str, Any]) -> bytes:
        sizes = said["crc"], said.get("packed", said["size"]), said["size"], len(said["name"]), len(said["extra"])
        return signature + versions + struct.pack("<4H3I2H", said["flags"], said.get("method", 0), 0, 0, *sizes)


@pytest.fixture
def made(tmp_path: Path) -> Zip:
    return Zip(write(tmp_path / "tiny").path)


def test_a_zip_by_hand_is_a_bundle(made: Zip, tmp_path: Path) -> None:
    check_whole(Bundle.open(made.write(tmp_path / "tiny.edge")))
    check_whole(Bundle.open(made.write(tmp_path / "tiny.edge", between=b"padding between members")))
    extra = struct.pack("<HH", 0xD935, 6) + bytes(6)
    check_whole(Bundle.open(made.write(tmp_path / "tiny.edge", local={"extra": extra}, central={"flags": 0})))


ZIP64 = struct.pack("<HHQQ", 1, 16, len(MODEL), len(MODEL))
DAMAGE: dict[str, tuple[dict[str, Any], str]] = {
    "another name before the data": ({"local": {"name": "golden/b.bin00x"}}, "differs"),
    "a name of another length": ({"local": {"name": "m"}}, "differs"),
    "another size before the data": ({"local": {"size": 1}}, "differs"),
    "another checksum before the data": ({"local": {"crc": 1}}, "differs"),
    "compressed before the data alone": ({"local": {"method": 8}}, "differs"),
    "encrypted before the data alone": ({"local": {"flags": 1}}, "differs"),
    "encrypted": ({"local": {"flags": 1}, "central": {"flags": 1}}, "encrypted"),
    "sizes behind the data": ({"local": {"flags": 8}, "central": {"flags": 8}}, "as a stream"),
    "its place is another member's": ({"central": {"offset": 0}}, "differs"),
    "beyond the end": ({"central": {"offset": 2**31}}, "no sound zip file"),
    "larger than the file": ({"local": {"size": 2**30}, "central": {"size": 2**30}}, "overlaps"),
    "one byte into the next": ({f"{one}": {"size": len(MODEL) + 1} for one in ("local", "central")}, "overlaps"),
    "zip64": (
        {"local": {"size": 2**32 - 1, "extra": ZIP64}, "central": {"size": 2**32 - 1, "extra": ZIP64}},
        "differs",
    ),
    "data before": ({"before": b"#!/bin/sh\nexit 0\n"}, "before or behind"),
    "data behind": ({"behind": b"?"}, "no plain zip"),
    "a comment": ({"comment": b"made by hand"}, "no plain zip"),
    "a link": ({"central": {"attributes": (stat.S_IFLNK | 0o777) << 16}}, "link"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_zip_with_two_readings_is_refused(made: Zip, tmp_path: Path, name: str) -> None:
    how, message = DAMAGE[name]
    with pytest.raises((IntegrityError, UnsafePathError), match=message):
        Bundle.open(made.write(tmp_path / "tiny.edge", **how))


def test_members_that_share_their_data_are_refused(made: Zip, tmp_path: Path) -> None:
    """A small file whose members together are as large as anyone likes: one is a part of the other."""
    inner = (
        Zip.header(b"PK\3\4", b"\x14\0", {"name": "b", "extra": b"", "flags": 0, "size": 5, "crc": 7}) + b"b" + b"inner"
    )
    made.files = {"a": b"outer" + inner, "model.fp32.onnx": b""}
    shared = {"name": "b", "size": 5, "crc": 7, "offset": 31 + 5}
    path = made.write(tmp_path / "tiny.edge", central=shared)
    with pytest.raises(IntegrityError, match="a overlaps"):
        Bundle.open(path)


def test_folders_that_zip_tools_list_are_no_members(made: Zip, tmp_path: Path) -> None:
    made.files = {"golden/": b"", **made.files}
    check_whole(Bundle.open(made.write(tmp_path / "tiny.edge")))
    made.files["golden/"] = b"not empty"
    with pytest.raises(UnsafePathError):
        Bundle.open(made.write(tmp_path / "tiny.edge"))


def test_members_are_counted(made: Zip, tmp_path: Path) -> None:
    made.files |= {f"more/{number}": b"" for number in range(archive.MAX_MEMBERS)}
    with pytest.raises(IntegrityError, match=f"more than {archive.MAX_MEMBERS}"):
        Bundle.open(made.write(tmp_path / "tiny.edge"))


def test_the_directory_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = write(tmp_path / "tiny.edge")
    monkeypatch.setattr(zipfile, "ZipFile", None)
    check_whole(bundle)


def test_no_flipped_bit_of_a_header_opens_with_another_content(made: Zip, tmp_path: Path) -> None:
    path = made.write(tmp_path / "tiny.edge")
    whole, bundle = path.read_bytes(), Bundle.open(path)
    starts = [whole.index(name.encode()) - 30 for name in made.files]
    places = [at for start in starts for at in range(start, start + 48)]
    places += range(whole.index(b"PK\1\2"), len(whole))
    refused = 0
    for bit in [at * 8 + one for at in places for one in range(8)][::5]:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            opened = Bundle.open(path)
            assert opened.manifest == bundle.manifest
            assert [opened.read(entry) for entry in opened.manifest.files] == [MODEL, GOLDEN, GOLDEN]
        except BundleError:
            refused += 1
    assert refused > len(places) * 4 / 5, "most of a header counts: names, sizes, places, kinds"


def test_random_flips_and_truncations_never_open_with_another_content(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.edge").path
    whole, rng = path.read_bytes(), random.Random(7)
    for _ in range(1000):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 2, 5])):
            damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.3:
            start = rng.randrange(len(whole))
            del damaged[start : rng.choice([len(whole), start + rng.randrange(1, 5000)])]
        path.write_bytes(damaged)
        try:
            opened = Bundle.open(path)
            assert [opened.read(entry) for entry in opened.manifest.files] == [MODEL, GOLDEN, GOLDEN]
        except BundleError:
            pass
