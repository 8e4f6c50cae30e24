"""What every operation is, and how pictures are scaled."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import UsageError
from edge_sdk.opencv import cv2
from edge_sdk.schema import require_bounds

if TYPE_CHECKING:
    from edge_sdk.preprocess.boxed import Boxed

MAX_FRAME = 2048
"""Pixels a side that a frame may have, and pictures for operations that need several times their memory."""

Image = NDArray[np.uint8]
Level = Annotated[int, msgspec.Meta(ge=0, le=255)]
Side = Annotated[int, msgspec.Meta(ge=1, le=MAX_FRAME)]


class Form(msgspec.Struct, frozen=True):
    """What is known of an image between two operations, whatever the picture was.

    Attributes:
        color: ``None`` is gray or BGR, as the picture is.
        size: ``(height, width)``; ``None`` is another one for each picture.
        longest: Pixels that no side exceeds; ``None`` is no limit.
    """

    color: Literal["gray", "bgr", "rgb"] | None = None
    size: tuple[int, int] | None = None
    longest: int | None = None

    def framed(self, height: int, width: int) -> "Form":
        """The same colours in a fixed size."""
        return Form(self.color, (height, width), max(height, width))


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    """One operation of a pipeline of images, with parameters within their annotated bounds.

    Attributes:
        gray_only: Whether it takes ``(H, W)`` alone.
        longest: Pixels a side of the largest picture that it takes; ``None`` for any.
    """

    gray_only: ClassVar[bool] = False
    longest: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        require_bounds(self)

    def __call__(self, image: Image) -> Image:
        """Return a new image; ``image`` is left as it is."""
        raise TypeError(f"{type(self).__name__} is no operation of its own, so it has no result for {image.shape}")

    def boxed(self, ink: "Boxed") -> "Image | Boxed":
        """The same of an image that is 0 outside a box."""
        return self(ink.whole())

    @property
    def op(self) -> str:
        """The tag in the manifest."""
        return str(self.__struct_config__.tag)

    @property
    def passes(self) -> int:
        """How often it goes over the picture, or what takes as long."""
        return 1

    def after(self, form: Form) -> Form:
        """What an image is after the operation.

        Raises:
            UsageError: The operation takes no such image.
        """
        if self.gray_only and form.color != "gray":
            raise UsageError(f"{self.op} takes gray images: put to_gray before it")
        return form if self.longest is None else self._limited(form, self.longest)

    def _limited(self, form: Form, longest: int) -> Form:
        if form.longest is None or form.longest > longest:
            raise UsageError(
                f"{self.op} takes images of up to {longest} pixels a side: put limit_size, fit or resize before it"
            )
        return form


def resized(image: Image, height: int, width: int, out: Image | None = None) -> Image:
    """Scale to ``height`` x ``width`` pixels: means over whole blocks of pixels as far as they go, then bilinear.

    The result is written to ``out`` where that is given, of its shape.

    What is left for the second step shrinks by less than 2, where bilinear weights miss no pixel. Close to areas with
    fractional borders, in a fifth of the time. Fewer rows or columns than a block's side are left over at the end.
    """
    rows, columns = max(1, image.shape[0] // height), max(1, image.shape[1] // width)
    if (rows, columns) != (1, 1):
        whole = image[: covered(image.shape[0], height), : covered(image.shape[1], width)]
        image = block_means(whole, rows, columns)
    return as_image(cv2.resize(image, (width, height), dst=out, interpolation=cv2.INTER_LINEAR))


def covered(length: int, scaled: int) -> int:
    """How many of ``length`` pixels :func:`resized` shows in ``scaled`` ones: those in whole blocks."""
    block = max(1, length // scaled)
    return length // block * block


def block_means(image: Image, rows: int, columns: int) -> Image:
    """The mean of each block of ``rows`` x ``columns`` pixels, whose multiples the image's sides must be.

    By halves as long as both factors are even: a third of the time that one step takes. Pairs of gray pixels are added
    here, in a fifth of OpenCV's time.
    """
    while rows % 2 == columns % 2 == 0:
        image = as_image(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        rows, columns = rows // 2, columns // 2
    if (rows, columns) == (1, 1):
        return image
    if image.ndim == 2 and (rows, columns) == (2, 1):
        return _pair_means(image[0::2].astype(np.uint16) + image[1::2])
    if image.ndim == 2 and (rows, columns) == (1, 2):
        pairs = np.ascontiguousarray(image).view(np.uint16)
        return _pair_means((pairs & 255) + (pairs >> 8))
    size = (image.shape[1] // columns, image.shape[0] // rows)
    return as_image(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _pair_means(sums: NDArray[np.uint16]) -> Image:
    """Half of each sum, rounded to even as OpenCV does; the sums are lost."""
    means = sums >> 1
    sums &= means
    sums &= 1
    means += sums
    return means.astype(np.uint8)


def as_image(array: object) -> Image:
    """What OpenCV returns, as the type that it has."""
    return np.asarray(array, dtype=np.uint8)
