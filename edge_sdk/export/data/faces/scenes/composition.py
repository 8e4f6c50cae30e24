"""A batch of planned scenes as pixels, by PyTorch on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray

from edge_sdk.export.data.faces.scenes import plan
from edge_sdk.export.data.faces.scenes.light import BatchChance, photographed, texture
from edge_sdk.export.data.faces.scenes.pastes import HEIGHT, WIDTH, Layer, Pictures
from edge_sdk.export.data.faces.scenes.plan import Plan

ORIGINS = ((0, 0), (WIDTH, 0), (WIDTH, HEIGHT // 2), (WIDTH + WIDTH // 4, HEIGHT // 2))
"""Where a picture, and what is left of it after one, two and three halvings, lie side by side: column and row."""
ATLAS = (HEIGHT, WIDTH + WIDTH // 2)
SIDES = ((32, 32), (64, 64), (HEIGHT, WIDTH))
"""Rows and columns of a scene in which a paste is computed: the smallest that hold it."""


class Composer:
    """Renders scenes of these pictures.

    Args:
        device: Where the pictures are kept, and scenes are rendered. A CPU computes each paste in the part of the scene
            that it needs; a GPU does with one computation for each layer.
    """

    def __init__(self, pictures: Pictures, device: torch.device) -> None:
        self.pictures, self.device = pictures, device
        self.sides = SIDES if device.type == "cpu" else SIDES[-1:]
        self.atlas = torch.cat([_atlas(part) for part in torch.from_numpy(pictures.images).split(1024)]).to(device)
        self.origins = torch.tensor(ORIGINS, dtype=torch.float32, device=device)
        self.size = torch.tensor(ATLAS[::-1], dtype=torch.float32, device=device).view(1, 2, 1)

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
        left, top, right, bottom = self._tensor(planned.active).T[..., None, None]
        x = torch.arange(WIDTH, device=self.device)
        y = torch.arange(HEIGHT, device=self.device)[:, None]
        inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        scaled = (shown.round() / 255) * inside
        return scaled[:, None].contiguous(memory_format=torch.channels_last)

    def paste(self, scenes: torch.Tensor, layer: Layer) -> None:
        """Change scenes ``(B, HEIGHT, WIDTH)``, 0 to 255, by a layer."""
        start, size = _regions(layer, self.sides)
        for side in self.sides:
            chosen = np.flatnonzero(size == side[0])
            if len(chosen):
                self._paste(scenes, layer.of(chosen), start[chosen], side)

    def _paste(self, scenes: torch.Tensor, layer: Layer, start: NDArray[np.int64], side: tuple[int, int]) -> None:
        """Pastes whose regions, of ``side``, begin at ``start`` ``(M, 2)``, column and row."""
        count = len(start)
        columns = [layer.clamp, layer.window, layer.ellipse, layer.matrix.reshape(count, 6)]
        columns += [one[:, None] for one in (layer.feather, layer.gain, layer.bias)]
        clamp, window, ellipse, matrix, single = self._tensor(np.concatenate(columns, 1)).split((4, 4, 4, 6, 3), 1)
        matrix, (feather, gain, bias) = matrix.view(count, 2, 3), single.T[..., None]
        numbers = np.column_stack([layer.scene, layer.source, layer.level, start])
        scene, source, level, first_x, first_y = torch.from_numpy(numbers).to(self.device).T
        columns_, rows = (
            first[:, None] + torch.arange(length, device=self.device)
            for first, length in ((first_x, side[1]), (first_y, side[0]))
        )
        shape = (count, *side)
        x, y = (columns_[:, None, :] + 0.5).expand(shape), (rows[:, :, None] + 0.5).expand(shape)
        at = torch.stack([x, y], 1).flatten(2)
        at = matrix[:, :, :2] @ at + matrix[:, :, 2:]  # (M, 2, pixels): where in the picture the scene's pixels are
        turned = matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]
        scale = turned.abs().rsqrt()[:, None]  # the scene's pixels in one of the picture
        edge = torch.minimum(at - window[:, :2, None], window[:, 2:, None] - at).amin(1)
        radius = ((at - ellipse[:, :2, None]) / ellipse[:, 2:, None]).square().sum(1).sqrt()
        edge = torch.minimum(edge, (1 - radius) * ellipse[:, 2:].amin(1)[:, None])
        opacity = ((edge * scale + 0.5) / feather).clamp(0, 1).view(shape)
        halved = 0.5 ** level[:, None, None]
        low, high = clamp[:, :2, None] + 0.75 / halved, clamp[:, 2:, None] - 0.75 / halved
        at = torch.maximum(torch.minimum(at, torch.maximum(high, low)), low)
        at = at * halved + self.origins[level][:, :, None]
        grid = (2 * at / self.size - 1).transpose(1, 2).view(*shape, 2)
        found = F.grid_sample(self.atlas[source].float(), grid, padding_mode="border", align_corners=False)[:, 0]
        found = (found - 128) * gain[:, None] + (128 + bias[:, None])
        place = (scene[:, None, None], rows[:, :, None], columns_[:, None, :])
        before = scenes[place]
        scenes[place] = before + opacity * (found - before)

    def _tensor(self, values: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)


def _atlas(images: torch.Tensor) -> torch.Tensor:
    """``uint8 (N, 1, *ATLAS)`` of ``(N, 1, HEIGHT, WIDTH)``: the pictures and what halving them leaves."""
    made = images.new_zeros((len(images), 1, *ATLAS))
    for column, row in ORIGINS:
        height, width = images.shape[2:]
        made[:, :, row : row + height, column : column + width] = images
        images = F.avg_pool2d(images.float(), 2).round().to(torch.uint8)
    return made


def _regions(layer: Layer, sides: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each paste begins, column and row ``(M, 2)``, and its rows: of the first of ``sides`` to hold it."""
    corners = np.stack(
        [layer.window[:, [0, 1]], layer.window[:, [2, 1]], layer.window[:, [2, 3]], layer.window[:, [0, 3]]], 1
    )
    inverse = np.linalg.inv(layer.matrix[:, :, :2])
    moved = np.einsum("nij,npj->npi", inverse, corners - layer.matrix[:, None, :, 2])
    limit = np.array([WIDTH, HEIGHT])
    low, high = np.clip(np.floor(moved.min(1)) - 1, 0, limit), np.clip(np.ceil(moved.max(1)) + 1, 0, limit)
    needed = (high - low).max(1)
    size = np.full(len(needed), HEIGHT)
    for rows, _ in reversed(sides[:-1]):
        size[needed <= rows] = rows
    start = np.minimum(low, limit - size[:, None]) * (size < HEIGHT)[:, None]
    return start.astype(np.int64), size.astype(np.int64)
