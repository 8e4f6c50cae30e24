"""Views of aligned faces, changed in batches on the device that trains.

The amounts are ours. Positions vary as the points of a face locator do; light and tones as between cameras, among them
near-infrared ones, on which skin and hair have other shades than in visible light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from edge_sdk.errors import UsageError

LAMPS = 4
"""Nodes a side of the grid that the light of a view is interpolated from."""
DARKEST = 1 / 255


@dataclass(frozen=True)
class FaceViews:
    """Views of gray aligned faces (:class:`edge_sdk.export.data.batch_augmentation.BatchAugmentation`).

    Amounts of views are standard deviations of normal distributions, shares are of the pictures.

    Attributes:
        border: Pixels beyond each side that a view may show.
        rotation: Degrees.
        zoom: Logarithm of the scale.
        shift: Pixels, along each axis.
        flip: Share of mirrored views.
        cut: Share of views that show a face at the edges of a frame, beyond which these are repeated.
        seen: Least share of a device's square that lies inside such a frame, along each half axis.
        light: Logarithm of the light at a place, which changes slowly from place to place.
        gamma: Of the tone curve, as a power of 2.
        exposure: Logarithm, base 2, of the brightness of the whole view.
        black: Largest level that black is raised to, as in haze, of 1.
        coarse: By how much the resolution of a share of the degraded views is reduced, as (factor, share).
        blur: Largest standard deviation in pixels, and the share of views that are blurred.
        noise: Largest standard deviation, of 1, and the share of views that are noisy.
        cover: Share of views of which a rectangle is covered, with ``covered`` of the side at most.
    """

    border: int = 16
    rotation: float = 4.0
    zoom: float = 0.05
    shift: float = 2.0
    flip: float = 0.5
    cut: float = 0.4
    seen: float = 0.75
    light: float = 0.2
    gamma: float = 0.3
    exposure: float = 0.25
    black: float = 0.15
    coarse: tuple[tuple[float, float], ...] = ((1.6, 0.08), (2.3, 0.08), (3.2, 0.06))
    blur: tuple[float, float] = (1.6, 0.2)
    noise: tuple[float, float] = (0.06, 0.4)
    cover: float = 0.2
    covered: float = 0.5

    def __post_init__(self) -> None:
        shares = (
            self.flip,
            self.cut,
            self.seen,
            self.cover,
            self.blur[1],
            self.noise[1],
            sum(share for _, share in self.coarse),
        )
        if self.border < 0 or not all(0 <= share <= 1 for share in shares):
            raise UsageError(f"a border is at least 0 pixels, and a share is from 0 to 1; not {self}")

    def view(self, pictures: torch.Tensor) -> torch.Tensor:
        """See :class:`~edge_sdk.export.data.batch_augmentation.BatchAugmentation`."""
        return self._lit(self._placed(pictures.float() / 255))

    def degrade(self, views: torch.Tensor) -> torch.Tensor:
        """See :class:`~edge_sdk.export.data.batch_augmentation.BatchAugmentation`."""
        return self._covered(self._noisy(self._blurred(self._coarsened(views.clone())))).clamp(0, 1)

    def _placed(self, pictures: torch.Tensor) -> torch.Tensor:
        """Turn, scale, move and mirror about the middle, and cut off the border."""
        count, channels, height, width = pictures.shape
        drawn = torch.randn(4, count, device=pictures.device)
        angle, scale = drawn[0] * math.radians(self.rotation), torch.exp(drawn[1] * self.zoom)
        mirror = torch.where(torch.rand(count, device=pictures.device) < self.flip, -1.0, 1.0)
        cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
        # Positions are in units of half a side of the bordered picture.
        high, wide = height - 2 * self.border, width - 2 * self.border
        x_share, y_share, ratio = wide / width, high / height, height / width
        moved_x, moved_y = drawn[2] * self.shift * 2 / width, drawn[3] * self.shift * 2 / height
        rows = (
            torch.stack([mirror * cos * x_share, -sin * y_share * ratio, moved_x], 1),
            torch.stack([mirror * sin * x_share / ratio, cos * y_share, moved_y], 1),
        )
        grid = functional.affine_grid(torch.stack(rows, 1), [count, channels, high, wide], align_corners=False)
        return functional.grid_sample(
            pictures, self._cut(grid, x_share, y_share), mode="bilinear", padding_mode="border", align_corners=False
        )

    def _cut(self, grid: torch.Tensor, x_share: float, y_share: float) -> torch.Tensor:
        """Keep positions ``(B, H, W, 2)`` inside a frame that ends somewhere round the face."""
        drawn = torch.rand(5, len(grid), 1, 1, device=grid.device)
        reach = self.seen + drawn[:4] * (1 - self.seen)  # of half a device's square
        reach = torch.where(drawn[4] < self.cut, reach, torch.inf)
        x = torch.minimum(torch.maximum(grid[..., 0], -reach[0] * x_share), reach[1] * x_share)
        y = torch.minimum(torch.maximum(grid[..., 1], -reach[2] * y_share), reach[3] * y_share)
        return torch.stack([x, y], dim=-1)

    def _lit(self, views: torch.Tensor) -> torch.Tensor:
        """Under another light, by another tone curve."""
        count, _, height, width = views.shape
        lamps = torch.randn(count, 1, LAMPS, LAMPS, device=views.device) * self.light
        light = functional.interpolate(lamps, (height, width), mode="bilinear", align_corners=True)
        drawn = torch.randn(2, count, 1, 1, 1, device=views.device)
        light = light + drawn[0] * self.exposure * math.log(2)
        lit = (views.clamp(min=DARKEST) * torch.exp(light)).clamp(max=1) ** (2 ** (drawn[1] * self.gamma))
        black = torch.rand(count, 1, 1, 1, device=views.device) * self.black
        return (black + (1 - black) * lit).clamp(0, 1)

    def _coarsened(self, views: torch.Tensor) -> torch.Tensor:
        size = views.shape[-2:]
        order = torch.randperm(len(views), device=views.device)
        start = 0
        for factor, share in self.coarse:
            chosen = order[start : start + round(share * len(views))]
            start += len(chosen)
            if len(chosen):
                smaller = (max(1, round(size[0] / factor)), max(1, round(size[1] / factor)))
                small = functional.interpolate(views[chosen], smaller, mode="area")
                views[chosen] = functional.interpolate(small, size, mode="bilinear", align_corners=False)
        return views

    def _blurred(self, views: torch.Tensor) -> torch.Tensor:
        largest, share = self.blur
        chosen = torch.randperm(len(views), device=views.device)[: round(share * len(views))]
        if len(chosen) and largest:
            reach = math.ceil(2.5 * largest)
            sigma = (torch.rand(len(chosen), 1, device=views.device) * largest).clamp(min=0.05)
            place = torch.arange(-reach, reach + 1, device=views.device)
            kernel = torch.softmax(-(place**2) / (2 * sigma**2), dim=1)
            views[chosen] = _filtered(_filtered(views[chosen], kernel, 2, reach), kernel, 3, reach)
        return views

    def _noisy(self, views: torch.Tensor) -> torch.Tensor:
        largest, share = self.noise
        drawn = torch.rand(2, len(views), 1, 1, 1, device=views.device)
        return views + torch.randn_like(views) * (drawn[0] * largest * (drawn[1] < share))

    def _covered(self, views: torch.Tensor) -> torch.Tensor:
        count, _, height, width = views.shape
        drawn = torch.rand(6, count, 1, 1, 1, device=views.device)
        down = (torch.arange(height, device=views.device).view(1, 1, -1, 1) + 0.5) / height
        across = (torch.arange(width, device=views.device).view(1, 1, 1, -1) + 0.5) / width
        inside = ((down - drawn[0]).abs() < drawn[1] * self.covered / 2) & (
            (across - drawn[2]).abs() < drawn[3] * self.covered / 2
        )
        return torch.where(inside & (drawn[4] < self.cover), drawn[5], views)


def _filtered(views: torch.Tensor, kernel: torch.Tensor, axis: int, reach: int) -> torch.Tensor:
    """Each view by its own kernel ``(B, 2 reach + 1)`` along an axis, the border repeated."""
    pad = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
    padded = functional.pad(views, pad, mode="replicate")
    length = views.shape[axis]
    taps = enumerate(kernel.T.reshape(-1, len(views), 1, 1, 1))
    return torch.stack([tap * padded.narrow(axis, start, length) for start, tap in taps]).sum(0)
