"""Where faces are: a confidence, a box and five points for each cell of one or several grids over the picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ScoreError
from edge_sdk.schema import Dimension, Name, Strict, require
from edge_sdk.scoring.base import DIGITS, Array, ModelInterface, Range, Rename, Role, Score, Task, Tensors
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

if TYPE_CHECKING:
    from typing_extensions import Self

GEOMETRY = 14
"""Channels: the distances to a box's four edges, then x and y of five points."""
MOST = 200
"""Cells that are looked at, the surest first, so that no picture takes longer than another."""


class Candidates(msgspec.Struct, frozen=True, eq=False):
    """Faces in one picture, the surest first, in pixels of the network's input (pixel k reaches from k to k + 1).

    Attributes:
        boxes: ``float64 (K, 4)``: left, top, right and bottom edge.
        points: ``float64 (K, 5, 2)``: x and y, in the order of :class:`edge_sdk.preprocess.crop.LocatedFace`.
        confidences: ``float64 (K,)`` in [0, 1].
    """

    boxes: Array
    points: Array
    confidences: Array


class FaceLevel(Strict, frozen=True, kw_only=True):
    """One grid: ``confidence`` (batch, 1, H, W) are logits, ``geometry`` (batch, 14, H, W) distances in ``stride``.

    The cell in row i and column j has its centre at ``((j + 0.5) * stride, (i + 0.5) * stride)``. Channels 0 to 3 are
    the distances from there to the box's left, top, right and bottom edge; 4 to 13 the way from there to the points.
    """

    stride: Annotated[int, msgspec.Meta(ge=1, le=256)]
    confidence: Name
    geometry: Name

    def size(self, interface: ModelInterface) -> tuple[Dimension, ...]:
        """Height and width of the picture that the grid covers; ManifestError where the outputs are no such grid."""
        confidence = interface.output(self.confidence, "logit")
        geometry = interface.output(self.geometry, "geometry")
        grid = confidence[2:]
        fits = len(grid) == 2 and confidence[1] == 1 and geometry[1:] == (GEOMETRY, *grid)
        require(fits, f"{self.confidence} {confidence} and {self.geometry} {geometry} are no grid of faces")
        sides = tuple(side * self.stride for side in grid if isinstance(side, int))
        require(len(sides) == 2, f"the grid of {self.confidence} has no fixed size")
        return sides


