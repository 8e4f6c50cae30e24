"""Whom a device trusts to make bundles, and how old a bundle may be.

One record, :class:`Trust`: from the caller, else from the file that ``EDGE_SDK_TRUST`` names, else from ``trust.json``
in the folder for settings, else nobody asks. The file is JSON, and neither it, nor its folder, nor the keys that it
names may be writable by others::

    {"policy": "require", "keys": ["vendor.pub.pem"], "minimum_versions": {"deepsign": "1.2.0"}}

Shipped bundles, opened by their names, are vouched for by the package itself (:mod:`edge_sdk.bundle.digests`).
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import msgspec

from edge_sdk import files
from edge_sdk.bundle import signing
from edge_sdk.bundle.stores import Store
from edge_sdk.errors import BundleError, IntegrityError, RollbackError, SignatureError, StorageError, UsageError
from edge_sdk.logs import Log
from edge_sdk.manifest import SIGNATURE_PATH

VARIABLE = "EDGE_SDK_TRUST"
FILE = "trust.json"
MAX_TRUST_BYTES = 2**20
MAX_KEYS = 100

Policy: TypeAlias = Literal["require", "warn", "off"]
PublicKey: TypeAlias = "str | os.PathLike[str] | bytes"
"""A path of a PEM file, or the PEM itself."""

_PEM = "-----BEGIN"
_LOG = Log(__name__)


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Whose signature a bundle needs, and the least versions.

    ::

        trust = Trust(keys=["vendor.pub.pem"], minimum_versions={"deepsign": "1.2.0"})
        verifier = Verifier("/data/deepsign.edge", trust=trust)

    Args:
        keys: Ed25519 public keys, each a path of a PEM file or the PEM itself. One of them has to have signed.
        policy: ``"require"`` opens what a trusted key signed, and shipped bundles by name. ``"warn"`` also opens what
            nobody signed, or only keys that are not known, and says so in the log (:mod:`logging`). ``"off"`` looks at
            no signature.
        minimum_versions: By name of the bundle; an older one is refused under every policy, a shipped one too. Versions
            are compared as `Semantic Versioning <https://semver.org>`_ has it.

    Raises:
        UsageError: No such policy, too many keys, or a version that has no order.
        StorageError: A key cannot be read, or is no Ed25519 public key.
    """

    keys: Sequence[PublicKey] = ()
    policy: Policy = "require"
    minimum_versions: Mapping[str, str] = field(default_factory=dict)
    public_keys: Mapping[str, bytes] = field(init=False, repr=False)  #: the 32 bytes of each key, by its id

    def __post_init__(self) -> None:
        if self.policy not in get_args(Policy):
            raise UsageError(f"the policy is {self.policy!r}; it must be one of {', '.join(get_args(Policy))}")
        keys: object = self.keys
        versions: object = self.minimum_versions
        if not isinstance(keys, Sequence) or isinstance(keys, (str, bytes)) or len(keys) > MAX_KEYS:
            raise UsageError(f"keys are a list of at most {MAX_KEYS}")
        if not isinstance(versions, Mapping):
            raise UsageError('minimum versions go by the names of bundles: {"deepsign": "1.2.0"}')
        least: dict[str, object] = dict(self.minimum_versions)
        for name, version in least.items():
            if not isinstance(version, str) or version_order(version) is None:
                raise UsageError(f'the minimum version of {name} is {version!r}; give one such as "1.2.0"')
        public = [_public(key) for key in self.keys]
        object.__setattr__(self, "keys", tuple(self.keys))
        object.__setattr__(self, "minimum_versions", least)
        object.__setattr__(self, "public_keys", {signing.key_id(one): one for one in public})

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Trust":
        """Read a trust file; keys that it names by relative paths lie beside it.

        Raises:
            FileNotFoundError: There is no such file.
            StorageError: It cannot be read, makes no sense, or somebody else can have written it or one of its keys.
        """
        try:
            content = _DECODER.decode(files.read_own(path, MAX_TRUST_BYTES))
            keys = [key if key.startswith(_PEM) else _read_own_key(Path(path).parent / key) for key in content.keys]
            return cls(keys=keys, policy=cast("Policy", content.policy), minimum_versions=content.minimum_versions)
        except (FileNotFoundError, StorageError):
            raise
        except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:  # UsageError is a ValueError
            raise StorageError(f"the trust file {os.fspath(path)} cannot be used: {error}") from error

    def check_signature(self, where: object, sha256: str, store: Store) -> tuple[str, ...]:
        """Check the signature of the bundle in ``store``, whose manifest has this SHA-256, as the policy says.

        Returns:
            The ids of the trusted keys that signed it; none where the policy does not need one.

        Raises:
            SignatureError: A signature that does not hold, or under ``"require"`` none of a trusted key.
        """
        if self.policy == "off":
            return ()
        signatures = read_signatures(where, store)
        if signers := signing.signers(where, sha256, signatures, self.public_keys):
            return signers
        if signatures:
            ids = ", ".join(one.key_id[:12] for one in signatures)
            objection = f"is signed with {ids}, and no such key is trusted here"
        else:
            objection = "has no signature"
        if self.policy == "require":
            raise SignatureError(
                f"{where} {objection}: get a signed one from its maker, or sign it (edge-sdk sign); trusted keys are "
                f"those that were given (--key, Trust(...)), or else those of the trust file ({VARIABLE})"
            )
        _LOG.warning("%s %s; it is opened, as the policy is to warn", where, objection)
        return ()

    def check_version(self, where: object, name: str, version: str, *, shipped: bool = False) -> None:
        """Raise ``RollbackError`` where a bundle of this name and version, shipped or not, is older than it may be."""
        if (least := self.minimum_versions.get(name)) is None:
            return
        order, limit = version_order(version), version_order(least)
        if order is None or limit is None or order < limit:
            remedy = "update edge-sdk, which it comes with" if shipped else "get a newer bundle"
            raise RollbackError(f"{where}: {name} has version {version}, and at least {least} is wanted here: {remedy}")


