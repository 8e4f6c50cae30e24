"""Zips of a bundle, sound and damaged: what every reader of ``.edge`` files must refuse, and as what kind of error."""

from __future__ import annotations

import random
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from edge_sdk.bundle import Bundle, archive, pack
from edge_sdk.bundle.writer import ALIGNMENT
from edge_sdk.errors import BundleError, IntegrityError, UnsafePathError

from .made import MODEL


def rezip(folder: Path, target: Path, **special: Any) -> Path:
    """Zip a folder plainly; ``special`` maps a member to keyword arguments of its ZipInfo."""
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            for key, value in special.get(info.filename, {}).items():
                setattr(info, key, value)
            archive.writestr(info, file.read_bytes())
    return target


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


# --- what is refused: each makes a zip of a bundle's folder ---

Make = Callable[[Path, Path], object]


def special(**members: dict[str, Any]) -> Make:
    return partial(rezip, **members)


def by_hand(**how: Any) -> Make:
    return lambda folder, target: Zip(folder).write(target, **how)


def duplicated(name: str) -> Make:
    def make(folder: Path, target: Path) -> None:
        rezip(folder, target)
        with warnings.catch_warnings(), zipfile.ZipFile(target, "a") as archive:
            warnings.simplefilter("ignore")  # zipfile warns of duplicates
            archive.writestr(zipfile.ZipInfo(name), b"the other one")

    return make


def edited(edit: Callable[[bytearray], object]) -> Make:
    """What ``pack`` writes, with bytes changed."""

    def make(folder: Path, target: Path) -> None:
        pack(Bundle.open(folder), target)
        data = bytearray(target.read_bytes())
        edit(data)
        target.write_bytes(data)

    return make


def cut(keep: Callable[[int], int]) -> Make:
    def edit(data: bytearray) -> None:
        del data[keep(len(data)) :]

    return edited(edit)


def cut_at_a_nul(folder: Path, target: Path) -> None:
    rezip(folder, target)
    target.write_bytes(target.read_bytes().replace(b"golden/a.png", b"golden/a\0png"))


def zip64_locator(data: bytearray) -> None:
    data[-22:-22] = struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1)


def huge_directory(data: bytearray) -> None:
    struct.pack_into("<I", data, len(data) - 22 + 12, archive.MAX_DIRECTORY_BYTES + 1)


def of_fewer_members(data: bytearray) -> None:
    struct.pack_into("<H", data, len(data) - 22 + 10, 1)


def of_a_version_to_come(data: bytearray) -> None:
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 6, 99)


def with_shared_data(folder: Path, target: Path) -> None:
    """A small file whose members together are as large as anyone likes: one is a part of the other."""
    made = Zip(folder)
    inner = (
        Zip.header(b"PK\3\4", b"\x14\0", {"name": "b", "extra": b"", "flags": 0, "size": 5, "crc": 7}) + b"b" + b"inner"
    )
    made.files = {"a": b"outer" + inner, "model.fp32.onnx": b""}
    made.write(target, central={"name": "b", "size": 5, "crc": 7, "offset": 31 + 5})


def with_members(**members: bytes) -> Make:
    def make(folder: Path, target: Path) -> None:
        made = Zip(folder)
        made.files = members | made.files
        made.write(target)

    return make


