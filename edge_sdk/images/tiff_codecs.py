"""What TIFF calls compression, each undone to the last byte or refused.

libtiff, with which OpenCV decodes, fills what it cannot undo with zeros and goes on.
"""

from __future__ import annotations

import zlib

import numpy as np

from edge_sdk.errors import ImageDecodeError, ImageTooLargeError

CLEAR, END = 256, 257
WIDEST = 12  # bits of a code of LZW
# Bits of the codes behind a clear code: a wider one as soon as the table holds 511, 1023 and 2047 strings.
_WIDTHS = np.repeat(np.arange(9, 13), (254, 512, 1024, 2050)).astype(np.uint32)
_PLACES = np.concatenate([[0], np.cumsum(_WIDTHS)[:-1]]).astype(np.int64)
_BYTES = (*(bytes((n,)) for n in range(256)), b"", b"")


class Codes:
    """Counts code words that are read one by one, up to what a picture may cost."""

    def __init__(self, limit: int, name: str) -> None:
        self.left, self.name = limit, name

    def spend(self, count: int) -> None:
        """Raise ImageTooLargeError if there were more than may be."""
        self.left -= count
        self.foresee(0)

    def foresee(self, count: int) -> None:
        """Raise ImageTooLargeError if there will be more than may be, of which none is read yet."""
        if self.left < count:
            raise ImageTooLargeError(
                f"{self.name}: a TIFF of too many code words; save it as PNG, or with deflate or no compression"
            )


def deflate(data: bytes, least: int, most: int) -> bytes:
    """Deflate in a zlib stream, whose checksum counts.

    Args:
        data: Of one strip or tile.
        least: Bytes that must come out.
        most: Bytes that may: rows behind the last one.

    Raises:
        ImageDecodeError: Damaged, or another number of bytes.
    """
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(data, most + 1)
        if not stream.eof:
            out += stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as exc:
        raise ImageDecodeError(str(exc)) from exc
    if not stream.eof:
        raise ImageDecodeError("its data do not end where they must")
    return _checked(out, least, most)


def packbits(data: bytes, least: int, most: int, codes: Codes) -> bytes:
    """Runs of bytes (TIFF 6.0, section 9); see :func:`deflate`."""
    parts, at, size, count = [], 0, 0, 0
    while size < least and at < len(data):
        head = data[at]
        if head < 128:
            part = data[at + 1 : at + 2 + head]
            if len(part) != head + 1:
                break
            at += 2 + head
        elif head > 128:
            part = data[at + 1 : at + 2] * (257 - head)
            at += 2
        else:
            part = b""
            at += 1
        parts.append(part)
        size += len(part)
        count += 1
        if count > codes.left:
            break
    codes.spend(count)
    return _checked(b"".join(parts), least, most)


def lzw(data: bytes, least: int, most: int, codes: Codes) -> bytes:
    """LZW with codes of 9 to 12 bits, the high bit first (TIFF 6.0, section 13); see :func:`deflate`."""
    padded = np.frombuffer(data + bytes(4), np.uint8).astype(np.uint32)
    words = padded[:-3] << 24 | padded[1:-2] << 16 | padded[2:-1] << 8 | padded[3:]
    parts: list[bytes] = []
    at, size, last = 0, 0, CLEAR
    while last == CLEAR and size <= most:
        places = at + _PLACES
        places = places[: np.searchsorted(places + _WIDTHS, 8 * len(data), "right")]
        widths = _WIDTHS[: len(places)]
        found = words[places >> 3] >> (32 - (places & 7) - widths) & (1 << widths) - 1
        ends = np.flatnonzero((found == CLEAR) | (found == END))
        count = int(ends[0]) if len(ends) else len(found)
        codes.spend(count + 1)
        size += _strings(found[:count].tolist(), parts)
        last = int(found[count]) if len(ends) else END
        at = int(places[count] + widths[count]) if len(ends) else 0
    return _checked(b"".join(parts), least, most)


def _strings(found: list[int], parts: list[bytes]) -> int:
    """Append the strings that these codes stand for, the table being empty before the first; return their length."""
    if not found:
        return 0
    if found[0] >= len(_BYTES):
        raise ImageDecodeError("a code of LZW that stands for nothing")
    table, before = list(_BYTES), _BYTES[found[0]]
    strings = [before]
    for code in found[1:]:
        try:
            string = table[code]
        except IndexError:
            string = before + before[:1] if code == len(table) else b""
        if not string:
            raise ImageDecodeError("a code of LZW that stands for nothing")
        table.append(before + string[:1])
        strings.append(string)
        before = string
    parts += strings
    return sum(map(len, strings))


def _checked(out: bytes, least: int, most: int) -> bytes:
    if not least <= len(out) <= most:
        raise ImageDecodeError(f"its data hold {len(out)} bytes, not {least}")
    return out[:least]
