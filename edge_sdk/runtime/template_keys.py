"""Keys of templates: 256 bits from the application, a file that its owner alone may read, or the system's key store.

A key file is one line of 64 hexadecimal digits, as ``edge-sdk keygen template`` and ``openssl rand -hex 32`` write it.
In a key store (macOS Keychain, Windows Credential Locker, the Secret Service of Linux desktops; the package
``keyring``) the password of SERVICE and NAME is such a line.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from typing import Any, TypeAlias

from edge_sdk import files
from edge_sdk.errors import TemplateKeyError, UsageError
from edge_sdk.extras import needs_extra

VARIABLE = "EDGE_SDK_TEMPLATE_KEY"
"""Environment variable that names a key, as :meth:`TemplateKey.named` takes it."""

BYTES = 32
_STORE = "keyring:"
_LINE = re.compile(r"[0-9A-Fa-f]{64}")
_LARGEST_FILE = 1024
_HOW = "64 hexadecimal digits, as `edge-sdk keygen template FILE` writes them"


class TemplateKey:
    """A key of AES-256-GCM, which encrypts templates and tells whether somebody changed them.

    Attributes:
        id: 32 hexadecimal digits by which an encrypted template names its key; nothing of the key follows from them.

    Args:
        secret: 32 random bytes, such as ``os.urandom(32)`` or what a key store of your own gives. No password, and no
            text.

    Raises:
        TemplateKeyError: It is not 32 bytes.
    """

    __slots__ = ("id", "secret")

    def __init__(self, secret: bytes) -> None:
        given: object = secret
        if not isinstance(given, bytes) or len(given) != BYTES:
            what = f"{len(given)} bytes" if isinstance(given, bytes) else f"a {type(given).__name__}"
            raise TemplateKeyError(f"a template's key is {BYTES} bytes, not {what}")
        self.secret = secret
        self.id = hashlib.sha256(b"edge-sdk template key\0" + secret).hexdigest()[:32]

    def __repr__(self) -> str:
        """Without the secret."""
        return f"TemplateKey(id={self.id!r})"

    @classmethod
    def named(cls, name: str | os.PathLike[str]) -> TemplateKey:
        """The key in a file, or of ``keyring:SERVICE/NAME`` in the system's key store.

        Raises:
            TemplateKeyError: There is none, it is no key, others than its owner may read the file, or the key store is
                locked or refuses.
            MissingToolError: The package ``keyring`` is not installed.
        """
        path = _place(name)
        secret = _stored(path) if path.startswith(_STORE) else _in_file(path)
        if not _LINE.fullmatch(secret):
            raise _no_key(path)
        return cls(bytes.fromhex(secret))


Key: TypeAlias = TemplateKey | bytes | str | os.PathLike[str]
"""A key, its 32 bytes, or where it is (:meth:`TemplateKey.named`)."""


def of(key: Key) -> TemplateKey:
    """The key, whichever way it is given; errors are those of :class:`TemplateKey`."""
    if isinstance(key, TemplateKey):
        return key
    return TemplateKey.named(key) if isinstance(key, (str, os.PathLike)) else TemplateKey(key)


def chosen(key: Key | None, *, plain: bool) -> TemplateKey | None:
    """The key that is given, else the one that :data:`VARIABLE` names; None where ``plain``, or where there is none.

    Raises:
        UsageError: Both a key and ``plain``.
        TemplateKeyError, MissingToolError: As :meth:`TemplateKey.named`.
    """
    if plain:
        if key is not None:
            raise UsageError("a template is either plain or has a key, not both")
        return None
    if key is None:
        key = of_environment()
    return None if key is None else of(key)


def of_environment() -> str | None:
    """Where the key is that :data:`VARIABLE` names, a path or ``keyring:SERVICE/NAME``; None if it names none.

    Raises:
        StorageError: It begins with ``~``, and there is no such user or home folder.
    """
    value = os.environ.get(VARIABLE, "")
    if value.startswith(_STORE):
        return value
    path = files.named(VARIABLE)
    return None if path is None else str(path)


def for_writing(key: Key | None, *, plain: bool) -> TemplateKey | None:
    """As :func:`chosen`, for a template that is to be written: None only where ``plain``.

    Raises:
        UsageError: Neither a key nor ``plain``, or both.
        TemplateKeyError, MissingToolError: As :meth:`TemplateKey.named`.
    """
    found = chosen(key, plain=plain)
    if found is None and not plain:
        raise UsageError(
            "a template is encrypted: name a key (key=..., --key FILE or keyring:SERVICE/NAME, or the environment "
            f"variable {VARIABLE}), which `edge-sdk keygen template FILE` makes, or say plain (plain=True, --plain)"
        )
    return found


def create(name: str | os.PathLike[str]) -> TemplateKey:
    """Make a random key and keep it where :meth:`TemplateKey.named` finds it: in a new file, or in the key store.

    Raises:
        TemplateKeyError: One is there already, which is left as it is; or the key store is locked, refuses, or keeps
            nothing.
        MissingToolError: The package ``keyring`` is not installed.
        ForeignFileError: Others may write the file's folder.
        OSError: The file cannot be written.
    """
    path, secret = _place(name), os.urandom(BYTES)
    there = TemplateKeyError(f"{path} is there already: templates that it encrypts could not be read without it")
    if path.startswith(_STORE):
        service, user = _entry(path)
        if _asked(path, "get_password", service, user) is not None:
            raise there
        _asked(path, "set_password", service, user, secret.hex())
        if _asked(path, "get_password", service, user) != secret.hex():  # as keyring's own backend "null" does
            raise TemplateKeyError(f"the key store did not keep {path}: `keyring --list-backends` shows which it is")
    else:
        try:
            files.write_new(path, f"{secret.hex()}\n".encode(), 0o600)
        except FileExistsError as exc:
            raise there from exc
    return TemplateKey(secret)


def _place(name: str | os.PathLike[str]) -> str:
    """Where a key is. One that is given itself is an error here, for errors further on repeat what was given."""
    path = os.fspath(name)
    if not path:
        raise TemplateKeyError(f"no key of a template is named: give the path of its file, or {_STORE}SERVICE/NAME")
    if _LINE.fullmatch(re.split(r"[/\\:]", path)[-1].strip()):
        raise TemplateKeyError(
            f"this is a key, not where it is: give the path of its file, or {_STORE}SERVICE/NAME. Make a new key if "
            "others could see this one, as in a list of processes or a log"
        )
    return path


def _in_file(path: str) -> str:
    try:
        content = files.read_own(path, _LARGEST_FILE, secret=True)
    except OSError as exc:
        if exc.errno == errno.EFBIG:
            raise _no_key(path) from exc
        raise TemplateKeyError(f"cannot take the key of a template: {exc}") from exc
    return content.decode("ascii", "replace").strip()


def _no_key(path: str) -> TemplateKeyError:
    return TemplateKeyError(
        f"{path} holds no key of a template: it must be {_HOW}; if it was one, bring back a copy of it, for what it "
        "encrypted cannot be read without it"
    )


def _stored(path: str) -> str:
    found = _asked(path, "get_password", *_entry(path))
    if found is None:
        raise TemplateKeyError(f"the key store holds no {path}: run `edge-sdk keygen template {path}`")
    return str(found).strip()


def _entry(path: str) -> tuple[str, str]:
    service, slash, name = path.removeprefix(_STORE).rpartition("/")
    if not (service and slash and name):
        raise TemplateKeyError(f"{path} names no entry of the key store: write {_STORE}SERVICE/NAME")
    return service, name


def _asked(path: str, call: str, *words: str) -> Any:
    """What the key store answers; it may ask the user to unlock it."""
    with needs_extra("keyring"):
        import keyring
    try:
        return getattr(keyring, call)(*words)
    except Exception as exc:  # each backend raises its own
        raise TemplateKeyError(f"the key store does not give {path}: {type(exc).__name__}: {exc}") from exc
