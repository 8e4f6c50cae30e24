"""Enrolled references as a few hundred bytes, bound to the embedding space and the artifact that made them.

A template file is the magic :data:`MAGIC`, the first 16 bytes of the payload's SHA-256, and the payload: one
msgpack record, tagged with its kind. The checksum tells a damaged file from a sound one; it is no signature, so who
may write templates is for the application's storage to decide.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk import files
from edge_sdk.errors import ScoreError, TemplateError
from edge_sdk.scoring.embedding import normalise

_FAMILY = b"EDGE-TEMPLATE-"
MAGIC = _FAMILY + b"1\n"  # the version of the layout described above
MAX_BYTES = 16 * 2**20

_CHECKSUM = 16


class Template(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="embeddings"
):
    """Embeddings of one person's references.

    What it is bound to survives slicing a bundle and fitting new thresholds: the embedding space and the artifact's
    own bytes. The bundle's name is for people to read.
    """

    embedding_space_id: str
    artifact_id: str
    artifact_sha256: str
    bundle_name: str
    count: int
    dim: int
    values: bytes  #: little-endian float32, ``count`` x ``dim``, as the engine gave them: the score normalises

    def __post_init__(self) -> None:
        if self.count < 1 or self.dim < 1 or len(self.values) != 4 * self.count * self.dim:
            raise TemplateError(f"template of {self.count} x {self.dim} values holds {len(self.values)} bytes")
        try:
            normalise(self.embeddings)
        except ScoreError as exc:
            raise TemplateError(f"template cannot be scored: {exc}") from exc

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """The references, ``float32 (count, dim)``, read-only."""
        return np.frombuffer(self.values, "<f4").reshape(self.count, self.dim)

    def to_bytes(self) -> bytes:
        """Encode; equal templates give equal bytes."""
        payload = msgspec.msgpack.encode(self)
        return MAGIC + hashlib.sha256(payload).digest()[:_CHECKSUM] + payload

    @classmethod
    def from_bytes(cls, data: bytes) -> Template:
        """Decode; anything but a whole template of this version is a ``TemplateError``."""
        start = len(MAGIC) + _CHECKSUM
        if not data.startswith(MAGIC):
            newer = data.startswith(_FAMILY)
            raise TemplateError("template of another version of edge-sdk" if newer else "not a template")
        if hashlib.sha256(data[start:]).digest()[:_CHECKSUM] != data[len(MAGIC) : start]:
            raise TemplateError("template is truncated or damaged")
        try:
            return msgspec.msgpack.decode(data[start:], type=cls)
        except msgspec.MsgspecError as exc:
            raise TemplateError(f"template is damaged: {exc}") from exc

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a file, whole or not at all; ``OSError`` if the disk refuses."""
        files.write_bytes(path, self.to_bytes())

    @staticmethod
    def is_at(path: str | os.PathLike[str]) -> bool:
        """Return whether the file claims to be a template, sound or not; False if it cannot be read."""
        try:
            with Path(path).open("rb") as file:
                return file.read(len(_FAMILY)) == _FAMILY
        except (OSError, ValueError):
            return False

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Template:
        """Read from a file; ``TemplateError`` if it cannot be read or holds no template."""
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as exc:
            raise TemplateError(f"cannot read template {os.fspath(path)}: {exc}") from exc
        if len(data) > MAX_BYTES:
            raise TemplateError(f"{os.fspath(path)}: more than {MAX_BYTES} bytes")
        return cls.from_bytes(data)
