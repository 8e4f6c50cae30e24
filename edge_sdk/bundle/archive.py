"""A bundle as one uncompressed zip (``NAME.edge``), in one reading only.

A zip says everything twice, in its directory and before each member, and readers that believe different halves see
different files. So both must agree, members may not overlap, and nothing stands before or behind the zip.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

import msgspec

from edge_sdk.bundle.stores import opened
from edge_sdk.errors import IntegrityError, UnsafePathError
from edge_sdk.manifest import check_path

MAX_MEMBERS = 1000
MAX_DIRECTORY_BYTES = 2**20

_END_OF_DIRECTORY = struct.Struct("<4s4H2IH")
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENCRYPTED, _SIZES_BEHIND = 1, 8
_REFUSED = (zipfile.BadZipFile, struct.error, EOFError, NotImplementedError, ValueError, OverflowError)


class _Member(msgspec.Struct, frozen=True):
    header: int  # where it begins
    start: int  # where its data begin
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


class Archive:
    """The directory is read and checked once; what is read later is compared with hashes by the bundle anyway."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with opened(path) as stream:
                directory, count = self._find_directory(stream)
                with zipfile.ZipFile(stream) as archive:
                    listed = archive.infolist()
                self._members = self._check(stream, listed, count)
                self._check_places(directory)
        except (IntegrityError, UnsafePathError):  # which are ValueErrors too
            raise
        except _REFUSED as error:
            raise IntegrityError(f"{path} is no sound zip file: {error}") from error

    def has(self, path: str) -> bool:
        """As :meth:`edge_sdk.bundle.stores.Store.has`."""
        return check_path(path) in self._members

    def size(self, path: str) -> int:
        """As :meth:`edge_sdk.bundle.stores.Store.size`."""
        return self._member(path).size

    def read(self, path: str, limit: int) -> bytes:
        """As :meth:`edge_sdk.bundle.stores.Store.read`."""
        member = self._member(path)
        with opened(self._path) as stream:
            stream.seek(member.start)
            return stream.read(min(limit, member.size))

    def _member(self, path: str) -> _Member:
        member = self._members.get(check_path(path))
        if member is None:
            raise IntegrityError(f"{self._path}: {path} is missing")
        return member

    def _find_directory(self, stream: BinaryIO) -> tuple[int, int]:
        """Where the directory begins, and how many members the record at the end says that it has.

        ``zipfile`` takes the directory whole into memory, so this looks at its size first, and leaves the number aside.
        """
        length = stream.seek(0, os.SEEK_END)
        tail = _END_OF_DIRECTORY.size + 20  # a zip64 locator would overrule what follows it
        stream.seek(max(0, length - tail))
        end = stream.read(tail)
        if end[-_END_OF_DIRECTORY.size :][:4] != b"PK\5\6" or end[:4] == b"PK\6\7":
            raise IntegrityError(f"{self._path} is truncated, or no plain zip file")
        count, size, offset = _END_OF_DIRECTORY.unpack(end[-_END_OF_DIRECTORY.size :])[4:7]
        if size > MAX_DIRECTORY_BYTES:
            raise IntegrityError(f"{self._path} has a directory of {size} bytes")
        if offset + size + _END_OF_DIRECTORY.size != length:
            raise IntegrityError(f"{self._path} has data before or behind the zip file")
        return int(offset), int(count)

    def _check(self, stream: BinaryIO, listed: list[zipfile.ZipInfo], count: int) -> dict[str, _Member]:
        if len(listed) != count:
            raise IntegrityError(f"{self._path} has a directory of {len(listed)} members, and says {count}")
        if len(listed) > MAX_MEMBERS:
            raise IntegrityError(f"{self._path} has {len(listed)} members, more than {MAX_MEMBERS}")
        members: dict[str, _Member] = {}
        seen: set[str] = set()
        for info in listed:
            if info.orig_filename.endswith("/") and not info.file_size:  # a folder, which files name anyway
                continue
            name = check_path(info.orig_filename)  # .filename is already cut at a NUL
            if stat.S_ISLNK(info.external_attr >> 16):
                raise UnsafePathError(f"{self._path}: {name} is a link")
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
                raise IntegrityError(f"{self._path}: {name} is compressed; members are stored (zip -0)")
            if info.flag_bits & _ENCRYPTED:
                raise IntegrityError(f"{self._path}: {name} is encrypted")
            if info.flag_bits & _SIZES_BEHIND:
                raise IntegrityError(f"{self._path}: {name} was written as a stream; write the zip to a file")
            if name.casefold() in seen:
                raise IntegrityError(f"{self._path}: {name} is there twice")
            seen.add(name.casefold())
            members[name] = self._locate(stream, info)
        return members

    def _locate(self, stream: BinaryIO, info: zipfile.ZipInfo) -> _Member:
        """Compare the header before a member with the directory."""
        stream.seek(info.header_offset)
        header = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
        signature, _, flags, method, _, _, crc, packed, size, name_length, extra_length = header
        said = (signature, flags, method, crc, packed, size, stream.read(name_length))
        listed = (b"PK\3\4", info.flag_bits, info.compress_type, info.CRC, info.file_size, info.file_size)
        if said != (*listed, info.orig_filename.encode()):
            raise IntegrityError(f"{self._path}: {info.orig_filename} differs in the directory and before its data")
        start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        return _Member(info.header_offset, start, size)

    def _check_places(self, directory: int) -> None:
        members = sorted(self._members.items(), key=lambda item: item[1].header)
        ends = [*(member.header for _, member in members[1:]), directory]
        for (name, member), end in zip(members, ends, strict=True):
            if member.end > end:
                raise IntegrityError(f"{self._path}: {name} overlaps what follows it")
