"""Pages of fax machines and scanners: ITU-T T.4 (G3, one and two dimensions) and T.6 (G4), as TIFF 6.0 stores them.

A row is the list of its changing elements: the columns at which white turns to black, black to white, and so on.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError
from edge_sdk.images.tiff_codecs import Codes

# T.4, tables 2 and 3: runs of 0 to 63 pixels; of 64, 128, ... 1728; and, of both colours, of 1792, ... 2560.
_WHITE = (
    "00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101 101010 "
    "101011 0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 0100100 0011000 00000010 "
    "00000011 00011010 00011011 00010010 00010011 00010100 00010101 00010110 00010111 00101000 00101001 "
    "00101010 00101011 00101100 00101101 00000100 00000101 00001010 00001011 01010010 01010011 01010100 "
    "01010101 00100100 00100101 01011000 01011001 01011010 01011011 01001010 01001011 00110010 00110011 "
    "00110100"
)
_WHITE_64 = (
    "11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000 01100111 011001100 011001101 "
    "011010010 011010011 011010100 011010101 011010110 011010111 011011000 011011001 011011010 011011011 "
    "010011000 010011001 010011010 011000 010011011"
)
_BLACK = (
    "0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111 "
    "000011000 0000010111 0000011000 0000001000 00001100111 00001101000 00001101100 00000110111 00000101000 "
    "00000010111 00000011000 000011001010 000011001011 000011001100 000011001101 000001101000 000001101001 "
    "000001101010 000001101011 000011010010 000011010011 000011010100 000011010101 000011010110 000011010111 "
    "000001101100 000001101101 000011011010 000011011011 000001010100 000001010101 000001010110 000001010111 "
    "000001100100 000001100101 000001010010 000001010011 000000100100 000000110111 000000111000 000000100111 "
    "000000101000 000001011000 000001011001 000000101011 000000101100 000001011010 000001100110 000001100111"
)
_BLACK_64 = (
    "0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100 "
    "0000001101101 0000001001010 0000001001011 0000001001100 0000001001101 0000001110010 0000001110011 "
    "0000001110100 0000001110101 0000001110110 0000001110111 0000001010010 0000001010011 0000001010100 "
    "0000001010101 0000001011010 0000001011011 0000001100100 0000001100101"
)
_LONG_64 = (
    "00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110 "
    "000000010111 000000011100 000000011101 000000011110 000000011111"
)
_PASS, _HORIZONTAL = 100, 101
_MODES = {
    "0001": _PASS, "001": _HORIZONTAL, "1": 0, "011": 1, "000011": 2, "0000011": 3, "010": -1, "000010": -2,
    "0000010": -3,
}  # fmt: skip
_LOOK = 13  # bits of the longest code
_ZEROS = 11  # of EOL
_NOT_ZERO = re.compile(rb"[^\x00]")


def _table(codes: dict[str, int]) -> list[tuple[int, int]]:
    """By the next bits: what the code there stands for, and its length; 0 where there is none."""
    table = [(0, 0)] * (1 << _LOOK)
    for code, value in codes.items():
        start = int(code, 2) << _LOOK - len(code)
        table[start : start + (1 << _LOOK - len(code))] = [(value, len(code))] * (1 << _LOOK - len(code))
    return table


def _runs(short: str, multiples: str) -> list[tuple[int, int]]:
    long = {code: 64 * n for n, code in enumerate(f"{multiples} {_LONG_64}".split(), 1)}
    return _table({code: n for n, code in enumerate(short.split())} | long)


_RUNS = (_runs(_WHITE, _WHITE_64), _runs(_BLACK, _BLACK_64))
_MODE = _table(_MODES)


class _Bits:
    """A strip's bits; ``words[n]`` holds the 24 from byte n on."""

    def __init__(self, data: bytes, codes: Codes) -> None:
        self.data, self.end = data, 8 * len(data)
        padded = np.frombuffer(data + bytes(4), np.uint8).astype(np.uint32)
        self.words: list[int] = (padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]).tolist()
        self.at = 0
        self.codes = codes

    def peek(self) -> int:
        """The next 13 bits, zeros behind the end."""
        if self.at >= self.end:
            if self.at > self.end + _LOOK:
                raise ImageDecodeError("rows are missing")
            return 0
        return self.words[self.at >> 3] >> 24 - _LOOK - (self.at & 7) & (1 << _LOOK) - 1

    def run(self, color: int) -> int:
        """The length of a run of white (0) or black (1)."""
        length = 0
        while True:
            value, bits = _RUNS[color][self.peek()]
            if not bits:
                raise ImageDecodeError("a code that no run of pixels has")
            self.at += bits
            self.codes.spend(1)
            length += value
            if value < 64:
                return length

    def first_one(self) -> int:
        """Where the next bit is that is 1; behind the end if there is none."""
        at = self.at >> 3
        head = self.data[at] & 0xFF >> (self.at & 7) if self.at < self.end else 0
        if not head:
            found = _NOT_ZERO.search(self.data, at + 1)
            if found is None:
                return self.end
            at, head = found.start(), self.data[found.start()]
        return 8 * at + 8 - head.bit_length()

    def skip_end_of_line(self) -> bool:
        """Skip EOL, 11 zero bits or more and a 1, if it is next."""
        one = self.first_one()
        if one == self.end or one - self.at < _ZEROS:
            return False
        self.at = one + 1
        return True


