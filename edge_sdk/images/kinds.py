"""Which format a file is of, by its first bytes."""

from __future__ import annotations

import re

HEAD_BYTES = 256
"""How many bytes from the start :func:`kind_of` looks at."""

PICTURES = frozenset({"PNG", "JPEG", "BMP", "TIFF"})
"""What :func:`edge_sdk.images.load` decodes."""

VIDEOS = frozenset(
    {"MP4", "QuickTime", "AVI", "Matroska", "MPEG", "MPEG transport stream", "Flash video", "ASF", "Ogg"}
)

PNG_START = b"\x89PNG\r\n\x1a\n"
TIFF_STARTS = (b"II*\0", b"MM\0*")

_STARTS = (
    (PNG_START, "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"II\xbc", "JPEG XR"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"AT&TFORM", "DjVu"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\1\0", "ICO"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"\x8bJNG\r\n\x1a\n", "JNG"),
    (b"IIRO", "raw camera"),
    (b"IIU\0", "raw camera"),
    (b"FUJIFILMCCD-RAW", "raw camera"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"\x0a\x05\x01", "PCX"),
    (b"\xd7\xcd\xc6\x9a", "Windows metafile"),
    (b"\x1aE\xdf\xa3", "Matroska"),
    (b"\0\0\1\xba", "MPEG"),
    (b"\0\0\1\xb3", "MPEG"),
    (b"FLV\1", "Flash video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "ASF"),
    (b"OggS", "Ogg"),
)
_RIFF = {b"WEBP": "WebP", b"AVI ": "AVI"}
_BRANDS = {
    b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"hevm": "HEIC",
    b"hevs": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC", b"avif": "AVIF", b"avis": "AVIF", b"crx ": "raw camera",
    b"qt  ": "QuickTime",
}  # fmt: skip


def kind_of(head: bytes) -> str | None:
    """Name the picture or video format that a file is of.

    Args:
        head: Its first :data:`HEAD_BYTES` bytes, or all of a shorter file.

    Returns:
        A name of :data:`PICTURES`, of :data:`VIDEOS` or of a format that is neither decoded nor played, such as
        ``"WebP"``; None for anything else. The file may be damaged behind these bytes.
    """
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    return _in_boxes(head) or _by_pattern(head)


def begins_one(head: bytes) -> bool:
    """Whether a file that begins with these bytes, 8 at least, is for :func:`edge_sdk.images.load`.

    It may be damaged behind them.
    """
    return kind_of(head) in PICTURES


def _in_boxes(head: bytes) -> str | None:
    """RIFF and ISO base media files."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "MP4")
    return "QuickTime" if head[4:8] in (b"moov", b"mdat", b"wide") else None


def _by_pattern(head: bytes) -> str | None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    found = {
        "Netpbm": re.match(rb"P[1-7][\s#]", head),
        "MPEG transport stream": head[:1] == head[188:189] == b"G",
        "DICOM": head[128:132] == b"DICM",
        "SVG": text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text),
    }
    return next((name for name, fits in found.items() if fits), None)
