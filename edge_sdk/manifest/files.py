"""The files of a bundle."""

import re
from typing import Annotated

import msgspec

from edge_sdk.errors import UnsafePathError
from edge_sdk.schema import Strict, require

MANIFEST_PATH = "manifest.json"
DIGEST_PATH = "manifest.sha256"
SIGNATURE_PATH = "signature.json"
MAX_FILE_BYTES = 512 * 2**20

_SHA256 = re.compile(r"[0-9a-f]{64}")
# A whitelist: no "..", no leading "/", no "\" or ":" (Windows drives), no trailing dot (Windows drops it), no letter
# that has two spellings (NFC, NFD), and no name that is a device on Windows, with whatever suffix.
_DEVICE = r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|\Z)"
_SEGMENT = rf"(?!{_DEVICE})[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?"
_PATH = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


def check_path(path: str) -> str:
    """Return ``path`` if it is relative, stays inside the bundle and is portable; else raise ``UnsafePathError``."""
    if len(path) > 200 or not _PATH.fullmatch(path):
        raise UnsafePathError(f"unsafe path in bundle: {path[:200]!r}")
    return path


class FileEntry(Strict, frozen=True, kw_only=True):
    """A file of the bundle: portable relative path, SHA-256 (64 lower-case hex digits) and size in bytes."""

    path: str
    sha256: str
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_FILE_BYTES)]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_path(self.path)
        own = self.path.casefold() in (MANIFEST_PATH, DIGEST_PATH, SIGNATURE_PATH)
        require(not own, f"{MANIFEST_PATH} cannot list itself, nor its digest or signature")
        require(bool(_SHA256.fullmatch(self.sha256)), f"{self.path}: bad sha256")
