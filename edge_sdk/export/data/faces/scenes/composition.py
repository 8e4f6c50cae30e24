"""A batch of planned scenes as pixels, by PyTorch on a CPU or a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray

from edge_sdk.export.data.faces.scenes import plan
from edge_sdk.export.data.faces.scenes.light import BatchChance, photographed, texture
from edge_sdk.export.data.faces.scenes.pastes import HEIGHT, WIDTH, Layer, Pictures
from edge_sdk.export.data.faces.scenes.plan import Plan

LEVELS = 4
SIDES = ((32, 32), (64, 64), (HEIGHT, WIDTH))
"""Rows and columns of a scene in which a paste is computed: the smallest that hold it."""


class Composer:
    """Renders scenes of these pictures.

    Args:
        device: Where the pictures are kept, and scenes are rendered.
    """

    def __init__(self, pictures: Pictures, device: torch.device) -> None:
        self.pictures, self.device = pictures, device
        images = torch.from_numpy(pictures.images).to(device)
        self.halved = [images]
        for _ in range(1, LEVELS):
            parts = [F.avg_pool2d(part.float(), 2).round().to(torch.uint8) for part in self.halved[-1].split(1024)]
            self.halved.append(torch.cat(parts))
        rows, columns = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
        self.pixels = torch.stack([columns, rows, torch.ones_like(rows)]).flatten(1).to(device)
        self.size = torch.tensor([WIDTH, HEIGHT], dtype=torch.float32, device=device).view(1, 2, 1)

    def draw(self, chances: NDArray[np.float64], count: int, rng: np.random.Generator) -> tuple[torch.Tensor, Plan]:
        """``count`` scenes ``(count, 1, HEIGHT, WIDTH)`` in [0, 1], in steps of 1/255, and what is in them."""
        planned = plan.draw(self.pictures, chances, count, rng)
        return self.render(planned, int(rng.integers(2**62))), planned

    @torch.no_grad()
    def render(self, planned: Plan, seed: int) -> torch.Tensor:
        """The scenes of a plan; the seed is that of textures, light and noise."""
        chance = BatchChance(seed, self.device)
        scenes = texture(len(planned.active), HEIGHT, WIDTH, chance)
        for layer in planned.layers:
            self.paste(scenes, layer)
        shown = photographed(scenes, chance)
        left, top, right, bottom = self._tensor(planned.active).T[..., None]
        x, y = self.pixels[0], self.pixels[1]
        inside = (x > left) & (x < right) & (y > top) & (y < bottom)
        scaled = (shown.round() / 255) * inside.view(-1, HEIGHT, WIDTH)
        return scaled[:, None].contiguous(memory_format=torch.channels_last)

    def paste(self, scenes: torch.Tensor, layer: Layer) -> None:
        """Change scenes ``(B, HEIGHT, WIDTH)``, 0 to 255, by a layer."""
        start, size = _regions(layer)
        for level in range(LEVELS):
            for side in SIDES:
                chosen = np.flatnonzero((layer.level == level) & (size == side[0]))
                if len(chosen):
                    self._paste(scenes, layer.of(chosen), start[chosen], level=level, side=side)

    def _paste(
        self, scenes: torch.Tensor, layer: Layer, start: NDArray[np.int64], *, level: int, side: tuple[int, int]
    ) -> None:
        """Pastes of one level whose regions, of ``side``, begin at ``start`` ``(M, 2)``, column and row."""
        matrix, clamp, window, ellipse, feather, gain, bias = (
            self._tensor(part)
            for part in (
                layer.matrix, layer.clamp, layer.window, layer.ellipse, layer.feather, layer.gain, layer.bias
            )
        )  # fmt: skip
        columns = torch.arange(side[1], device=self.device) + self._tensor(start[:, :1])
        rows = torch.arange(side[0], device=self.device) + self._tensor(start[:, 1:])
        shape = (len(start), *side)
        x, y = columns[:, None, :].expand(shape) + 0.5, rows[:, :, None].expand(shape) + 0.5
        pixels = torch.stack([x, y, torch.ones_like(x)], 1).flatten(2)
        at = matrix @ pixels  # (M, 2, pixels): where in the picture each pixel of the scene is
        scale = torch.linalg.det(matrix[:, :, :2]).abs().rsqrt()[:, None]  # the scene's pixels in one of the picture
        edge = torch.minimum(at - window[:, :2, None], window[:, 2:, None] - at).amin(1)
        radius = ((at - ellipse[:, :2, None]) / ellipse[:, 2:, None]).square().sum(1).sqrt()
        edge = torch.minimum(edge, (1 - radius) * ellipse[:, 2:].amin(1)[:, None])
        opacity = ((edge * scale + 0.5) / feather[:, None]).clamp(0, 1).view(shape)
        margin = 0.75 * 2**level
        low, high = clamp[:, :2, None] + margin, clamp[:, 2:, None] - margin
        at = torch.maximum(torch.minimum(at, torch.maximum(high, low)), low)
        grid = (2 * at / self.size - 1).transpose(1, 2).view(*shape, 2)
        source = torch.from_numpy(layer.source).to(self.device)
        found = F.grid_sample(self.halved[level][source].float(), grid, padding_mode="border", align_corners=False)
        found = (found[:, 0] - 128) * gain[:, None, None] + 128 + bias[:, None, None]
        scene = torch.from_numpy(layer.scene).to(self.device)[:, None, None]
        place = (scene, rows.long()[:, :, None], columns.long()[:, None, :])
        before = scenes[place]
        scenes[place] = before + opacity * (found - before)

    def _tensor(self, values: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)


def _regions(layer: Layer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each paste's region begins, column and row ``(M, 2)``, and its rows: the first of SIDES that holds it."""
    corners = np.stack(
        [layer.window[:, [0, 1]], layer.window[:, [2, 1]], layer.window[:, [2, 3]], layer.window[:, [0, 3]]], 1
    )
    inverse = np.linalg.inv(layer.matrix[:, :, :2])
    moved = np.einsum("nij,npj->npi", inverse, corners - layer.matrix[:, None, :, 2])
    limit = np.array([WIDTH, HEIGHT])
    low, high = np.clip(np.floor(moved.min(1)) - 1, 0, limit), np.clip(np.ceil(moved.max(1)) + 1, 0, limit)
    needed = (high - low).max(1)
    size = np.full(len(needed), HEIGHT)
    for rows, _ in reversed(SIDES[:-1]):
        size[needed <= rows] = rows
    start = np.minimum(low, limit - size[:, None]) * (size < HEIGHT)[:, None]
    return start.astype(np.int64), size.astype(np.int64)