def decode(data: bytes, width: int, rows: int, scheme: str, codes: Codes) -> NDArray[np.uint8]:
    """Decode a strip.

    Args:
        data: With the high bit first.
        width: Pixels.
        rows: Exactly those in the strip.
        scheme: ``"runs"`` (G3 without ends of lines, rows begin with a byte), ``"g3"``, ``"g3-2d"`` or ``"g4"``.
        codes: What the picture may cost.

    Returns:
        ``(rows, width)``, 1 where black.

    Raises:
        ImageDecodeError: A row is damaged or missing, or data are left over.
    """
    bits = _Bits(data, codes)
    above: list[int] = []
    changes: list[int] = []
    for row in range(rows):
        two = scheme == "g4"
        if scheme == "runs":
            bits.at = bits.at + 7 & ~7
        elif scheme != "g4":
            ended = bits.skip_end_of_line()
            if scheme == "g3-2d":
                two = not bits.peek() >> _LOOK - 1
                bits.at += 1
                if not ended or (two and not row):
                    raise ImageDecodeError("a row does not begin where it must")
        above = _row_by_row_above(bits, above, width) if two else _row(bits, width)
        changes += [row * width + x for x in above]
    while bits.skip_end_of_line():
        bits.at += scheme == "g3-2d"
    if bits.at > bits.end or bits.first_one() != bits.end:
        raise ImageDecodeError("rows are missing, or data are left over")
    turns = np.zeros(rows * width, np.uint8)
    turns[changes] = 1
    return np.bitwise_xor.accumulate(turns.reshape(rows, width), axis=1)


def _row(bits: _Bits, width: int) -> list[int]:
    """One dimension: runs of white and black in turns."""
    found: list[int] = []
    at = color = 0
    while at < width:
        at += bits.run(color)
        _turn(found, at, width)
        color ^= 1
    return found


def _turn(found: list[int], at: int, width: int) -> None:
    if at > width:
        raise ImageDecodeError("a row is longer than the page is wide")
    if found and found[-1] == at:  # a run of length 0
        found.pop()
    elif at < width:
        found.append(at)


def _row_by_row_above(bits: _Bits, above: list[int], width: int) -> list[int]:
    """Two dimensions: each changing element by one of the row above."""
    above = [*above, width, width, width]
    found: list[int] = []
    at, color, n = -1, 0, 0  # n: of b1, the first change above, right of `at`, to the colour that is not `color`
    while at < width:
        mode, length = _MODE[bits.peek()]
        if not length:
            raise ImageDecodeError("a code that no row has")
        bits.at += length
        bits.codes.spend(1)
        if mode == _PASS:
            at = above[n + 1]
        elif mode == _HORIZONTAL:
            at = max(at, 0)
            for run in (color, color ^ 1):
                at += bits.run(run)
                _turn(found, at, width)
        else:
            to = above[n] + mode
            if to < max(at, 0):
                raise ImageDecodeError("a row goes back")
            at = to
            _turn(found, at, width)
            color ^= 1
            n = n - 1 if n else 1
        while above[n] <= at < width:
            n += 2
    return found
