"""Enrolled references as a few hundred bytes, bound to the embedding space and the variant that made them.

A template is one msgpack record, tagged with its kind. In a file it is encrypted and authenticated, or plain where the
application says so (:mod:`edge_sdk.runtime.template_layouts`).

What a template is bound to survives slicing a bundle and fitting new thresholds: the embedding space and the variant's
own bytes. The bundle's name is for people to read. To add a kind: a subclass, and a line in :data:`Kinds`.

A template that keeps the embeddings of its references can be updated without their pictures (:meth:`Template.updated`).
The rows of the enrolment come first and stay for ever; those that were added later follow, the oldest first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk import files
from edge_sdk.errors import ScoreError, StorageError, TemplateError, UsageError
from edge_sdk.logs import Log
from edge_sdk.runtime import template_layouts
from edge_sdk.runtime.template_keys import Key, chosen, for_writing
from edge_sdk.runtime.template_layouts import FAMILY, TemplateHeader
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture
from edge_sdk.scoring.embedding import normalise

if TYPE_CHECKING:
    from typing_extensions import Self

_LOG = Log(__name__)

MAX_BYTES = 16 * 2**20

FULL = 10
"""Rows up to which updating fills a template. One of more enrolled rows takes as many more as were enrolled."""

MOST_ENROLLED = 500
"""References of an enrolment whose embeddings are kept. What is fitted to n of them takes time that grows as n ** 3."""

Name = Annotated[str, msgspec.Meta(max_length=1000)]
Id = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{32})?\Z")]


def new_id() -> str:
    """128 random bits, as hexadecimal digits."""
    return os.urandom(16).hex()


class Template(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, tag_field="kind"
):
    """Base of the kinds: what all are bound to, and how they are stored."""

    embedding_space_id: Name
    variant_id: Name
    variant_sha256: Name
    bundle_name: Name
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_BYTES)]  #: references that it was made of
    added: Annotated[int, msgspec.Meta(ge=0, le=MAX_BYTES)] = 0  #: those of them that updating added, the last ones
    template_id: Id = ""  #: 32 random hexadecimal digits, by which it is revoked; empty of an older template

    def __post_init__(self) -> None:
        if not 0 <= self.added < self.count:
            raise TemplateError(f"template of {self.count} references holds {self.added} that were added")

    def __repr__(self) -> str:
        """Which template it is, for logs and tracebacks: nothing of the person."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in ("template_id", "bundle_name", "variant_id", "count", "added")]

    @property
    def kind(self) -> str:
        """The tag in the file, which a score names as its ``template_kind``."""
        return str(self.__struct_config__.tag)

    @property
    def content(self) -> Any:
        """What a score compares with."""
        raise TemplateError(f"a template of kind {self.kind} holds nothing")

    @classmethod
    def of(cls, content: Any, **binding: Any) -> Self:
        """A template of what a score enrolled; ``binding`` are the fields that every kind has."""
        raise TemplateError(f"{cls.__name__} holds no {type(content).__name__} ({', '.join(binding)})")

    @property
    def enrolled(self) -> int:
        """References of the enrolment, which no update replaces."""
        return self.count - self.added

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """The references, ``float32 (count, dim)``, read-only; TemplateError if the kind does not keep them."""
        raise TemplateError(
            f"a template of kind {self.kind} keeps no references, only what was fitted to all of them at once: to add "
            "some, enroll anew from the old and the new ones"
        )

    def updated(self, embeddings: NDArray[np.float32], enroll: Callable[[NDArray[np.float32]], Any]) -> Self:
        """A template with further references of the person, fitted anew. It asks nobody whose they are.

        A template of fewer than :data:`FULL` enrolled references grows up to so many; one of more, by as many as were
        enrolled. Then the oldest added ones are replaced.

        Args:
            embeddings: Of the further references, ``(N, dim)``, as those that were enrolled.
            enroll: What the score makes of embeddings ``(count, dim)``, such as
                :meth:`edge_sdk.scoring.base.Score.enroll`.

        Raises:
            TemplateError: The kind does not keep the references, or these have another length.
        """
        known = self.embeddings
        if embeddings.shape[1:] != known.shape[1:]:
            raise TemplateError(f"a template of {known.shape[1:]} values takes no embeddings {embeddings.shape}")
        enrolled = self.enrolled
        added = np.concatenate([known[enrolled:], embeddings])[-_most_added(enrolled) :]
        content = enroll(np.concatenate([known[:enrolled], added]))
        binding = {name: getattr(self, name) for name in Template.__struct_fields__}
        return self.of(content, **binding | {"count": enrolled + len(added), "added": len(added)})

    def renewed(self) -> Self:
        """The same references under a new id, which the revocation of the old one does not concern.

        Save it with a new key, and revoke the old id. See docs/trust.md for what this mends and what it does not.
        """
        return msgspec.structs.replace(self, template_id=new_id())

    def to_bytes(self, *, key: Key | None = None, plain: bool = False) -> bytes:
        """Encode, encrypted or plain. Equal templates give equal plain bytes, and encrypted ones that differ.

        One that has no id gets one when it is encrypted.

        Args:
            key: A key, its 32 bytes, the path of its file, or ``keyring:SERVICE/NAME``; None takes the one that the
                environment variable ``EDGE_SDK_TEMPLATE_KEY`` names.
            plain: Not encrypted: who can read it has the embeddings, and who can write it can make another.

        Raises:
            UsageError: No key and not ``plain``, or both.
            TemplateKeyError, MissingToolError: The key cannot be had; see
                :meth:`edge_sdk.runtime.template_keys.TemplateKey.named`.
        """
        found = for_writing(key, plain=plain)
        if found is None:
            return template_layouts.plain(msgspec.msgpack.encode(self))
        identified = self if self.template_id else self.renewed()
        header = identified._header(found.id)  # noqa: SLF001 - of its own class
        return template_layouts.encrypted(msgspec.msgpack.encode(identified), header, found)

    @staticmethod
    def from_bytes(
        data: bytes | bytearray | memoryview,
        *,
        key: Key | None = None,
        plain: bool = False,
        template_id: str | None = None,
    ) -> Template:
        """Decode, whatever the kind and the layout.

        Args:
            data: As :meth:`to_bytes` gave it, of this release or an older one.
            key: As for :meth:`to_bytes`. Where there is a key, a plain template is refused: anybody can make one.
            plain: Take a plain template and no other, whatever the environment variable says.
            template_id: The id that it must have. A template does not say whose it is: without this, who may write
                files can put one person's in the place of another's.

        Raises:
            TemplateError: It is no whole template of a known layout, was changed, or nobody could have enrolled it.
            TemplateKeyError: It is encrypted, and there is no key, or another one; or the key cannot be had.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TemplateError(f"a template is decoded from bytes, not {type(data).__name__}")
        payload, header = template_layouts.payload_of(bytes(data), chosen(key, plain=plain))
        try:
            found: Template = _DECODER.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise TemplateError(f"template is damaged: {exc}") from exc
        if msgspec.msgpack.encode(found) != payload:  # a field twice, or a number in more bytes than it needs
            raise TemplateError("template is damaged: it is not as edge-sdk writes it")
        if header is not None and header != found._header(header.key_id):
            raise TemplateError("template is damaged: its header is of another one")
        if template_id is not None and (not template_id or found.template_id != template_id):
            raise TemplateError(f"template has the id {found.template_id or '(none)'}, not {template_id or '(none)'}")
        if header is not None:
            _LOG.info("template %s is encrypted by the key %s", header.template_id, header.key_id)
        elif not plain:
            _LOG.warning("a template is plain: whoever can write it can have made it (edge-sdk renew encrypts it)")
        return found

    def save(self, path: str | os.PathLike[str], *, key: Key | None = None, plain: bool = False) -> None:
        """Write to a file, whole or not at all; a new one only its owner may read, an old one keeps who may.

        Args:
            path: A new file, or that of another template, which is replaced.
            key, plain: As for :meth:`to_bytes`.

        Raises:
            TemplateError: It takes more than :data:`MAX_BYTES`, which nothing would load.
            UsageError: As :meth:`to_bytes`; or the file is there and is no template, such as a key.
            TemplateKeyError, MissingToolError: As :meth:`to_bytes`.
            StorageError: The disk refuses; the old file stays, and no other file is left.
        """
        data = self.to_bytes(key=key, plain=plain)
        if len(data) > MAX_BYTES:
            raise TemplateError(f"a template takes up to {MAX_BYTES} bytes, not {len(data)}: enroll fewer references")
        with _replacing(path):
            files.write_bytes(path, data, private=True)

    @staticmethod
    def check_writable(path: str | os.PathLike[str]) -> None:
        """Raise the error of its file that :meth:`save` would raise, before anything is done."""
        with _replacing(path):
            files.check_writable(path)

    @staticmethod
    def is_at(path: str | os.PathLike[str]) -> bool:
        """Return whether the file claims to be a template, sound or not; False if it cannot be read."""
        try:
            with files.open_regular(path) as file:
                return file.read(len(FAMILY)) == FAMILY
        except OSError:
            return False

    @staticmethod
    def load(
        path: str | os.PathLike[str], *, key: Key | None = None, plain: bool = False, template_id: str | None = None
    ) -> Template:
        """Read from a file, whatever the kind and the layout.

        Args:
            path: The file.
            key, plain, template_id: As for :meth:`from_bytes`.

        Raises:
            TemplateError: It cannot be read, or as :meth:`from_bytes`.
        """
        data = _read(path)
        with _naming(path):
            return Template.from_bytes(data, key=key, plain=plain, template_id=template_id)

    @staticmethod
    def header(path: str | os.PathLike[str]) -> TemplateHeader | None:
        """What a file shows without its key; None of a plain one. Nobody knows whether it was changed.

        Raises:
            TemplateError: It cannot be read, or is cut or damaged.
        """
        data = _read(path)
        with _naming(path):
            return template_layouts.header_of(data)

    @staticmethod
    def id_at(path: str | os.PathLike[str]) -> str:
        """The id of the template in a file, whose key is not needed, and which may have been changed; empty if none.

        Raises:
            TemplateError: As :meth:`load`.
        """
        header = Template.header(path)
        return Template.load(path, plain=True).template_id if header is None else header.template_id

    def _header(self, key_id: str) -> TemplateHeader:
        return TemplateHeader(
            template_id=self.template_id,
            key_id=key_id,
            embedding_space_id=self.embedding_space_id,
            variant_sha256=self.variant_sha256,
        )


def _most_added(enrolled: int) -> int:
    return max(FULL - enrolled, enrolled)


@contextlib.contextmanager
def _replacing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Refuse to replace what is no template (UsageError), as a key could not be made again; errors of the disk."""
    try:
        if Path(path).is_file() and not Template.is_at(path):
            raise UsageError(f"{os.fspath(path)} exists and is no template: not replaced; name another file to write")
        yield
    except OSError as exc:
        raise StorageError(f"the template {os.fspath(path)} cannot be written: {exc}") from exc


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        return files.read_bytes(path, MAX_BYTES)
    except OSError as exc:
        raise TemplateError(f"cannot read template {os.fspath(path)}: {exc}") from exc


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Begin errors of a template with its file."""
    try:
        yield
    except TemplateError as exc:
        raise type(exc)(f"{os.fspath(path)}: {exc}") from exc


class EmbeddingTemplate(Template, frozen=True, kw_only=True, tag="embeddings"):
    """Embeddings of one person's references."""

    dim: int
    values: bytes  #: little-endian float32, ``count`` x ``dim``, as the engine gave them: the score normalises

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count < 1 or self.dim < 1 or len(self.values) != 4 * self.count * self.dim:
            raise TemplateError(f"template of {self.count} x {self.dim} values holds {len(self.values)} bytes")
        if self.enrolled > MOST_ENROLLED:
            raise TemplateError(f"a template takes up to {MOST_ENROLLED} references, not {self.enrolled}")
        if self.added > _most_added(self.enrolled):
            raise TemplateError(f"no update adds {self.added} references to {self.enrolled}")
        try:
            normalise(self.embeddings)
        except ScoreError as exc:
            raise TemplateError(f"template cannot be scored: {exc}") from exc

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """See :class:`Template`."""
        return np.frombuffer(self.values, "<f4").reshape(self.count, self.dim)

    @property
    def content(self) -> NDArray[np.float32]:
        """See :class:`Template`."""
        return self.embeddings

    @classmethod
    def of(cls, content: NDArray[np.float32], **binding: Any) -> EmbeddingTemplate:
        """Of embeddings ``(N, D)``."""
        return cls(dim=content.shape[1], values=content.astype("<f4").tobytes(), **binding)


