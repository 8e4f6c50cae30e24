"""Reading a bundle: a folder, or the same files in one uncompressed zip (``NAME.edge``).

Reading trusts nothing: every path is relative and inside the bundle; counts and sizes are bounded; the manifest is
compared with the digest beside it and each file with its hash, and the caller gets the very bytes that were hashed.
Whose signature the manifest needs is said by :mod:`edge_sdk.bundle.trust`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

import msgspec

from edge_sdk import model_files
from edge_sdk.bundle import finding
from edge_sdk.bundle.digests import REMEDY, check_digest, check_pin, digest_file
from edge_sdk.bundle.signing import KeySignature
from edge_sdk.bundle.stores import Store
from edge_sdk.bundle.trust import Trust, default_trust, read_signatures
from edge_sdk.errors import (
    BundleError,
    EngineError,
    IntegrityError,
    SignatureError,
    UnsupportedModelError,
    UsageError,
)
from edge_sdk.logs import Log
from edge_sdk.manifest import DIGEST_PATH, MANIFEST_PATH, FileEntry, Manifest, decode

MAX_MANIFEST_BYTES = 4 * 2**20
MAX_FILES = 1000
MAX_TOTAL_BYTES = 4 * 2**30

_AGAIN = "the bundle is damaged, or was edited; get it again"
_LOG = Log(__name__)


class Bundle(msgspec.Struct, frozen=True, weakref=True):
    """An opened bundle. Make one with :meth:`open`."""

    path: Path
    manifest: Manifest
    sha256: str  #: of the manifest, 64 hex digits: what :meth:`open` compares
    _store: Store
    shipped: bool = False  #: opened by the name of a bundle that comes with the package, which vouches for it

    @property
    def id(self) -> str:
        """Name, version and the first 12 digits of the SHA-256: to tell bundles apart, too short to trust one."""
        return f"{self.manifest.name}-{self.manifest.version}-{self.sha256[:12]}"

    @classmethod
    def open(
        cls, source: str | os.PathLike[str] | Bundle, sha256: str | None = None, trust: Trust | None = None
    ) -> Bundle:
        """Open a bundle by the name of a shipped one, or by the path of a folder or ``.edge`` file.

        A plain name means the shipped bundle even where a folder of that name exists; write ``./name`` for the folder.
        A shipped bundle must be the very one that this version of the package ships. The manifest is compared with its
        digest, and every file must be there in its stated size; hashes of files are checked when they are read.

        With ``sha256`` only the bundle whose manifest has this digest is opened, whoever wrote the files.

        ``trust`` says whose signature the bundle needs and how old it may be; None takes what this device was set to
        (:func:`edge_sdk.bundle.trust.default_trust`), and of a bundle that is open already, what it was opened with.

        Raises ``BundleNotFoundError``, ``ManifestError`` (``SchemaVersionError``), ``IntegrityError``
        (``SignatureError``, ``RollbackError``), ``UnsafePathError``, or ``BundleError`` where the operating system
        refuses; ``StorageError`` where this device's trust file cannot be used.
        """
        if trust is not None and not isinstance(trust, Trust):
            raise UsageError(f"trust is {trust!r:.100}; it must be an edge_sdk.Trust")
        if isinstance(source, Bundle):
            opened = source
            if trust is not None:
                opened.check_trust(trust)
        else:
            opened = cls._read(source, default_trust() if trust is None else trust)
        if sha256 is not None and opened.sha256 != str(sha256).lower():
            raise IntegrityError(f"{opened.path}: its manifest has the SHA-256 {opened.sha256}, not {sha256!s:.100}")
        return opened

    @classmethod
    def _read(cls, source: str | os.PathLike[str], trust: Trust) -> Bundle:
        try:
            shipped = finding.shipped_name(source)
            path, store = finding.find(source) if shipped is None else finding.find_shipped(shipped)
            data = _read_manifest(path, store)
            digest = hashlib.sha256(data).hexdigest()
            if shipped is None:
                trust.check_signature(path, digest, store)
            else:
                check_pin(shipped, data)
            manifest = decode(data)
            trust.check_version(path, manifest.name, manifest.version, shipped=shipped is not None)
            _check_files(path, manifest.files)
            for entry in manifest.files:
                _check_size(path, entry, store.size(entry.path))
            _LOG.debug("%s: a bundle of %d files, as its digest says", path, len(manifest.files))
        except BundleError:  # one of them is an OSError too
            raise
        except OSError as error:
            raise BundleError(f"cannot read {str(source)[:200]}: {error.strerror or error}") from error
        return cls(path, manifest, digest, store, shipped is not None)

    def check_trust(self, trust: Trust) -> tuple[str, ...]:
        """The ids of trusted keys that signed the bundle, none of a shipped one, after all checks of this ``trust``.

        Raises the ``SignatureError`` or ``RollbackError`` that :meth:`open` would raise.
        """
        signers = () if self.shipped else trust.check_signature(self.path, self.sha256, self._store)
        trust.check_version(self.path, self.manifest.name, self.manifest.version, shipped=self.shipped)
        return signers

    @property
    def has_signature(self) -> bool:
        """Whether there is a signature, of whomever, whether or not it holds."""
        try:
            return bool(self.signatures())
        except SignatureError:
            return True

    def signatures(self) -> tuple[KeySignature, ...]:
        """The signatures that came with the bundle, unchecked; ``SignatureError`` where they are damaged."""
        return read_signatures(self.path, self._store)

    def read(self, entry: FileEntry) -> bytes:
        """Return a file of the bundle, checked against size and SHA-256 of ``entry``; else ``IntegrityError``."""
        try:
            data = self._store.read(entry.path, entry.size + 1)
        except OSError as error:
            raise BundleError(f"cannot read {entry.path} of {self.path}: {error}") from error
        _check_size(self.path, entry, len(data))
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise IntegrityError(
                f"{self.path}: {entry.path} does not have the SHA-256 that the manifest gives: {_AGAIN}"
            )
        _LOG.debug("%s: read %s, %d bytes, with the SHA-256 of the manifest", self.path, entry.path, len(data))
        return data

    def read_manifest(self) -> bytes:
        """Return the bytes of the manifest; ``IntegrityError`` where they are others than when it was opened."""
        data = _read_manifest(self.path, self._store)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise IntegrityError(f"{self.path}: {MANIFEST_PATH} was replaced after the bundle was opened")
        return data

    def read_graphs(self, variant_id: str) -> dict[str, bytes]:
        """Return the files of a variant (``int8.onnx``) by the name of the graph, checked as :meth:`read` does."""
        return {name: self.read(entry) for name, entry in self.manifest.variant_files(variant_id).items()}

    def check_models(self) -> None:
        """Raise ``IntegrityError`` where a model needs files or code that no hash of the manifest covers.

        Engines check what they load in the same way, and whether it is a model at all.
        """
        for variant in self.manifest.variants:
            for entry in self.manifest.variant_files(variant.id).values():
                try:
                    model_files.check(self.read(entry), variant.format)
                except UnsupportedModelError as exc:
                    raise IntegrityError(f"{self.path}: {entry.path}: {exc}") from exc
                except EngineError:
                    continue

    def read_model(self, variant_id: str) -> bytes:
        """Return the file of a variant whose model is one graph; ``BundleError`` if there are several."""
        if len(self.manifest.graphs) != 1:
            names = ", ".join(graph.name for graph in self.manifest.graphs)
            raise BundleError(f"{self.id} has several graphs, {names}: read them with read_graphs()")
        return next(iter(self.read_graphs(variant_id).values()))


def _read_manifest(path: Path, store: Store) -> bytes:
    if store.size(MANIFEST_PATH) > MAX_MANIFEST_BYTES:
        raise IntegrityError(f"{path}: {MANIFEST_PATH} exceeds {MAX_MANIFEST_BYTES} bytes")
    data = store.read(MANIFEST_PATH, MAX_MANIFEST_BYTES)
    try:
        digest = store.read(DIGEST_PATH, len(digest_file(data)) + 1)
    except IntegrityError as error:
        raise IntegrityError(f"{error}; {REMEDY}") from error
    check_digest(path, data, digest)
    return data


def _check_files(bundle: Path, files: tuple[FileEntry, ...]) -> None:
    total = sum(entry.size for entry in files)
    if len(files) > MAX_FILES or total > MAX_TOTAL_BYTES:
        raise IntegrityError(
            f"{bundle} lists {len(files)} files of {total} bytes; at most {MAX_FILES} of {MAX_TOTAL_BYTES} are read"
        )
    folders = {str(folder).casefold() for entry in files for folder in PurePosixPath(entry.path).parents}
    for entry in files:
        if entry.path.casefold() in folders:
            raise IntegrityError(f"{bundle}: {entry.path} is a file, and a folder of others")


def _check_size(bundle: Path, entry: FileEntry, size: int) -> None:
    if size != entry.size:
        raise IntegrityError(f"{bundle}: {entry.path} has not the {entry.size} bytes that the manifest gives: {_AGAIN}")
