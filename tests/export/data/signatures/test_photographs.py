from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.licenses import data_license
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import joined
from edge_sdk.export.data.signatures.photographs import HEIGHT, WIDTH, Conditions, photograph
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.export.data.splits import split_subjects
from edge_sdk.preprocess import INK, apply


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def still() -> Conditions:
    """A blank page held straight, in even light."""
    return replace(
        Conditions.draw(np.random.default_rng(0)),
        corners=np.zeros((4, 2), np.float32),
        rules=0.0,
        light=0.9,
        falloff=0.0,
        shade=0.0,
        noise=0.0,
        blur=0.8,
        quality=95,
    )


def take(scan: np.ndarray, conditions: Conditions) -> np.ndarray:
    return images.load(photograph(scan, conditions, np.random.default_rng(0)))


def scan(paper: int = 250) -> np.ndarray:
    return np.rint(SyntheticWriter(1).genuine(0) * (paper / 250)).astype(np.uint8)


@pytest.mark.parametrize("paper", [250, 180])
def test_the_scans_paper_does_not_show_on_the_page(still: Conditions, paper: int) -> None:
    photo = take(scan(paper), still).astype(int)
    assert photo.shape == (HEIGHT, WIDTH)
    assert photo[:20].mean() == pytest.approx(0.9 * 255, abs=1)  # beside the scan
    edges = np.abs(np.diff(cv2.blur(photo.astype(np.float32), (1, 61)).mean(axis=1)))
    assert np.median(photo) == pytest.approx(0.9 * 255, abs=2)
    assert edges.max() < 1
    assert photo.min() < 120


def test_the_signature_survives_and_lies_inside(still: Conditions) -> None:
    straight, first = apply(INK, take(scan(), still))[0], apply(INK, scan())[0]
    near = cv2.dilate(first, np.ones((5, 5), np.uint8)) > 0
    assert straight[near].sum() > 0.95 * straight.sum()
    for seed in range(30):
        conditions = replace(Conditions.draw(np.random.default_rng(seed)), rules=0.0, shade=0.0, falloff=0.0, noise=0.0)
        photo = take(scan(), replace(conditions, light=0.9))
        frame = np.concatenate([photo[:3].ravel(), photo[-3:].ravel(), photo[:, :3].ravel(), photo[:, -3:].ravel()])
        assert frame.min() > 200  # not a stroke is cut


def test_light_shadow_and_rules_are_where_they_are_said_to_be(still: Conditions) -> None:
    blank = np.full((300, 600), 250, np.uint8)
    shaded = take(blank, replace(still, shade=0.4, direction=0.0, edge=0.0, penumbra=0.01))
    left, right = shaded[:, : WIDTH // 2 - 12].mean(), shaded[:, WIDTH // 2 + 12 :].mean()
    assert right / left == pytest.approx(0.6, abs=0.01)
    falling = take(blank, replace(still, falloff=0.3, direction=0.0))[:, [5, -5]].mean(axis=0)
    assert falling[1] / falling[0] == pytest.approx(0.7, abs=0.02)
    ruled = take(blank, replace(still, rules=0.5, spacing=0.15, room=1.5)).mean(axis=1)
    lines = np.flatnonzero((ruled[1:-1] < 0.9 * 255 * 0.8) & (ruled[1:-1] <= ruled[:-2]) & (ruled[1:-1] < ruled[2:]))
    assert np.diff(lines) == pytest.approx(0.15 * WIDTH / 1.5, abs=2)


def test_a_scan_has_one_photograph_and_another_scan_another() -> None:
    first, again = load("photo+synthetic:1"), load("photo+synthetic:1")
    assert first == again
    assert first.name == "photo+synthetic"
    assert first.samples[0].read().shape == (HEIGHT, WIDTH)
    assert first.samples[0].path.parts[-3:] == ("0", "genuine", "0.jpg")
    assert len({sample.path.read_bytes() for sample in first.samples[:6]}) == 6
    before = first.samples[0].path.read_bytes()
    first.samples[0].path.unlink()
    assert load("photo+synthetic:1").samples[0].path.read_bytes() == before
    assert not list(first.samples[0].path.parents[3].rglob(".new-*"))


def test_photographs_are_of_the_same_people() -> None:
    scans, photos = load("synthetic:5"), load("photo+synthetic:5")
    assert scans.subjects == photos.subjects
    both = joined(scans, photos)
    assert {sample.dataset for sample in both.samples} == {"synthetic", "photo+synthetic"}
    assert split_subjects(both, seed=1) == split_subjects(scans, seed=1)  # nobody trains on scans and tests on photos
    with pytest.raises(DatasetError, match="both hold"):
        joined(photos, photos)


def test_terms_are_those_of_the_scans() -> None:
    assert data_license(["cedar", "photo+cedar"]) == data_license(["cedar"])


def test_specifications_and_scans_that_cannot_be_read(tmp_path: Path) -> None:
    for wrong in ("photo+", "photo+photo+synthetic:1", "photo:3", "photo+nothing:1"):
        with pytest.raises(UsageError, match="names no data set"):
            load(wrong)
    for kind in ("genuine", "forged"):
        (tmp_path / "mine" / "anna" / kind).mkdir(parents=True)
        (tmp_path / "mine" / "anna" / kind / "1.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"1\.png cannot be photographed"):
        load(f"photo+folder:{tmp_path / 'mine'}")
