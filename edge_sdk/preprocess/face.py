"""Operations for a crop of a face."""

from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2
from edge_sdk.preprocess.step import MAX_FRAME, Form, Image, Step, as_image

Share = Annotated[float, msgspec.Meta(ge=0.01, le=1)]


class CropSquare(Step, frozen=True, tag="crop_square"):
    """Cut the longer side to the length of the shorter one, as much at either end, so that no face is stretched."""

    def __call__(self, image: Image) -> Image:
        side = min(image.shape[:2])
        top, left = ((length - side) // 2 for length in image.shape[:2])
        return image[top : top + side, left : left + side]

    def after(self, form: Form) -> Form:
        """As wide as high."""
        return form.framed(min(form.size), min(form.size)) if form.size else form


class Oval(Step, frozen=True, tag="oval"):
    """Keep the face and fill what lies round it with the face's mean, so that no background counts for anything.

    The face is an ellipse in the middle, ``height`` and ``width`` being its axes in shares of the picture's sides. A
    pixel is in it when its centre is. Where none is, the picture stays as it is.
    """

    gray_only: ClassVar[bool] = True
    longest: ClassVar[int | None] = MAX_FRAME

    height: Share
    width: Share

    def __call__(self, image: Image) -> Image:
        rows, columns = image.shape
        y = _across(rows) / self.height
        x = _across(columns) / self.width
        inside = y[:, None] ** 2 + x[None, :] ** 2 <= 1
        if not inside.any():
            return image
        return np.where(inside, image, np.uint8(round(float(image[inside].mean()))))


class Standardize(Step, frozen=True, tag="standardize"):
    """Scale the levels so that their mean and standard deviation are these, and clip to [0, 1] (255).

    The channels of a colour picture are scaled alike, by the mean and deviation of all.

    The thesis' standard scaling (section 3.2.3; 0.5 and 0.25) with its result in ``uint8``, as between all operations:
    rounding moves a pixel by at most 0.002, under a hundredth of the standard deviation, while the levels that come in
    are rounded to as much before they are stretched. Clipping makes the deviation of the result a little smaller. A
    picture of one level becomes the mean.
    """

    longest: ClassVar[int | None] = MAX_FRAME

    mean: Share
    std: Share

    def __call__(self, image: Image) -> Image:
        levels = np.arange(256.0)
        flat = image.reshape(len(image), -1)
        counts = cv2.calcHist([flat], [0], None, [256], [0, 256])[:, 0].astype(np.int64)  # exact up to 2^24 pixels
        middle = counts @ levels / image.size
        spread = float(np.sqrt(counts @ (levels - middle) ** 2 / image.size))
        scaled = self.std * (levels - middle) / spread if spread else np.zeros(256)
        table = np.rint(255 * (self.mean + scaled)).clip(0, 255).astype(np.uint8)
        return as_image(cv2.LUT(flat, table)).reshape(image.shape)


def _across(size: int) -> NDArray[np.float64]:
    """The pixels' centres, the borders being at -1 and 1."""
    return (2 * np.arange(size) + 1 - size) / size