LINK = (stat.S_IFLNK | 0o777) << 16
ZIP64 = struct.pack("<HHQQ", 1, 16, len(MODEL), len(MODEL))
REFUSED: dict[str, tuple[Make, type[BundleError], str]] = {
    "compressed": (
        special(**{"model.fp32.onnx": {"compress_type": zipfile.ZIP_DEFLATED}}), IntegrityError, "compressed",
    ),
    "compressed otherwise": (
        special(**{"manifest.json": {"compress_type": zipfile.ZIP_BZIP2}}), IntegrityError, "compressed",
    ),
    "a link": (special(**{"model.fp32.onnx": {"external_attr": LINK}}), UnsafePathError, "link"),
    "a name that leaves it": (special(**{"golden/a.png": {"filename": "../a.png"}}), UnsafePathError, "unsafe"),
    "an absolute name": (special(**{"golden/a.png": {"filename": "/a.png"}}), UnsafePathError, "unsafe"),
    "a name of Windows": (special(**{"golden/a.png": {"filename": "golden\\a.png"}}), UnsafePathError, "unsafe"),
    "a device's name": (special(**{"golden/a.png": {"filename": "golden/AUX.png"}}), UnsafePathError, "unsafe"),
    "a device's name with a number": (special(**{"golden/a.png": {"filename": "com1"}}), UnsafePathError, "unsafe"),
    "a name that ends in a dot": (special(**{"golden/a.png": {"filename": "golden/a."}}), UnsafePathError, "unsafe"),
    "a name that begins with a dash": (special(**{"golden/a.png": {"filename": "-a"}}), UnsafePathError, "unsafe"),
    "a name with an accent": (special(**{"golden/a.png": {"filename": "gölden"}}), UnsafePathError, "unsafe"),
    "a long name": (special(**{"golden/a.png": {"filename": "a" * 201}}), UnsafePathError, "unsafe"),
    "no name": (with_members(**{"": b"x"}), UnsafePathError, "unsafe"),
    "a folder that holds bytes": (with_members(**{"golden/": b"not empty"}), UnsafePathError, "unsafe"),
    "a file that is missing": (
        special(**{"golden/a.png": {"filename": "model.fp32.onnx/a"}}), IntegrityError, "missing",
    ),
    "a member twice": (duplicated("model.fp32.onnx"), IntegrityError, "twice"),
    "a member twice, in capitals": (duplicated("MODEL.fp32.onnx"), IntegrityError, "twice"),
    "a manifest twice": (duplicated("manifest.json"), IntegrityError, "twice"),
    "a name cut at a NUL": (cut_at_a_nul, UnsafePathError, "unsafe"),
    "a directory that would fill the memory": (edited(huge_directory), IntegrityError, "directory of"),
    "of fewer members than there are": (edited(of_fewer_members), IntegrityError, "members, and says|than it says"),
    "a zip64 locator": (edited(zip64_locator), IntegrityError, "plain zip"),
    "of a version still to come": (edited(of_a_version_to_come), IntegrityError, "version"),
    "empty": (cut(lambda _: 0), IntegrityError, "no plain zip"),
    "of one byte": (cut(lambda _: 1), IntegrityError, "no plain zip"),
    "of 21 bytes": (cut(lambda _: 21), IntegrityError, "no plain zip"),
    "of 22 bytes": (cut(lambda _: 22), IntegrityError, "no plain zip"),
    "of 41 bytes": (cut(lambda _: 41), IntegrityError, "no plain zip"),
    "of 42 bytes": (cut(lambda _: 42), IntegrityError, "no plain zip"),
    "cut in half": (cut(lambda length: length // 2), IntegrityError, "no plain zip"),
    "cut by a byte": (cut(lambda length: length - 1), IntegrityError, "no plain zip"),
    "data that are shared": (with_shared_data, IntegrityError, "a overlaps"),
    "too many members": (
        with_members(**{f"more/{number}": b"" for number in range(archive.MAX_MEMBERS)}),
        IntegrityError, f"more than {archive.MAX_MEMBERS}",
    ),
    # Said twice, in the directory and before the member.
    "another name before the data": (by_hand(local={"name": "golden/b.bin00x"}), IntegrityError, "differs"),
    "a name of another length": (by_hand(local={"name": "m"}), IntegrityError, "differs"),
    "another size before the data": (by_hand(local={"size": 1}), IntegrityError, "differs"),
    "another checksum before the data": (by_hand(local={"crc": 1}), IntegrityError, "differs"),
    "compressed before the data alone": (by_hand(local={"method": 8}), IntegrityError, "differs"),
    "encrypted before the data alone": (by_hand(local={"flags": 1}), IntegrityError, "differs"),
    "encrypted": (by_hand(local={"flags": 1}, central={"flags": 1}), IntegrityError, "encrypted"),
    "sizes behind the data": (by_hand(local={"flags": 8}, central={"flags": 8}), IntegrityError, "as a stream"),
    "its place is another member's": (by_hand(central={"offset": 0}), IntegrityError, "differs"),
    "beyond the end": (by_hand(central={"offset": 2**31}), IntegrityError, "no sound zip file"),
    "larger than the file": (by_hand(local={"size": 2**30}, central={"size": 2**30}), IntegrityError, "overlaps"),
    "one byte into the next": (
        by_hand(local={"size": len(MODEL) + 1}, central={"size": len(MODEL) + 1}), IntegrityError, "overlaps",
    ),
    "zip64": (
        by_hand(local={"size": 2**32 - 1, "extra": ZIP64}, central={"size": 2**32 - 1, "extra": ZIP64}),
        IntegrityError, "differs|overlaps",
    ),
    "data before": (by_hand(before=b"#!/bin/sh\nexit 0\n"), IntegrityError, "before or behind"),
    "data behind": (by_hand(behind=b"?"), IntegrityError, "no plain zip"),
    "a comment": (by_hand(comment=b"made by hand"), IntegrityError, "no plain zip"),
    "a link in the directory alone": (by_hand(central={"attributes": LINK}), UnsafePathError, "link"),
}  # fmt: skip


# --- what may be refused, and else opens with its own content ---


def with_damaged_headers(data: bytes, count: int) -> Iterator[bytes]:
    """What ``pack`` wrote, with one to three bytes of headers or of the directory changed."""
    headers = [i for i in range(len(data)) if i % ALIGNMENT < 60 or i > len(data) - 260]
    rng = random.Random(5)
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(rng.choice([1, 1, 3])):
            damaged[rng.choice(headers)] = rng.randrange(256)
        yield bytes(damaged)


def with_flipped_bits(data: bytes, names: list[str], step: int) -> Iterator[bytes]:
    """What :class:`Zip` wrote, with one bit of a header or of the directory flipped: every ``step``-th of them."""
    places = [at for name in names for at in range(data.index(name.encode()) - 30, data.index(name.encode()) + 18)]
    places += range(data.index(b"PK\1\2"), len(data))
    for bit in [at * 8 + one for at in places for one in range(8)][::step]:
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)


def with_flips_and_cuts(data: bytes, count: int) -> Iterator[bytes]:
    """With bits flipped anywhere, and sometimes bytes lost or cut off."""
    rng = random.Random(7)
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(rng.choice([1, 2, 5])):
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.3:
            start = rng.randrange(len(data))
            del damaged[start : rng.choice([len(data), start + rng.randrange(1, 5000)])]
        yield bytes(damaged)
