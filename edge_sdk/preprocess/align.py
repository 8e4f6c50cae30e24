"""A face turned, scaled and moved so that its five points lie where those of every other face lie."""

import math
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_sdk.errors import InputError, ManifestError
from edge_sdk.opencv import cv2
from edge_sdk.preprocess.crop import MAX_CROP_PIXELS, FaceCrop, Point
from edge_sdk.preprocess.step import Image, as_image, block_means
from edge_sdk.schema import require_bounds

TEMPLATE_SIDE = 112.0
"""Pixels a side of the square in which template points are given."""

ARCFACE: tuple[Point, ...] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Where ArcFace (Deng et al., 2019) and most face networks since put eyes, nose and corners of the mouth."""

LEAST_FIT = 0.25
"""The least share of the template's spread that the points must explain. A frontal face explains nearly all, a full
profile, where both eyes fall together, half; points with left and right exchanged a twentieth."""

_FINEST = 16
_FARTHEST = 1e6
_ROUNDING = 1e-6

Side = Annotated[int, msgspec.Meta(ge=8, le=1024)]
Margin = Annotated[float, msgspec.Meta(ge=0, lt=0.5)]


class FaceAlignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Move a face's five points onto a template by the similarity of least squares, and cut out a square.

    A similarity turns, scales and moves; it neither stretches nor mirrors. All five points count alike, whatever their
    order: no random choice, and no point is left out.

    The square shows ``side`` x ``side`` pixels. The template's own square, 112 x 112, fills its middle, with ``margin``
    of the side left free on each side. Outside the frame the frame's border is repeated.

    Faces that are more than twice as large as the square are first cut out larger, by a whole factor of up to 16, and
    then averaged, so that no pixel is missed. OpenCV 4's ``warpAffine`` rounds the position that a pixel is taken from
    to 1/32 pixel of the frame, so by up to 1/64 along each axis; OpenCV 5 does not. A level is off by up to 1/32 of the
    step to the neighbouring pixels, and rounding: up to 9 of 255 at a hard edge, seldom more than 1 elsewhere.

    Attributes:
        side: Of the square, in pixels.
        margin: Share of the side.
        template: The five points in :data:`TEMPLATE_SIDE` pixels a side, in the order of
            :attr:`edge_sdk.preprocess.crop.LocatedFace.points`.
    """

    side: Side = 112
    margin: Margin = 0.0
    template: Annotated[tuple[Point, ...], msgspec.Meta(max_length=5)] = ARCFACE

    def __post_init__(self) -> None:
        require_bounds(self)
        fits = list(map(len, self.template)) == [2] * 5 and all(
            0 <= value <= TEMPLATE_SIDE for point in self.template for value in point
        )
        points = np.asarray(self.template if fits else [(0, 0)], np.float64)
        if np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[-1] < 1:  # root of the sum of squares
            raise ManifestError(
                f"the template is {self.template}; it must be five points in 0 to {TEMPLATE_SIDE:g}, not on one line"
            )

    @property
    def points(self) -> NDArray[np.float64]:
        """``(5, 2)``: where the points lie in the square, in its pixels."""
        scale = self.side * (1 - 2 * self.margin) / TEMPLATE_SIDE
        return np.asarray(self.template, np.float64) * scale + self.side * self.margin

    def __call__(self, image: Image, points: ArrayLike) -> Image:
        """Return the square, ``(side, side)`` or ``(side, side, C)`` as ``image`` is.

        Args:
            image: The frame, ``uint8``.
            points: ``(5, 2)``: x and y of each point in the frame's pixels, in which pixel k reaches from k to k + 1.

        Raises:
            InputError: The points are not five, not finite, fall together, lie as no face's do (left and right
                exchanged), or are so far apart that the face is larger than what a picture may be.
        """
        inverse = _inverse(similarity(points, self.points))
        step = math.hypot(inverse[0, 0], inverse[1, 0])  # pixels of the frame for one of the square
        if (self.side * step) ** 2 > MAX_CROP_PIXELS:
            raise InputError(f"the points of the face are too far apart: a square of {self.side * step:.0f} pixels")
        finer = min(max(1, int(step + _ROUNDING)), _FINEST)
        patch, origin = _region(image, inverse, self.side)
        # OpenCV calls the centre of the first pixel 0, here it is 0.5.
        matrix = np.empty((2, 3))
        matrix[:, :2] = inverse[:, :2] / finer
        matrix[:, 2] = inverse[:, 2] - origin + matrix[:, :2] @ (0.5, 0.5) - 0.5
        size = (self.side * finer, self.side * finer)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(patch, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return block_means(as_image(warped), finer, finer)


FaceCut = FaceCrop | FaceAlignment
"""How a face is cut out of a frame."""


def similarity(points: ArrayLike, targets: ArrayLike) -> NDArray[np.float64]:
    """The similarity that takes ``points`` closest to ``targets``: least squares, in closed form.

    Umeyama, *Least-squares estimation of transformation parameters between two point patterns* (1991), in the plane:
    with points as complex numbers, relative to their means, the turn and scale is sum(conj(p) t) / sum(conj(p) p).
    Written so, it cannot mirror.

    Args:
        points, targets: ``(N, 2)``, in the same order.

    Returns:
        ``(2, 3)``: x' = a x - b y + c, y' = b x + a y + d, as ``[[a, -b, c], [b, a, d]]``.

    Raises:
        InputError: Not the same number of points, not finite (or above 10^6), all at one place, or explaining less than
            :data:`LEAST_FIT` of the targets' spread: then no turn and scale takes them anywhere near.
    """
    source, target = _complex(points), _complex(targets)
    if source.shape != target.shape or source.size < 2:
        raise InputError(f"{source.size} points for {target.size} targets; there must be as many, at least 2")
    middle, aim = source.mean(), target.mean()
    source, target = source - middle, target - aim
    spread, wanted = (float(np.vdot(one, one).real) for one in (source, target))
    if min(spread, wanted) <= 1e-6:
        raise InputError("the points of the face fall together")
    product = np.vdot(source, target)
    if abs(product) ** 2 < LEAST_FIT * spread * wanted:
        raise InputError("the points of the face lie as no face's do; are left and right exchanged?")
    turn = product / spread
    shift = aim - turn * middle
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _complex(points: ArrayLike) -> NDArray[np.complex128]:
    try:
        values = np.asarray(points, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"points must be pairs of numbers: {error}") from error
    if values.ndim != 2 or values.shape[1] != 2:
        raise InputError(f"points must be pairs of numbers, not of shape {values.shape}")
    if not (np.abs(values) <= _FARTHEST).all():  # NaN, too
        raise InputError("the points of the face are not finite, or further away than any picture is wide")
    return values[:, 0] + 1j * values[:, 1]


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    back = np.linalg.inv(matrix[:, :2])
    return np.column_stack([back, -back @ matrix[:, 2]])


def _region(image: Image, inverse: NDArray[np.float64], side: int) -> tuple[Image, NDArray[np.float64]]:
    """The part of the frame that the square shows, and where it begins: OpenCV warps no picture above 32,767 pixels."""
    corners = np.array([(x, y, 1.0) for x in (0, side) for y in (0, side)]) @ inverse.T
    limits = np.array([image.shape[1], image.shape[0]])
    first = np.clip(np.floor(corners.min(axis=0)) - 2, 0, limits - 1).astype(int)
    last = np.clip(np.ceil(corners.max(axis=0)) + 2, first + 1, limits).astype(int)
    return image[first[1] : last[1], first[0] : last[0]], first.astype(np.float64)
