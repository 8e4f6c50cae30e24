"""Views of aligned faces: positions by reference, amounts by their distribution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge_sdk import preprocess
from edge_sdk.errors import UsageError
from edge_sdk.export.data.batch_augmentation import BatchViews
from edge_sdk.export.data.faces.views import FaceViews
from edge_sdk.export.data.samples import Sample

STILL = FaceViews(
    border=3, rotation=0, zoom=0, shift=0, flip=0, cut=0, light=0, gamma=0, exposure=0, black=0, coarse=(),
    blur=(1.0, 0.0), noise=(0.1, 0.0), cover=0,
)  # fmt: skip


def pictures(count: int = 4, height: int = 26, width: int = 22) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (count, 1, height, width), np.uint8))


def test_without_changes_a_view_is_what_a_device_sees() -> None:
    views = STILL.view(pictures())
    assert torch.allclose(views, pictures()[:, :, 3:-3, 3:-3].float() / 255, atol=1.1 / 255)
    assert torch.equal(STILL.degrade(views), views)


def test_a_mirrored_view() -> None:
    views = replace(STILL, flip=1.0).view(pictures())
    assert torch.allclose(views, pictures()[:, :, 3:-3, 3:-3].flip(3).float() / 255, atol=1.1 / 255)


def test_turns_and_scales_are_those_of_opencv() -> None:
    """Not square, so that axes cannot be mixed up."""
    smooth = cv2.GaussianBlur(pictures(1, 60, 44)[0, 0].numpy(), (0, 0), 3)
    changed = replace(STILL, border=10, rotation=15.0, zoom=0.1, shift=2.0)
    torch.manual_seed(3)
    found = changed.view(torch.from_numpy(smooth)[None, None])[0, 0].numpy() * 255
    torch.manual_seed(3)
    degrees, zoom, right, down = (torch.randn(4, 1) * torch.tensor([[15.0], [0.1], [2.0], [2.0]])).ravel().tolist()
    angle, scale = np.radians(degrees), np.exp(zoom)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle, aim = np.array([21.5, 29.5]), np.array([11.5, 19.5])
    matrix = np.column_stack([turn, middle + np.array((right, down)) - turn @ aim])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(smooth, matrix, (24, 40), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(found - expected).mean() < 0.5
    assert np.abs(found - expected).max() < 3


def test_beyond_a_frame_its_edge_is_repeated() -> None:
    views = replace(STILL, cut=1.0, seen=0.5).view(pictures(64))
    whole = pictures(64)[:, :, 3:-3, 3:-3].float() / 255
    middle = (slice(None), slice(None), slice(6, 14), slice(5, 11))
    assert torch.allclose(views[middle], whole[middle], atol=1.1 / 255)
    repeated = (views[:, 0, :, 0] == views[:, 0, :, 1]).all(dim=1)
    assert 0.6 < repeated.float().mean() < 1  # 1.5 pixels of 8 are within reach of the outermost two columns


def test_a_share_of_the_views_is_degraded() -> None:
    torch.manual_seed(0)
    views = torch.rand(400, 1, 24, 24)
    for setting in ({"coarse": ((2.0, 0.25),)}, {"blur": (2.0, 0.25)}, {"noise": (0.5, 0.25)}, {"cover": 0.25}):
        made = replace(STILL, **setting).degrade(views)
        changed = (made != views).flatten(1).any(dim=1)
        assert changed.float().mean() == pytest.approx(0.25, abs=0.06), setting
        assert made.min() >= 0 and made.max() <= 1


def test_light_and_tones_stay_in_range_and_differ_from_view_to_view() -> None:
    torch.manual_seed(0)
    lit = FaceViews(border=3).view(pictures(1).expand(50, -1, -1, -1))
    assert lit.min() >= 0 and lit.max() <= 1
    assert lit.mean((1, 2, 3)).std() > 0.02


def test_the_same_seed_gives_the_same_views() -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        made.append(FaceViews(border=3).degrade(FaceViews(border=3).view(pictures())))
    assert torch.equal(*made)


@pytest.mark.parametrize("settings", [{"border": -1}, {"flip": 1.5}, {"coarse": ((2.0, 0.7), (3.0, 0.7))}])
def test_shares_and_borders(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="a share is from 0 to 1"):
        FaceViews(**settings)  # type: ignore[arg-type]


def test_pictures_with_surroundings_and_without(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (118, 118), np.uint8)
    cv2.imwrite(str(tmp_path / "wide.png"), wide)
    cv2.imwrite(str(tmp_path / "device.png"), wide[3:-3, 3:-3])
    alone = Sample("d", "d/1", True, tmp_path / "device.png", modality="face")
    both = replace(alone, surroundings=tmp_path / "wide.png")
    found = BatchViews.of([alone, both], preprocess.ALIGNED, STILL, torch.device("cpu")).pictures
    assert found.shape == (2, 1, 118, 118)
    assert np.array_equal(found[0, 0].numpy(), np.pad(wide[3:-3, 3:-3], 3, mode="edge"))
    assert np.array_equal(found[1, 0].numpy(), wide)
