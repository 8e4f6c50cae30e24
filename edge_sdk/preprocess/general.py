"""Operations for any picture: gray or colour, size, frame, threshold, blur."""

from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import UsageError
from edge_sdk.images.arrays import opaque
from edge_sdk.opencv import cv2
from edge_sdk.preprocess.step import MAX_FRAME, Form, Image, Level, Side, Step, as_image, covered, resized

_INTERPOLATION = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}


class ToGray(Step, frozen=True, tag="to_gray"):
    """BGR or BGRA to gray by ITU-R BT.601 weights; a transparent pixel shows white paper."""

    def __call__(self, image: Image) -> Image:
        if image.ndim == 2:
            return image
        return as_image(cv2.cvtColor(opaque(image), cv2.COLOR_BGR2GRAY))

    def after(self, form: Form) -> Form:
        """Gray, of gray or BGR."""
        return msgspec.structs.replace(_no_rgb(self, form), color="gray")


class ToColor(Step, frozen=True, tag="to_color"):
    """Gray, BGR or BGRA to ``(H, W, 3)`` in ``order``; a transparent pixel shows white paper.

    A gray picture has three equal channels.
    """

    order: Literal["bgr", "rgb"]

    def __call__(self, image: Image) -> Image:
        if image.ndim == 2:
            return as_image(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        colors = opaque(image)
        return colors if self.order == "bgr" else as_image(cv2.cvtColor(colors, cv2.COLOR_BGR2RGB))

    def after(self, form: Form) -> Form:
        """The order, of gray or BGR."""
        return msgspec.structs.replace(_no_rgb(self, form), color=self.order)


class LimitSize(Step, frozen=True, tag="limit_size"):
    """Shrink so that the longer side is at most ``side`` pixels; smaller images pass. As :func:`resized` does it."""

    side: Annotated[int, msgspec.Meta(ge=1, le=16_384)]

    def __call__(self, image: Image) -> Image:
        size = image.shape[0], image.shape[1]
        scaled = self._scaled(*size)
        return image if scaled == size else resized(image, *scaled)

    def after(self, form: Form) -> Form:
        """No side above :attr:`side`."""
        if form.size:
            return form.framed(*self._scaled(*form.size))
        return msgspec.structs.replace(form, longest=min(self.side, form.longest or self.side))

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        longer = max(height, width, self.side)
        return max(1, round(height * self.side / longer)), max(1, round(width * self.side / longer))


class Threshold(Step, frozen=True, tag="threshold"):
    """255 where the pixel is ``>= at``, else 0."""

    at: Level

    def __call__(self, image: Image) -> Image:
        return as_image(cv2.threshold(image, self.at - 1, 255, cv2.THRESH_BINARY)[1])


class MedianBlur(Step, frozen=True, tag="median_blur"):
    """Median of ``size`` x ``size`` pixels, ``iterations`` times."""

    size: Literal[3, 5, 7]
    iterations: Annotated[int, msgspec.Meta(ge=1, le=32)]

    def __call__(self, image: Image) -> Image:
        for _ in range(self.iterations):
            image = as_image(cv2.medianBlur(image, self.size))
        return image

    @property
    def passes(self) -> int:
        """One an iteration of size 3, eight of the others, for which there are no vector instructions."""
        return self.iterations if self.size == 3 else 8 * self.iterations

    def after(self, form: Form) -> Form:
        """The same; of large pictures there is time for size 3 alone."""
        return form if self.size == 3 else self._limited(form, MAX_FRAME)


class Resize(Step, frozen=True, tag="resize"):
    """Stretch to ``height`` x ``width`` pixels, whatever the aspect ratio was."""

    height: Side
    width: Side
    interpolation: Literal["nearest", "linear", "area"]

    def __call__(self, image: Image) -> Image:
        return as_image(cv2.resize(image, (self.width, self.height), interpolation=_INTERPOLATION[self.interpolation]))

    def after(self, form: Form) -> Form:
        """The frame."""
        return form.framed(self.height, self.width)


class Invert(Step, frozen=True, tag="invert"):
    """``255 - x``: dark ink on paper becomes bright ink on 0."""

    def __call__(self, image: Image) -> Image:
        return as_image(cv2.bitwise_not(image))


class Placement(msgspec.Struct, frozen=True):
    """Where a picture lies in a frame: columns ``left`` to ``left + width - 1``, rows ``top`` to ``top + height - 1``.

    Attributes:
        scale_x, scale_y: Pixels of the picture for one of the frame.
    """

    left: int
    top: int
    width: int
    height: int
    scale_x: float
    scale_y: float

    def back(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The picture's points for the frame's, ``(..., 2)`` as x and y; pixel k reaches from k to k + 1."""
        moved: NDArray[np.float64] = (points - (self.left, self.top)) * (self.scale_x, self.scale_y)
        return moved


class Fit(Step, frozen=True, tag="fit"):
    """Scale into ``height`` x ``width`` pixels and centre on 0.

    The aspect ratio may be stretched by up to ``stretch`` to use more of the frame (1 keeps it). The scaling is that of
    :func:`resized`.
    """

    height: Side
    width: Side
    stretch: Annotated[float, msgspec.Meta(ge=1, le=16)]

    def __call__(self, image: Image) -> Image:
        place = self.place(*image.shape[:2])
        frame = np.zeros((self.height, self.width, *image.shape[2:]), np.uint8)
        shown = frame[place.top : place.top + place.height, place.left : place.left + place.width]
        resized(image, place.height, place.width, shown)
        return frame

    def place(self, height: int, width: int) -> Placement:
        """Where a picture of ``height`` x ``width`` pixels comes to lie."""
        scale_y, scale_x = self.height / height, self.width / width
        scale_y, scale_x = min(scale_y, scale_x * self.stretch), min(scale_x, scale_y * self.stretch)
        new_height = min(self.height, max(1, round(height * scale_y)))
        new_width = min(self.width, max(1, round(width * scale_x)))
        return Placement(
            left=(self.width - new_width) // 2,
            top=(self.height - new_height) // 2,
            width=new_width,
            height=new_height,
            scale_x=covered(width, new_width) / new_width,
            scale_y=covered(height, new_height) / new_height,
        )

    def after(self, form: Form) -> Form:
        """The frame."""
        return form.framed(self.height, self.width)


def _no_rgb(step: Step, form: Form) -> Form:
    if form.color == "rgb":
        raise UsageError(f"{step.op} takes gray or BGR images, not RGB: it comes after to_color")
    return form
