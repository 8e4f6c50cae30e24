"""Learning where faces are: which cell of which map answers for a face, and what it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

NOBODY, FACE, UNCLEAR = 0, 1, 2


@dataclass(frozen=True)
class LevelRange:
    """The faces of one map.

    Attributes:
        stride: Pixels of the input in a cell.
        smallest, largest: Side of the faces' boxes, in pixels of the input.
    """

    stride: int
    smallest: float
    largest: float


@dataclass(frozen=True, eq=False)
class Assigned:
    """What the cells of one map are asked for.

    Attributes:
        confidence: ``(B, rows, columns)``: 1 a face, 0 none, -1 not asked.
        geometry: ``(B, 14, rows, columns)``: of the face where there is one, as the network gives it.
        side: ``(B, rows, columns)``: of that face's box, in strides.
    """

    confidence: torch.Tensor
    geometry: torch.Tensor
    side: torch.Tensor


CORE = 0.2
"""Cells whose centre is this near a box's centre, in its sides, answer for the face; the nearest cell always does."""
RIM = 0.42
"""Cells further out, up to here, are not asked: what they see is no proof against a face."""

REACH = 5.5
"""Geometry beyond this many strides costs something in all cells, lest those without a face widen the range of int8."""


def assign(
    level: LevelRange, size: tuple[int, int], state: torch.Tensor, boxes: torch.Tensor, points: torch.Tensor
) -> Assigned:
    """The targets of one map; where two faces want a cell, the smaller gets it.

    Args:
        size: Rows and columns of the map.
        state: ``(B, K)`` of NOBODY, FACE and UNCLEAR.
        boxes: ``(B, K, 4)``.
        points: ``(B, K, 5, 2)``.
    """
    stride, device = level.stride, boxes.device
    rows, columns = size
    x = (torch.arange(columns, device=device) + 0.5) * stride
    y = (torch.arange(rows, device=device) + 0.5) * stride
    cell = torch.stack([x[None].expand(rows, -1), y[:, None].expand(-1, columns)], -1).view(1, 1, -1, 2)
    middle = (boxes[..., :2] + boxes[..., 2:])[:, :, None] / 2
    side = (boxes[..., 2] - boxes[..., 0])[:, :, None].clamp(min=1e-3)
    away = (cell - middle).abs().amax(-1)  # (B, K, cells)
    ours = (state == FACE)[..., None] & (side >= level.smallest) & (side < level.largest)
    core = ours & ((away < CORE * side) | (away <= stride / 2))
    rim = (state > NOBODY)[..., None] & (away < torch.maximum(RIM * side, torch.full_like(side, 0.75 * stride)))
    order = torch.where(core, side.expand_as(away), torch.inf)
    chosen = order.argmin(1)  # (B, cells)
    positive, unasked = core.any(1), rim.any(1)
    confidence = torch.where(positive, 1.0, torch.where(unasked, -1.0, 0.0))
    each = torch.arange(len(boxes), device=device)[:, None]
    box, shape = boxes[each, chosen], points[each, chosen].flatten(2)
    at = cell[0].expand(len(boxes), -1, -1)
    edges = torch.cat([at - box[..., :2], box[..., 2:] - at], -1)
    geometry = torch.cat([edges, shape - at.repeat(1, 1, 5)], -1) / stride
    return Assigned(
        confidence.view(-1, rows, columns),
        geometry.transpose(1, 2).reshape(-1, 14, rows, columns),
        (side[each, chosen, 0] / stride).view(-1, rows, columns),
    )


def location_loss(
    maps: Sequence[tuple[torch.Tensor, torch.Tensor]],
    targets: Sequence[Assigned],
    *,
    box: float = 4.0,
    points: float = 8.0,
    focus: float = 2.0,
) -> torch.Tensor:
    """Focal loss of the confidences and distances of boxes and points, a mean over the cells that answer for faces.

    Distances are shares of the face's side, so that faces of all sizes count alike.

    Args:
        maps: Of each level, logits ``(B, 1, rows, columns)`` and geometry ``(B, 14, rows, columns)``.
        box, points: Weights of the mean distances.
        focus: Exponent of the focal loss (Lin et al., 2017, "Focal Loss for Dense Object Detection", equation 4).
    """
    total, count = torch.zeros((), device=maps[0][0].device), torch.zeros((), device=maps[0][0].device)
    for (logits, geometry), wanted in zip(maps, targets, strict=True):
        logit, asked = logits[:, 0].float(), wanted.confidence >= 0
        face = (wanted.confidence > 0).float()
        plain = F.binary_cross_entropy_with_logits(logit, face, reduction="none")
        missed = torch.where(face > 0, 1 - logit.sigmoid(), logit.sigmoid())
        focal = (plain * missed**focus * asked).sum()
        off = (geometry.float() - wanted.geometry) / wanted.side[:, None]
        far = F.smooth_l1_loss(off, torch.zeros_like(off), beta=0.01, reduction="none") * face[:, None]
        wide = F.relu(geometry.float().abs() - REACH).mean(1).sum()
        total = total + wide + focal + box * far[:, :4].mean(1).sum() + points * far[:, 4:].mean(1).sum()
        count = count + face.sum()
    return total / count.clamp(min=1)
