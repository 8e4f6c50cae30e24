"""Formats are named by their first bytes."""

from __future__ import annotations

import pytest

from edge_sdk import images
from edge_sdk.errors import UnsupportedImageError

HEADS = {
    "GIF": b"GIF89a\1\0",
    "WebP": b"RIFF\x24\0\0\0WEBPVP8 ",
    "HEIC": b"\0\0\0\x18ftypheic",
    "AVIF": b"\0\0\0\x1cftypavif",
    "raw camera": b"\0\0\0\x18ftypcrx ",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "JPEG XL": b"\xff\x0a\x00",
    "PDF": b"%PDF-1.7",
    "BigTIFF": b"II+\0\x08\0\0\0",
    "SVG": b"<?xml version='1.0'?><svg xmlns=''>",
    "Netpbm": b"P6\n3 4\n",
    "DICOM": bytes(128) + b"DICM",
    "Photoshop": b"8BPS\0\1",
}
FILMS = {
    "MP4": b"\0\0\0\x20ftypisom",
    "QuickTime": b"\0\0\0\x14ftypqt  ",
    "AVI": b"RIFF\0\0\0\0AVI LIST",
    "Matroska": b"\x1aE\xdf\xa3\x01",
    "MPEG transport stream": b"G" + bytes(187) + b"G",
}


@pytest.mark.parametrize("kind", [*HEADS, *FILMS])
def test_other_formats_are_refused_by_name(kind: str) -> None:
    head = (HEADS | FILMS)[kind]
    assert images.kind_of(head) == kind
    assert not images.begins_one(head)
    assert (kind in images.VIDEOS) == (kind in FILMS)
    with pytest.raises(UnsupportedImageError, match=f"{kind}, not a PNG, JPEG, BMP or TIFF file; save it as"):
        images.load(head + bytes(100))


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("PNG", b"\x89PNG\r\n\x1a\n"),
        ("JPEG", b"\xff\xd8\xff\xdb"),
        ("BMP", b"BM\0\0\0\0\0\0"),
        ("TIFF", b"MM\0*\0\0\0\x08"),
    ],
)
def test_formats_that_are_decoded(kind: str, head: bytes) -> None:
    assert images.kind_of(head) == kind
    assert kind in images.PICTURES
    assert images.begins_one(head)


@pytest.mark.parametrize("head", [b"", b"hello", bytes(300), b"RIFF", b"\0\0\0\x18ftyp"])
def test_anything_else_has_no_name(head: bytes) -> None:
    assert images.kind_of(head) in (None, "MP4")
