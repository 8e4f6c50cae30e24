"""The digest beside a manifest, and those of the shipped bundles, which are part of the package's code.

Every other file of a bundle has its hash in the manifest; nothing but this file has the manifest's. It finds damage.
It does not find who wants to deceive: whoever can write the manifest can write the digest too. Against that, the
shipped bundles are also compared with :data:`PINS`, and others need the signature of a key that the device trusts
(:mod:`edge_sdk.bundle.trust`), where it was set to ask for one.
"""

from __future__ import annotations

import hashlib

from edge_sdk.bundle.pins import PINS
from edge_sdk.errors import IntegrityError
from edge_sdk.manifest import DIGEST_PATH, MANIFEST_PATH

REMEDY = f"get the bundle again, or after an edit of your own: sha256sum {MANIFEST_PATH} > {DIGEST_PATH}"


def digest_file(manifest: bytes) -> bytes:
    """What ``sha256sum manifest.json`` prints: ``sha256sum --check manifest.sha256`` checks it."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST_PATH}\n".encode()


def check_digest(where: object, manifest: bytes, digest: bytes) -> None:
    """Raise ``IntegrityError`` unless ``digest`` is the file that belongs to the manifest, to the byte."""
    if digest != digest_file(manifest):
        raise IntegrityError(
            f"{where}: {MANIFEST_PATH} does not have the SHA-256 in {DIGEST_PATH}: one of them is damaged, or was "
            f"edited; {REMEDY}"
        )


def check_pin(name: str, manifest: bytes) -> None:
    """Raise ``IntegrityError`` unless this is the manifest of the shipped bundle of that name."""
    if hashlib.sha256(manifest).hexdigest() != PINS.get(name):
        raise IntegrityError(
            f"{name} is not the bundle of that name that this version of edge-sdk ships: install edge-sdk again, or "
            "open a bundle of your own by its path (in a checkout, after an export: make pins)"
        )