class FaceBoxes(Score, frozen=True, kw_only=True, tag="face_boxes"):
    """Faces from grids; the score of a picture is the confidence of its surest cell.

    A cell shows a face if its confidence, the sigmoid of its logit, is at least the threshold. Of boxes that overlap by
    more than ``overlap`` (intersection over union) the surest stays. Its box and points are the mean, weighted by
    confidence, of its own and those of the boxes that it replaces, as far as they are at least ``blend`` times as sure:
    several cells see each face, and their errors differ (BlazeFace: Bazarevsky et al., 2019, section 3.4).
    """

    tasks: ClassVar[tuple[Task, ...]] = ("locate",)

    levels: Annotated[tuple[FaceLevel, ...], msgspec.Meta(max_length=8)]
    overlap: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.4
    blend: Annotated[float, msgspec.Meta(ge=0.1, le=1)] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.levels) > 0, "faces are found in at least one level")
        require(len(set(self.roles)) == 2 * len(self.levels), "an output belongs to one level, and has one meaning")

    @property
    def range(self) -> Range:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return 0.0, 1.0

    @property
    def roles(self) -> Mapping[str, Role]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        roles: dict[str, Role] = {}
        for level in self.levels:
            roles |= {level.confidence: "logit", level.geometry: "geometry"}
        return roles

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del task
        sizes = {level.size(interface) for level in self.levels}
        require(len(sizes) == 1, f"the levels cover pictures of different sizes: {sorted(map(str, sizes))}")

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del files
        levels = tuple(
            msgspec.structs.replace(one, confidence=tensors(one.confidence), geometry=tensors(one.geometry))
            for one in self.levels
        )
        return msgspec.structs.replace(self, levels=levels)

    def candidates(self, tensors: Tensors, threshold: float) -> Candidates:
        """The faces of one picture.

        Args:
            tensors: By name, the outputs, ``(1, ...)`` each.
            threshold: The least confidence.

        Raises:
            ScoreError: An output is missing, of a wrong shape or not finite.
        """
        # Cells that are less sure than the threshold still have a say in the boxes of those that are surer, so that a
        # face lies where it lies whatever the threshold.
        found = [self._cells(level, tensors, threshold * self.blend) for level in self.levels]
        confidences = np.concatenate([confidence for confidence, _ in found])
        order = np.argsort(-confidences, kind="stable")[:MOST]
        confidences, shapes = confidences[order], np.concatenate([shape for _, shape in found])[order]
        groups = [group for group in grouped(shapes[:, :4], self.overlap) if confidences[group[0]] >= threshold]
        blended = np.empty((len(groups), GEOMETRY))
        for row, group in enumerate(groups):
            used = group[confidences[group] >= self.blend * confidences[group[0]]]
            weights = np.maximum(confidences[used], np.finfo(float).tiny)
            blended[row] = weights @ shapes[used] / weights.sum()
        surest = np.array([confidences[group[0]] for group in groups])
        return Candidates(blended[:, :4], blended[:, 4:].reshape(-1, 5, 2), surest)

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        del densities
        best = [_finite(tensors, level.confidence, 1).max(axis=(1, 2, 3)) for level in self.levels]
        return _confidence(np.max(best, axis=0))

    def _cells(self, level: FaceLevel, tensors: Tensors, threshold: float) -> tuple[Array, Array]:
        """Confidence ``(K,)``, and box and points ``(K, 14)``, of the cells whose box holds something."""
        confidence = _confidence(_finite(tensors, level.confidence, 1)[0, 0])
        geometry = _finite(tensors, level.geometry, GEOMETRY)[0]
        if geometry.shape[1:] != confidence.shape:
            raise ScoreError(f"{level.geometry} {geometry.shape} is no grid of {level.confidence} {confidence.shape}")
        rows, columns = np.nonzero(confidence >= threshold)
        centre = np.stack([columns + 0.5, rows + 0.5], axis=1) * level.stride
        shifts = geometry[:, rows, columns].T * level.stride
        shapes = np.concatenate(
            [centre - shifts[:, :2], centre + shifts[:, 2:4], np.tile(centre, 5) + shifts[:, 4:]], axis=1
        )
        whole = (shapes[:, 2:4] > shapes[:, :2]).all(axis=1)
        return confidence[rows, columns][whole], shapes[whole]


def grouped(boxes: Array, overlap: float) -> list[NDArray[np.intp]]:
    """Greedy non-maximum suppression of boxes ``(K, 4)``, the surest first.

    Returns:
        For each box that overlaps none before it that stays by more than ``overlap``: its index, then those of the
        boxes that it replaces.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    groups = []
    left = np.arange(len(boxes))
    while left.size:
        best = left[0]
        sides = np.minimum(boxes[left, 2:], boxes[best, 2:]) - np.maximum(boxes[left, :2], boxes[best, :2])
        common = sides.clip(min=0).prod(axis=1)
        same = common > overlap * (areas[left] + areas[best] - common)
        same[0] = True
        groups.append(left[same])
        left = left[~same]
    return groups


def _confidence(logits: Array) -> Array:
    with np.errstate(over="ignore"):  # exp of a large number is inf, and the confidence then 0
        confidence: Array = (1 / (1 + np.exp(-logits))).round(DIGITS)
    return confidence


def _finite(tensors: Tensors, name: str, channels: int) -> Array:
    if name not in tensors:
        raise ScoreError(f"the score needs {name}, which is not among {', '.join(sorted(tensors)) or 'no tensors'}")
    tensor = np.asarray(tensors[name], np.float64)
    if tensor.ndim != 4 or tensor.shape[1] != channels or not tensor.size:
        raise ScoreError(f"{name} is {tensor.shape}; it must be (N, {channels}, H, W)")
    if not np.isfinite(tensor).all():
        raise ScoreError(f"{name} is not finite")
    return tensor


def levels(strides: Sequence[int]) -> tuple[FaceLevel, ...]:
    """Levels whose outputs are called ``confidence8`` and ``geometry8``, by their strides."""
    return tuple(FaceLevel(stride=one, confidence=f"confidence{one}", geometry=f"geometry{one}") for one in strides)
