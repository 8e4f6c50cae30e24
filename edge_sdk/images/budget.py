"""What one picture may cost: checked against its header, before anything is decoded."""

from __future__ import annotations

import msgspec

from edge_sdk.errors import ImageDecodeError, ImageTooLargeError


class Budget(msgspec.Struct, frozen=True):
    """Limits of one picture. The defaults take a 64-megapixel photo and an A4 page at 600 dpi in colour.

    Attributes:
        pixels: Width times height.
        side: Pixels of the longer side.
        file_bytes: Bytes of the file.
        decoded_bytes: Bytes as stored in the file, uncompressed: 8 bytes a pixel with 16 bits of red, green, blue and
            alpha.
        codes: Code words that are read one by one: of a TIFF with LZW, PackBits or fax compression, of a run-length
            coded BMP, of a progressive JPEG.
        scans: Scans of a JPEG. A progressive one is decoded anew for each; encoders write 4 to 20.
    """

    pixels: int = 64_000_000
    side: int = 16_384
    file_bytes: int = 256 * 2**20
    decoded_bytes: int = 256 * 2**20
    codes: int = 16_000_000
    scans: int = 64

    def check(self, width: int, height: int, bits: int, name: str) -> None:
        """Raise unless a picture of this size may be decoded.

        Args:
            width: Pixels.
            height: Pixels.
            bits: Of one pixel, all its samples together.
            name: Of the picture, for the message.

        Raises:
            ImageDecodeError: No pixels at all.
            ImageTooLargeError: More than the budget.
        """
        if width < 1 or height < 1:
            raise ImageDecodeError(f"{name}: {width} x {height} pixels")
        if max(width, height) > self.side or width * height > self.pixels:
            raise ImageTooLargeError(
                f"{name}: {width} x {height} pixels; at most {self.side} a side and {self.pixels} in all"
            )
        size = (width * bits + 7) // 8 * height
        if size > self.decoded_bytes:
            raise ImageTooLargeError(
                f"{name}: {width} x {height} pixels of {bits} bits are {size} bytes; at most {self.decoded_bytes}: "
                "save it smaller or with 8 bits a sample"
            )

    def check_scans(self, scans: int, name: str) -> None:
        """Raise ImageTooLargeError for more scans than the budget."""
        if scans > self.scans:
            raise ImageTooLargeError(f"{name}: a JPEG of more than {self.scans} scans; save it as a baseline JPEG")


DEFAULT = Budget()
MAX_PIXELS = DEFAULT.pixels
MAX_SIDE = DEFAULT.side
MAX_FILE_BYTES = DEFAULT.file_bytes