OFF = Trust(policy="off")


def default_trust() -> Trust:
    """What this device was set to; :data:`OFF` where nobody set anything.

    Raises:
        StorageError: There is a file and it cannot be used (:meth:`Trust.read`), the one that was named is missing, or
            nobody can say whether there is one: the user has no home folder, or a link on the way leads nowhere.
    """
    named = files.named(VARIABLE)
    path = named or files.config_folder() / FILE
    try:
        trust = Trust.read(path)
    except FileNotFoundError as error:
        lost = next((one for one in (path, *path.parents) if one.is_symlink() and not one.exists()), None)
        if named is None and lost is None:
            _LOG.info("no trust file at %s: bundles need no signature", path)
            return OFF
        what = "is missing" if lost is None else f"is missing: {lost} is a link that leads nowhere"
        raise StorageError(f"the trust file {path} {what}; {VARIABLE} says where it is") from error
    _LOG.info("the trust file %s: policy %s, keys: %d", path, trust.policy, len(trust.public_keys))
    return trust


def read_signatures(where: object, store: Store) -> tuple[signing.KeySignature, ...]:
    """The signatures that came with a bundle, unchecked.

    Raises:
        SignatureError: They are damaged, or something else than a file has their name.
        BundleError: The operating system refuses.
    """
    try:
        if not store.has(SIGNATURE_PATH):
            return ()
        data = store.read(SIGNATURE_PATH, signing.MAX_SIGNATURE_BYTES + 1)
    except IntegrityError as error:  # a folder, a pipe, a link that leads nowhere
        raise SignatureError(f"{where}: its signature cannot be read ({error}): get the bundle again") from error
    except OSError as error:
        raise BundleError(f"cannot read {SIGNATURE_PATH} of {where}: {error.strerror or error}") from error
    return signing.decode(where, data)


def version_order(version: str) -> tuple[Any, ...] | None:
    """What sorts versions by precedence as Semantic Versioning 2.0.0, section 11; None for what is no such version.

    There may be one to six numbers, those that are missing being 0.

    >>> version_order("1.10") > version_order("1.9.3") > version_order("1.9.3-rc.1")
    True
    """
    if (found := _VERSION.fullmatch(version)) is None:
        return None
    numbers, before = found.groups()
    release = [int(number) for number in numbers.split(".")]
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".")] if before else []
    return (*release, *[0] * (6 - len(release))), before is None, tuple(parts)


_VERSION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9}){0,5})(?:-([0-9A-Za-z-]{1,99}(?:\.[0-9A-Za-z-]{1,99})*))?(?:\+.*)?")


class _TrustFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    policy: str = "require"  # of which Trust says what it may be
    keys: tuple[str, ...] = ()
    minimum_versions: dict[str, str] = msgspec.field(default_factory=dict)


_DECODER = msgspec.json.Decoder(_TrustFile)  # made once, at import: see edge_sdk.schema


def _public(key: PublicKey) -> bytes:
    if isinstance(key, bytes):
        return signing.public_key(key, "the key")
    if isinstance(key, str) and key.startswith(_PEM):
        return signing.public_key(key.encode(), "the key")
    return signing.public_key(signing.read_key_file(key), os.fspath(key))


def _read_own_key(path: Path) -> bytes:
    try:
        data = files.read_own(path, signing.MAX_KEY_BYTES)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"the key {path} cannot be read: {error.strerror or error}") from error
    signing.public_key(data, path)  # so that an error names the file
    return data
