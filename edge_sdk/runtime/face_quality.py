"""Is a face fit to be compared? Cheap measures of its picture, before the network sees it.

=================  ============================================================  ===============================
flag               what was found                                                quality measure, ISO/IEC 29794-5
=================  ============================================================  ===============================
``no_face``        no face, or five points that lie as no face's do
``several_faces``  two faces or more, none clearly the largest                   single face present
``other_faces``    others, clearly smaller than the one that counts              single face present
``too_small``      few pixels between the eyes, or a picture of under 32         inter-eye distance
``too_dark``       the frame or the face (:mod:`edge_sdk.runtime.frames`)        under-exposure prevention
``overexposed``    likewise                                                      over-exposure prevention
``flat``           likewise                                                      dynamic range
``tilted``         turned in the picture's plane, or upside down                 head pose, roll
``cut_off``        one of the five points lies outside the picture               cropping of the face image
``turned_away``    to the side, up or down                                       head pose, yaw and pitch
``blurred``        out of focus, moved, or enlarged from few pixels              sharpness
=================  ============================================================  ===============================

Flags *block*: such a picture is never accepted and cannot be enrolled. Some only forbid to *enrol* and warn otherwise:
``other_faces``, ``turned_away``, and ``too_small`` and ``blurred`` up to a harder limit. A worse picture lowers the
score of the right person, whereas a bad reference spoils every comparison to come. The harder limits are there because
two bad pictures of *different* people come to look alike: blur is something they have in common.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edge_sdk.errors import InputError
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image, ToGray
from edge_sdk.preprocess.align import FaceAlignment, similarity
from edge_sdk.preprocess.step import resized
from edge_sdk.runtime import frames

FLAGS = (
    "no_face", "several_faces", "other_faces", "too_small", "too_dark", "overexposed", "flat", "tilted", "cut_off",
    "turned_away", "blurred",
)  # fmt: skip


@dataclass(frozen=True)
class Limit:
    """Below ``block`` a measure blocks, below ``enroll`` it forbids to enrol."""

    block: float
    enroll: float


EYES = Limit(block=16.0, enroll=24.0)  # pixels of the frame
SHARPNESS = Limit(block=0.08, enroll=0.1)
MAX_YAW = 0.25
MIN_PITCH, MIDDLE_PITCH, MAX_PITCH = 0.4, 0.55, 0.7
MAX_ROLL = 60.0  # degrees

_SIDE = 112
_FACE = slice(28, 104), slice(24, 88)  # brow to chin of an aligned face, of 112 x 112


@dataclass(frozen=True)
class Geometry:
    """How a face lies in its frame, from its five points.

    The axis of the face goes from the middle of the eyes to the middle of the mouth; its length is the unit of `yaw`
    and `pitch`, which grow with the angles without being any.

    Attributes:
        eyes: Distance of the eyes of a face of this size that looks into the camera, in pixels of the frame.
        yaw: How far the tip of the nose is beside the axis: 0 from the front, positive to the right of the picture.
        pitch: How far down the axis it is: about a half from the front, less with the head raised.
        roll: Angle of the axis to the vertical, in degrees from -180 to 180; 0 is upright.
        inside: Whether all five points lie in the frame.
    """

    eyes: float
    yaw: float
    pitch: float
    roll: float
    inside: bool

    @property
    def away(self) -> float:
        """How far the face is turned, up to 1 within the limits: the larger of `yaw` and `pitch`, relative to them."""
        span = MAX_PITCH - MIDDLE_PITCH if self.pitch > MIDDLE_PITCH else MIDDLE_PITCH - MIN_PITCH
        return max(abs(self.yaw) / MAX_YAW, abs(self.pitch - MIDDLE_PITCH) / span)

    @classmethod
    def of(cls, points: ArrayLike, alignment: FaceAlignment, shape: tuple[int, ...]) -> Geometry:
        """Measure.

        Args:
            points: ``(5, 2)``, in the order of :attr:`edge_sdk.preprocess.crop.LocatedFace.points`.
            alignment: Whose template says how far apart eyes are.
            shape: ``(height, width, ...)`` of the frame.

        Raises:
            InputError: The points lie as no face's do.
        """
        matrix = similarity(points, alignment.points)
        scale = math.hypot(matrix[0, 0], matrix[1, 0])
        apart = float(np.hypot(*(alignment.points[1] - alignment.points[0])))
        at = np.asarray(points, np.float64)
        eyes, mouth = at[:2].mean(axis=0), at[3:].mean(axis=0)
        length = float(np.hypot(*(mouth - eyes)))
        if length < 1e-6:
            raise InputError("the eyes and the mouth of the face fall together")
        down, nose = (mouth - eyes) / length, (at[2] - eyes) / length
        return cls(
            eyes=apart / scale,
            yaw=float(nose @ (down[1], -down[0])),
            pitch=float(nose @ down),
            roll=math.degrees(math.atan2(-down[0], down[1])),
            inside=bool((at >= 0).all() and (at <= (shape[1], shape[0])).all()),
        )


@dataclass(frozen=True)
class Assessment:
    """What is wrong with a face's picture, and in ``quality``, in [0, 1], how well suited it is beside others."""

    flags: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()
    not_enrolled: tuple[str, ...] = ()
    quality: float = 1.0

    @classmethod
    def of(cls, raised: Mapping[str, bool], quality: float = 1.0) -> Assessment:
        """Of flags, and whether each blocks or only forbids to enrol."""
        flags = tuple(flag for flag in FLAGS if flag in raised)
        return cls(
            flags,
            tuple(flag for flag in flags if raised[flag]),
            tuple(flag for flag in flags if not raised[flag]),
            quality,
        )


def assess(face: Image, geometry: Geometry | None = None, *, aligned: bool = True, others: bool = False) -> Assessment:
    """Assess a face that was cut out of a frame.

    Args:
        face: ``uint8 (S, S)`` or ``(S, S, C)``.
        geometry: How it lay in its frame; None where nobody knows.
        aligned: Whether a :class:`FaceAlignment` cut it out; sharpness is measured in no other face.
        others: Whether clearly smaller faces are beside it.
    """
    raised = dict.fromkeys(frames.assess(face), True) | ({"other_faces": False} if others else {})
    quality = 1.0
    if aligned:
        sharp = sharpness(face)
        raised |= _below("blurred", sharp, SHARPNESS)
        quality *= min(1.0, sharp / (2 * SHARPNESS.enroll))
    if geometry is not None:
        raised |= _below("too_small", geometry.eyes, EYES)
        raised |= {"turned_away": False} if geometry.away > 1 else {}
        raised |= {"tilted": True} if abs(geometry.roll) > MAX_ROLL else {}
        raised |= {} if geometry.inside else {"cut_off": True}
        quality *= min(1.0, geometry.eyes / (2 * EYES.enroll)) / (1 + geometry.away**2)
    return Assessment.of(raised, quality)


def sharpness(face: Image) -> float:
    """Fine detail of an aligned face, relative to its contrast: 0 is none.

    The standard deviation, from brow to chin, of what a Gaussian blur of 1.5 pixels of 112 takes away, divided by that
    of the levels themselves.
    """
    gray = ToGray()(face)
    gray = gray if gray.shape == (_SIDE, _SIDE) else resized(gray, _SIDE, _SIDE)
    levels = gray[_FACE].astype(np.float32)
    fine = levels - cv2.GaussianBlur(levels, (0, 0), 1.5)
    return float(fine.std() / max(float(levels.std()), 1.0))


def _below(flag: str, measure: float, limit: Limit) -> dict[str, bool]:
    return {flag: measure < limit.block} if measure < limit.enroll else {}
