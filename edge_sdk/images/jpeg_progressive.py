"""Whether each scan of a progressive JPEG (ITU-T T.81, annex G) holds the code words of all its blocks, and no more.

Of a picture in several scans a decoder wants the end marker, and then fills in what is missing without a word. So the
code words are counted here, without computing what they stand for.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from edge_sdk.errors import ImageDecodeError, ImageTooLargeError
from edge_sdk.images.jpeg_file import RESTART, Frame, Scan

SPARE = 8
"""So many bits behind the last code word may be filling."""

_LOOK = 16  # bits of the longest code word
_EMPTY = 15  # the run of zeros that 0xF0 stands for, less 1


class _Bits:
    """Coded data without stuffing; ``words[n]`` holds the 32 bits from byte n on."""

    def __init__(self, data: bytes) -> None:
        data = data.rstrip(b"\xff").replace(b"\xff\x00", b"\xff")
        self.end = 8 * len(data)
        padded = np.frombuffer(data + bytes(12), np.uint8).astype(np.uint32)
        self.words: list[int] = (padded[:-3] << 24 | padded[1:-2] << 16 | padded[2:-1] << 8 | padded[3:]).tolist()
        self.at = 0
        self.run = 0  # blocks that an end of band still covers
        self.codes = 0


def check(frame: Frame, scans: list[Scan], codes: int, name: str) -> None:
    """Read the scans.

    Args:
        frame: What SOF says.
        scans: All of them, in order; complete as a script.
        codes: How many code words the picture may cost.
        name: Of the picture, for the message.

    Raises:
        ImageDecodeError: A scan ends early, has data left, or a code word that its tables have not.
        ImageTooLargeError: Too many code words.
    """
    filled: dict[int, list[int]] = {}  # by component, of each block the coefficients that are not 0, as bits
    for number, scan in enumerate(scans, 1):
        columns, rows = frame.units(scan.numbers)
        units = columns * rows
        for component in scan.numbers if scan.band[0] else ():
            filled.setdefault(component, [0] * units)
        step = scan.interval or units
        for start, part in zip(range(0, units, step), RESTART.split(scan.data), strict=False):
            bits = _Bits(part)
            try:
                _read(bits, frame, scan, filled, range(start, min(start + step, units)))
            except IndexError:
                bits.at = -1
            codes -= bits.codes
            if codes < 0:
                raise ImageTooLargeError(f"{name}: a progressive JPEG of too many code words; save it as baseline JPEG")
            if bits.run or not 0 <= bits.end - bits.at < SPARE:
                raise ImageDecodeError(
                    f"{name}: damaged JPEG: in scan {number} data are missing, or are not those of this picture"
                )


def _read(bits: _Bits, frame: Frame, scan: Scan, filled: dict[int, list[int]], units: range) -> None:
    if not scan.band[0]:
        blocks = [c for c in frame.components if c.number in scan.numbers]
        repeats = [c.across * c.down if len(blocks) > 1 else 1 for c in blocks]
        if scan.high:
            bits.at += sum(repeats) * len(units)
        else:
            order = [table for n, table in zip(repeats, _tables(scan, 0), strict=True) for _ in range(n)]
            _first_dc(bits, order, len(units))
        return
    (table,) = _tables(scan, 0x10)
    read = _refined_ac if scan.high else _first_ac
    read(bits, table, scan.band, filled[scan.numbers[0]], units)


def _tables(scan: Scan, kind: int) -> list[list[int]]:
    shift = 0 if kind else 4
    return [_lookup(scan.huffman[kind | selector >> shift & 15]) for selector in scan.selectors]


@lru_cache(maxsize=16)  # of half a megabyte each; a picture has about ten
def _lookup(table: bytes) -> list[int]:
    """By the next 16 bits: 256 times the length of the code word there plus its symbol; 0 where there is none."""
    found: list[int] = []
    at = 16
    for length, count in enumerate(table[:16], 1):
        for symbol in table[at : at + count] if count <= 1 << length else b"":
            found += [length << 8 | symbol] * (1 << _LOOK - length)
        at += count
        if len(found) > 1 << _LOOK:
            raise IndexError
    return found + [0] * ((1 << _LOOK) - len(found))


def _first_dc(bits: _Bits, order: list[list[int]], count: int) -> None:
    words, at = bits.words, 0
    for _ in range(count):
        for table in order:
            found = table[words[at >> 3] >> 16 - (at & 7) & 0xFFFF]
            if not found:
                raise IndexError
            at += (found >> 8) + (found & 15)
    bits.at = at
    bits.codes = count * len(order)


def _first_ac(bits: _Bits, table: list[int], band: tuple[int, int], filled: list[int], units: range) -> None:
    words, at, codes = bits.words, 0, 0
    first, last = band
    block, stop = units.start, units.stop
    while block < stop:
        k, seen, covered = first, 0, 0
        while k <= last:
            found = table[words[at >> 3] >> 16 - (at & 7) & 0xFFFF]
            codes += 1
            run, size = found >> 4 & 15, found & 15
            if size:
                at += (found >> 8) + size
                k += run
                seen |= 1 << k
                k += 1
            elif run == _EMPTY:
                at += found >> 8
                k += 16
            elif found:
                at += found >> 8
                covered = (1 << run) - 1 + ((words[at >> 3] << (at & 7) & 0xFFFFFFFF) >> 32 - run)
                at += run
                break
            else:
                raise IndexError
        if k > last + 1:
            raise IndexError
        filled[block] |= seen
        block += 1 + covered
    bits.at, bits.codes, bits.run = at, codes, block - stop


def _refined_ac(bits: _Bits, table: list[int], band: tuple[int, int], filled: list[int], units: range) -> None:
    words, at, codes, covered = bits.words, 0, 0, 0
    first, last = band
    for block in units:
        k, before, seen = first, filled[block], 0
        while k <= last and not covered:
            found = table[words[at >> 3] >> 16 - (at & 7) & 0xFFFF]
            codes += 1
            run, size = found >> 4 & 15, found & 15
            at += found >> 8
            if size:
                at += 1
            elif run != _EMPTY:
                if not found:
                    raise IndexError
                covered = (1 << run) + ((words[at >> 3] << (at & 7) & 0xFFFFFFFF) >> 32 - run)
                at += run
                break
            if before >> k & (2 << run) - 1:
                k, others = _passed(before, k, last, run)
                at += others
            else:
                k += run
            if k > last:
                raise IndexError
            if size:
                seen |= 1 << k
            k += 1
        if covered:
            at += (before >> k & (1 << last + 1 - k) - 1).bit_count()
            covered -= 1
        filled[block] |= seen
    bits.at, bits.codes, bits.run = at, codes + len(units), covered


def _passed(before: int, k: int, last: int, run: int) -> tuple[int, int]:
    """Where the coefficient is that comes after ``run`` zero ones, and how many others, a bit each, lie before it."""
    others = 0
    while k <= last:
        if before >> k & 1:
            others += 1
        elif run:
            run -= 1
        else:
            break
        k += 1
    return k, others
