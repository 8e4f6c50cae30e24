"""What light and camera do to a batch of scenes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

CELLS = (2, 5, 16, 48)
"""Waves of the textures behind everything, across the scene's height."""


class BatchChance:
    """Random tensors on a device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.generator = torch.Generator(device).manual_seed(seed)
        self.device = device

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Even between two bounds."""
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def normal(self, *shape: int) -> torch.Tensor:
        """Mean 0, deviation 1."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def happens(self, chance: float, *shape: int) -> torch.Tensor:
        """1 with this chance, else 0."""
        return (torch.rand(shape, generator=self.generator, device=self.device) < chance).float()


def texture(count: int, height: int, width: int, chance: BatchChance) -> torch.Tensor:
    """``(count, height, width)``, about 0 to 255: flat, cloudy, rough or striped."""
    scene = chance.uniform(10, 245, count, 1, 1, 1).expand(count, 1, height, width).clone()
    for cells in CELLS:
        noise = chance.normal(count, 1, cells, max(1, cells * width // height))
        strength = chance.uniform(0, 45, count, 1, 1, 1) * chance.happens(0.5, count, 1, 1, 1)
        scene += strength * F.interpolate(noise, (height, width), mode="bilinear")
    y = torch.arange(height, device=chance.device)[:, None] / height
    x = torch.arange(width, device=chance.device)[None, :] / height
    angle, waves = chance.uniform(0, math.pi, count, 1, 1), chance.uniform(1, 30, count, 1, 1)
    wave = torch.sin(2 * math.pi * waves * (torch.cos(angle) * x + torch.sin(angle) * y))
    hard = chance.happens(0.5, count, 1, 1)
    wave = hard * torch.sign(wave) + (1 - hard) * wave
    return scene[:, 0] + wave * chance.uniform(5, 60, count, 1, 1) * chance.happens(0.2, count, 1, 1)


def photographed(scenes: torch.Tensor, chance: BatchChance) -> torch.Tensor:
    """Scenes ``(B, H, W)``, 0 to 255, in another light and by another camera.

    Light from a side, a lamp beside the camera as of near infrared, exposure and contrast, blur of the lens or of a
    movement, noise.
    """
    count, height, width = scenes.shape
    y = torch.linspace(-1, 1, height, device=scenes.device)[:, None]
    x = torch.linspace(-1, 1, width, device=scenes.device)[None, :]
    slope = chance.normal(2, count, 1, 1) * 0.4 * chance.happens(0.5, count, 1, 1)
    light = torch.exp(slope[0] * x + slope[1] * y)
    middle, spread = chance.uniform(-0.5, 0.5, 2, count, 1, 1), chance.uniform(0.4, 1.5, count, 1, 1)
    lamp = torch.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / spread**2)
    lit = chance.happens(0.15, count, 1, 1)
    light = light * (1 - lit + lit * (0.1 + 1.5 * lamp))
    shown = (scenes.clamp(0, 255) / 255 * light).clamp(0, 1.5)
    gamma = torch.exp(chance.normal(count, 1, 1) * 0.22)
    shown = shown.clamp(min=1e-4) ** gamma
    gain = torch.exp(chance.normal(count, 1, 1) * 0.2) * (
        1 - 0.6 * chance.happens(0.15, count, 1, 1) * chance.uniform(0, 1, count, 1, 1)
    )
    shown = ((shown - 0.45) * gain + 0.45 + chance.normal(count, 1, 1) * 0.08).clamp(0, 1)
    for amount in (0.35, 0.2):
        share = chance.uniform(0, 1, count, 1, 1) * chance.happens(amount, count, 1, 1)
        shown = shown + share * (_binomial(shown) - shown)
    share = chance.happens(0.06, count, 1, 1)
    shown = shown + share * (F.avg_pool2d(shown[:, None], (1, 5), 1, (0, 2), count_include_pad=False)[:, 0] - shown)
    noise = chance.normal(count, height, width) * (chance.normal(count, 1, 1).abs() * 0.02)
    return (shown + noise).clamp(0, 1) * 255


def _binomial(scenes: torch.Tensor) -> torch.Tensor:
    padded = F.pad(scenes[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4
