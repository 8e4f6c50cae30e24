"""Writing a bundle: atomically. Whatever kills the writer, the old bundle or the new one can be opened, whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import final

from edge_sdk import files
from edge_sdk.bundle import signing
from edge_sdk.bundle.digests import digest_file
from edge_sdk.bundle.finding import READY, RETIRED, SUFFIX, is_between_renames, is_shipped, staging_prefix
from edge_sdk.bundle.reader import Bundle
from edge_sdk.bundle.signing import KeySignature, SigningKey
from edge_sdk.bundle.trust import OFF, default_trust
from edge_sdk.errors import BundleError, SignatureError, UsageError
from edge_sdk.manifest import DIGEST_PATH, MANIFEST_PATH, SIGNATURE_PATH, FileEntry, Manifest, encode

if sys.platform != "win32":
    import fcntl

ALIGNMENT = 4096  # a memory page, so that a member can be mapped

_ALIGNMENT_FIELD = 0xD935  # the extra field that Android's zipalign pads with


def check_destination(destination: str | os.PathLike[str]) -> None:
    """Refuse before the work what :class:`BundleWriter` would refuse after it, by its errors; nothing stays behind."""
    with BundleWriter(destination):
        pass


@final
class BundleWriter:
    """Write a bundle atomically; a ``.edge`` destination becomes one file, any other a folder.

    ::

        with BundleWriter("deepsign.edge") as writer:
            entry = writer.add("model.fp32.onnx", data)
            bundle = writer.finish(Manifest(...))

    Files gather in a hidden folder beside the destination. :meth:`finish` reads all of them back and renames; without
    it, nothing changes. What a killed writer left behind is cleared by the next one. An existing bundle is replaced as
    a whole, with files that its manifest does not list. Failures of the disk stay ``OSError``.

    With ``sign_with`` the bundle is signed by these keys; else it has no signature, whatever it replaces or was made
    of. What this device trusts is not asked of a bundle that is written here.
    """

    def __init__(
        self, destination: str | os.PathLike[str], overwrite: bool = True, sign_with: Sequence[SigningKey] = ()
    ) -> None:
        self.destination = Path(os.path.realpath(destination))
        self._overwrite = overwrite
        self._sign_with = sign_with
        self._entries: list[FileEntry] = []
        self._clean_up = contextlib.ExitStack()
        self._staging: Path | None = None

    def __enter__(self) -> BundleWriter:
        parent, prefix = self.destination.parent, staging_prefix(self.destination)
        parent.mkdir(parents=True, exist_ok=True)
        with _alone(parent):  # until the folder is locked, others would take it for abandoned
            self._clear_abandoned([path for path in parent.iterdir() if path.name.startswith(prefix)])
            staging = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            self._clean_up.callback(shutil.rmtree, staging, ignore_errors=True)
            self._clean_up.enter_context(_lock(staging))
            try:
                self._check_destination()
                (staging / READY).mkdir()
            except BaseException:
                self._clean_up.close()
                raise
        self._staging = staging
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._staging = None
        self._clean_up.close()

    def add(self, path: str, data: bytes) -> FileEntry:
        """Write one file and return its entry for the manifest; an unsafe or repeated path raises ``BundleError``."""
        entry = FileEntry(path=path, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        target = self._open_staging() / READY / path
        if target.exists():
            raise BundleError(f"{path} was added before")
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, data)
        self._entries.append(entry)
        return entry

    def finish(
        self, manifest: Manifest, encoded: bytes | None = None, signatures: Sequence[KeySignature] = ()
    ) -> Bundle:
        """Put the bundle in its place and open it; ``manifest`` must list exactly the files that were added.

        ``encoded`` are the bytes that the manifest was read from, where they are to stay, and ``signatures`` those that
        were made of them; the writer's own keys replace them.

        ``IntegrityError`` if a model takes weights from other files.
        """
        staging = self._open_staging()
        difference = set(manifest.files) ^ set(self._entries)
        if difference:
            names = ", ".join(sorted({entry.path for entry in difference}))
            raise BundleError(f"the manifest and the added files differ in {names}")
        ready, data = staging / READY, encode(manifest) if encoded is None else encoded
        _write(ready / MANIFEST_PATH, data)
        _write(ready / DIGEST_PATH, digest_file(data))
        own = [MANIFEST_PATH, DIGEST_PATH]
        if self._sign_with:
            signatures = signing.sign(hashlib.sha256(data).hexdigest(), self._sign_with)
        if signatures:
            _write(ready / SIGNATURE_PATH, signing.encode(signatures))
            own.append(SIGNATURE_PATH)
        if self.destination.suffix == SUFFIX:
            paths = [*own, *(entry.path for entry in self._entries)]
            ready = _write_archive(ready, paths, staging / f"bundle{SUFFIX}")
        staged = Bundle.open(ready, trust=OFF)
        for entry in manifest.files:
            staged.read(entry)
        staged.check_models()
        _sync_folders(staging)
        with _alone(self.destination.parent):
            self._publish(ready, staging)
            published = Bundle.open(self.destination, trust=OFF)
        self.__exit__(None, None, None)
        return published

    def _open_staging(self) -> Path:
        if self._staging is None:
            raise BundleError("the writer is not open: use it once, in a with statement")
        return self._staging

    def _check_destination(self) -> None:
        path = self.destination
        if not path.exists():
            return
        if not self._overwrite:
            raise BundleError(f"{path} exists")
        if path.suffix == SUFFIX:
            replaceable = path.is_file()
        else:
            replaceable = path.is_dir() and ((path / MANIFEST_PATH).exists() or not any(path.iterdir()))
        if not replaceable:
            raise BundleError(f"{path} exists and is no bundle: not replaced")

    def _publish(self, ready: Path, staging: Path) -> None:
        self._check_destination()
        if ready.is_file():
            ready.replace(self.destination)
        else:
            # A folder cannot replace a folder in one step everywhere. Between the two renames both are in the staging
            # folder, which tells readers and the next writer that the old bundle still counts.
            if self.destination.exists():
                self.destination.rename(staging / RETIRED)
            try:
                ready.rename(self.destination)
            except OSError:
                self._restore(staging)
                raise
        files.sync_folder(self.destination.parent)

    def _restore(self, staging: Path) -> None:
        """Bring the old bundle back if no new one took its place."""
        if is_between_renames(staging):
            taken = self.destination.exists()
            (staging / RETIRED).rename(staging / "gone" if taken else self.destination)

    def _clear_abandoned(self, folders: list[Path]) -> None:
        for folder in folders:
            with contextlib.suppress(OSError):
                with _lock(folder) as nobodys:
                    if not nobodys:
                        continue
                (folder / "lock").unlink()  # which Windows refuses while a writer has it open
                self._restore(folder)
                shutil.rmtree(folder)


def pack(
    bundle: Bundle,
    destination: str | os.PathLike[str],
    overwrite: bool = True,
    sign_with: Sequence[SigningKey] = (),
) -> Bundle:
    """Copy a bundle, checking every file, to a folder or a ``.edge`` file.

    Every file keeps its bytes, so that the signatures hold for the copy. They go along unless keys sign it anew.
    """
    with BundleWriter(destination, overwrite, sign_with) as writer:
        for entry in bundle.manifest.files:
            writer.add(entry.path, bundle.read(entry))
        return writer.finish(bundle.manifest, bundle.read_manifest(), () if sign_with else bundle.signatures())


def signed_before(bundle: Bundle, keys: Sequence[SigningKey]) -> dict[str, bool]:
    """Which keys signed a bundle, by their ids, and whether ``keys`` or this device's trust file could check it.

    Raises:
        SignatureError: It is damaged, or that of a known key does not fit: the bundle was changed, perhaps by others.
        StorageError: This device's trust file cannot be used.
    """
    known = {**default_trust().public_keys, **{key.key_id: key.public for key in keys}}
    try:
        signatures = bundle.signatures()
        checked = signing.signers(bundle.path, bundle.sha256, signatures, known)
    except SignatureError as error:
        raise SignatureError(f"{error}, or remove {SIGNATURE_PATH} and sign it if the change is yours") from error
    return {one.key_id: one.key_id in checked for one in signatures}


def sign_bundle(
    bundle: str | os.PathLike[str] | Bundle,
    keys: Sequence[SigningKey],
    destination: str | os.PathLike[str] | None = None,
    overwrite: bool = True,
) -> Bundle:
    """Sign a bundle, after a look at every file of it, or a copy of it. Signatures that it had are replaced.

    Args:
        bundle: Name of a shipped bundle, path, or an opened bundle; it needs no signature that this device trusts.
        keys: One or several, such as the old and the new one while devices learn a new key.
        destination: A folder, or one file if it ends in ``.edge``; None signs the bundle in its place.
        overwrite: Whether another bundle at ``destination`` may be replaced.

    Raises:
        UsageError: No key or too many, or a shipped bundle in its place.
        SignatureError: As :func:`signed_before`.
        BundleError: The bundle cannot be read, or written there, or another one took its place meanwhile.
    """
    opened = Bundle.open(bundle, trust=OFF)
    signed_before(opened, keys)
    target = opened.path if destination is None else Path(destination)
    if is_shipped(target):
        raise UsageError(f"{opened.manifest.name} is a shipped bundle, which stays as it is: sign a copy of it")
    signatures = signing.sign(opened.sha256, keys)
    in_place = os.path.realpath(target) == os.path.realpath(opened.path)
    if not (in_place and target.is_dir()):
        return pack(opened, target, overwrite or in_place, keys)
    for entry in opened.manifest.files:
        opened.read(entry)
    opened.check_models()
    files.write_bytes(target / SIGNATURE_PATH, signing.encode(signatures))
    return Bundle.open(target, opened.sha256, trust=OFF)


def _write_archive(folder: Path, paths: list[str], target: Path) -> Path:
    """Store files in one zip, each member's data at a multiple of ``ALIGNMENT``; the same files give the same bytes."""
    with target.open("xb") as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            for path in paths:
                member = zipfile.ZipInfo(path)  # dated 1980
                member.create_system, member.external_attr = 3, (stat.S_IFREG | 0o644) << 16
                padding = -(stream.tell() + 30 + len(path) + 4) % ALIGNMENT
                member.extra = struct.pack("<HH", _ALIGNMENT_FIELD, padding) + bytes(padding)
                archive.writestr(member, (folder / path).read_bytes())
                member.extra = b""  # padding belongs to the local header; the directory needs none
        stream.flush()
        os.fsync(stream.fileno())
    return target


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one writer at a time rename in a folder; they wait for each other, where there are locks."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network shares have none
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _lock(staging: Path) -> Iterator[bool | None]:
    """Hold a staging folder, or see whether somebody does: :func:`edge_sdk.files.try_lock`."""
    with (staging / "lock").open("ab") as stream:
        yield files.try_lock(stream.fileno())


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        files.sync_folder(Path(folder))
