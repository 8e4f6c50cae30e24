"""What lies in a folder: pictures to be judged, and what else; nothing is passed over silently."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from edge_sdk import images
from edge_sdk.errors import ImageDecodeError
from edge_sdk.runtime import sources

Use = Literal["picture", "unsupported", "unreadable", "other"]

_NO_PICTURE = "no PNG, JPEG, BMP or TIFF picture here; name each folder below it and each video"
# A damaged file shows by its name that it should be judged.
_VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".3gp", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".flv", ".ogv",
    ".asf", ".dv", ".f4v", ".mxf", ".vob", ".3g2", ".h264", ".264", ".h265", ".265", ".hevc", ".ivf", ".y4m", ".mjpeg",
    ".mjpg",
})  # fmt: skip


class FolderItem(NamedTuple):
    """One thing in a folder.

    ``use``: a ``picture`` to be judged, which :func:`edge_sdk.images.load` may still refuse; something that may show a
    face, but is ``unsupported`` here or ``unreadable``; or ``other``. ``reason``: why it is no picture to be judged.
    """

    path: Path
    use: Use
    reason: str = ""


def frames(path: str | os.PathLike[str], fps: float) -> Iterator[tuple[float, Path]]:
    """Return the pictures directly in a folder as frames of a video, in the order of the numbers in their names.

    Raises:
        ImageDecodeError: There are none.
    """
    found = [item.path for item in items(path) if item.use == "picture"]
    if not found:
        raise ImageDecodeError(f"{path}: {_NO_PICTURE}")
    return ((number / fps, picture) for number, picture in enumerate(found))


def items(path: str | os.PathLike[str]) -> list[FolderItem]:
    """Tell what lies directly in a folder, 2 before 10. The first bytes of a file decide, not the end of its name.

    Hidden files and those that systems leave in folders (``Thumbs.db``) are passed over.

    Raises:
        ImageDecodeError: The folder cannot be read, or holds nothing that may show a face.
    """
    try:
        paths = list(Path(path).iterdir())
    except (OSError, ValueError) as exc:
        raise ImageDecodeError(f"{path}: the folder cannot be read: {exc}") from exc
    seen = (one for one in paths if not one.name.startswith(".") and one.name.lower() not in images.LEFT_BY_SYSTEMS)
    found = [_item(one) for one in sorted(seen, key=lambda one: images.natural(one.name))]
    if all(item.use == "other" for item in found):
        raise ImageDecodeError(f"{path}: {_NO_PICTURE}")
    return found


def _item(path: Path) -> FolderItem:
    try:
        head = sources.head_of(path)
    except IsADirectoryError:
        return FolderItem(path, "unsupported", "a folder in a folder is not searched: name it too")
    except FileNotFoundError:
        return FolderItem(path, "unreadable", "a link to a file that is not there")
    except OSError as exc:
        return FolderItem(path, "unreadable", exc.strerror or str(exc))
    return FolderItem(path, *_use(head, path.suffix.lower()))


def _use(head: bytes, suffix: str) -> tuple[Use, str]:
    """What a file is for, by its first bytes, and where they tell nothing by the end of its name."""
    kind = images.kind_of(head)
    if kind in images.VIDEOS or sources.is_video(head):
        return "unsupported", "a video: name it too, by itself"
    if kind and kind not in images.PICTURES:
        return "unsupported", f"{kind}: save it as PNG, JPEG, BMP or TIFF"
    if kind or suffix in images.PICTURE_SUFFIXES:
        return "picture", ""
    if suffix in _VIDEO_SUFFIXES:
        return (
            "unsupported",
            "a video by its name, but damaged, or of another container than AVI, MP4, MOV, MKV and WebM",
        )
    return "other", "neither a picture nor a video" if head else "empty, 0 bytes"
