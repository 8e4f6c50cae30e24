"""JPEG files: those of cameras, phones, scanners and web pages.

The first picture of the file counts; what follows its end (previews, gain maps, other frames of a phone) is another
rendering of it, or no picture.
"""

from __future__ import annotations

from edge_sdk.images import aspect, jpeg_data, jpeg_file, orientation
from edge_sdk.images.arrays import Image, eight_bits
from edge_sdk.images.budget import Budget


def decode(data: bytes, name: str, budget: Budget) -> Image:
    """Decode a JPEG file; see :func:`edge_sdk.images.load`."""
    file = jpeg_file.read(data, name, budget)
    image = aspect.square(eight_bits(jpeg_data.decode(file, name, budget.codes)), *file.density, budget, name)
    return orientation.upright(image, orientation.in_exif(file.exif))