class GaussianMixtureTemplate(Template, frozen=True, kw_only=True, tag="gaussian_mixture"):
    """A person's density: a Gaussian mixture adapted from the bundle's background density."""

    modes: int
    dim: int
    values: bytes  #: little-endian float32, ``modes`` x ``1 + 2 dim``: weight, means and variances, a mode a row

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.count, self.modes, self.dim) < 1 or len(self.values) != 4 * self.modes * (1 + 2 * self.dim):
            raise TemplateError(f"template of {self.modes} modes of {self.dim} values holds {len(self.values)} bytes")
        if self.added:
            raise TemplateError(f"no update adds {self.added} references to a template of kind {self.kind}")
        try:
            self.content  # noqa: B018 - the mixture checks itself
        except ScoreError as exc:
            raise TemplateError(f"template cannot be scored: {exc}") from exc

    @property
    def content(self) -> GaussianMixture:
        """The density."""
        table = np.frombuffer(self.values, "<f4").reshape(self.modes, 1 + 2 * self.dim).astype(np.float64)
        table.setflags(write=False)
        weights, means, variances = np.split(table, [1, 1 + self.dim], axis=1)
        return GaussianMixture(weights[:, 0], means, variances)

    @classmethod
    def of(cls, content: GaussianMixture, **binding: Any) -> GaussianMixtureTemplate:
        """Of an adapted mixture."""
        modes, dim = content.means.shape
        table = np.hstack([content.weights[:, None], content.means, content.variances])
        return cls(modes=modes, dim=dim, values=table.astype("<f4").tobytes(), **binding)


Kinds = EmbeddingTemplate | GaussianMixtureTemplate
# Made once, at import: see edge_sdk.schema.
_DECODER: msgspec.msgpack.Decoder[Template] = msgspec.msgpack.Decoder(Kinds)
KINDS: dict[str, type[Template]] = {
    str(kind.__struct_config__.tag): kind for kind in (EmbeddingTemplate, GaussianMixtureTemplate)
}
