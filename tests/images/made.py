"""Picture files put together byte by byte, so that a test says what is in them."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

RNG = np.random.default_rng(5)
SOFT = cv2.GaussianBlur(RNG.integers(0, 256, (40, 61, 3), dtype=np.uint8), (9, 9), 3)
GRAY = np.ascontiguousarray(SOFT[:, :, 0])
ALPHA = RNG.integers(0, 256, (40, 61), dtype=np.uint8)


def on_white(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What a transparent picture looks like on paper."""
    alpha = alpha.astype(int).reshape(*alpha.shape, *[1] * (colors.ndim - 2))
    return ((colors * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def turned(picture: np.ndarray, orientation: int) -> np.ndarray:
    """How a stored picture is seen, by the table of EXIF."""
    mirrored = picture[:, ::-1]
    swap = (1, 0, *range(2, picture.ndim))
    return {
        1: picture,
        2: mirrored,
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(swap),
        6: np.rot90(picture, -1),
        7: picture[::-1, ::-1].transpose(swap),
        8: np.rot90(picture),
    }[orientation]


def exif(orientation: int, order: str = "<", before: int = 0) -> bytes:
    """A block of EXIF, with as many other tags in front."""
    entries = [(0x100 + n, 3, 1, 1) for n in range(before)] + [(0x112, 3, 1, orientation)]
    body = b"".join(struct.pack(order + "HHIHH", tag, kind, n, value, 0) for tag, kind, n, value in entries)
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IH", 8, len(entries)) + body + bytes(4)


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(header: tuple[int, ...], rows: bytes, *chunks: bytes) -> bytes:
    """``header``: width, height, bits, kind of colour; ``rows``: with the filter's byte in front of each."""
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *header, 0, 0, 0))
    return start + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND")


def lines(rows: np.ndarray) -> bytes:
    """Rows of a PNG without filters."""
    return b"".join(b"\0" + row.tobytes() for row in rows)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(picture: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90, *options])[1].tobytes()


def coded(data: bytes) -> tuple[int, int]:
    """Where the coded data of a JPEG's first scan begin and end, if there is one scan."""
    at = data.index(b"\xff\xda")
    return at + 2 + int.from_bytes(data[at + 2 : at + 4], "big"), len(data) - 2


Directory = dict[int, tuple[int, list[int]]]


def page(width: int, height: int, strips: list[bytes], **tags: int | list[int]) -> tuple[Directory, list[bytes]]:
    """A TIFF's directory, with 8-bit gray and no compression unless tags named ``tNUMBER`` say otherwise."""
    found: Directory = {256: (4, [width]), 257: (4, [height]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1])}
    found |= {277: (3, [1]), 278: (4, [height])}
    for name, value in tags.items():
        found[int(name[1:])] = (3, value if isinstance(value, list) else [value])
    return found, strips


def tiff(*pages: tuple[Directory, list[bytes]], order: str = "<") -> bytes:
    """Several pages; the strips of each lie in front of its directory."""
    out, link = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4)), 4
    for tags, strips in pages:
        at = []
        for strip in strips:
            at.append(len(out))
            out += strip
        tiled = 322 in tags
        full = {(324 if tiled else 273): (4, at), (325 if tiled else 279): (4, [len(s) for s in strips])} | tags
        out += bytes(len(out) % 2)
        struct.pack_into(order + "I", out, link, len(out))
        later, start = bytearray(), len(out) + 2 + 12 * len(full) + 4
        out += struct.pack(order + "H", len(full))
        for tag, (kind, values) in sorted(full.items()):
            data = b"".join(
                struct.pack(order + {1: "B", 3: "H", 4: "I", 5: "I", 7: "B"}[kind], value) for value in values
            )
            where = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", start + len(later))
            out += struct.pack(order + "HHI", tag, kind, len(values)) + where
            later += data if len(data) > 4 else b""
        link = len(out)
        out += bytes(4) + later
    return bytes(out)


def bmp(width: int, height: int, bits: int, pixels: bytes, compression: int = 0, tables: bytes = b"") -> bytes:
    """With a header of 40 bytes, and masks or a palette in ``tables``."""
    offset = 54 + len(tables)
    colors = len(tables) // 4 if bits <= 8 else 0
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 0, 0, colors, 0)
    return struct.pack("<2sIII", b"BM", offset + len(pixels), 0, offset) + info + tables + pixels
