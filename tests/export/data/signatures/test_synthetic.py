from __future__ import annotations

import multiprocessing
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_sdk.export.data.load import load
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter

Gray = NDArray[np.uint8]
WRITERS = range(100, 116)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path))
    return tmp_path


def ink(image: Gray) -> Gray:
    return (image < 200).astype(np.uint8)


def roughness(image: Gray) -> float:
    """Median distance, in half pixels, of the ink's outline from the same outline smoothed over a few line widths."""
    large = cv2.GaussianBlur(cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), None, 1.5)
    outlines, _ = cv2.findContours((large < 200).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    points = [outline[:, 0] @ [1, 1j] for outline in outlines if len(outline) >= 200]
    return float(np.median(np.concatenate([np.abs(smooth(p, 9) - smooth(p, 25)) for p in points])))


def smooth(closed: NDArray[np.complex128], window: int) -> NDArray[np.complex128]:
    weights = np.hanning(window) / np.hanning(window).sum()
    around = np.concatenate([closed[-window:], closed, closed[:window]])
    return np.convolve(around, weights, "same")[window:-window]


def thickness_spread(image: Gray) -> float:
    """Relative spread of the half line width along the ridge of the ink."""
    distance = cv2.distanceTransform(cv2.resize(ink(image), None, fx=4, fy=4), cv2.DIST_L2, 5)
    ridge = distance[(distance >= cv2.dilate(distance, np.ones((5, 5)))) & (distance > 2)]
    return float(ridge.std() / ridge.mean())


def shape(image: Gray) -> NDArray[np.float64]:
    """The ink cropped, scaled to one size and blurred: a unit vector."""
    x, y, w, h = cv2.boundingRect(ink(image))
    small = cv2.resize(ink(image)[y : y + h, x : x + w].astype(np.float64), (64, 32), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, None, 1.5)
    small -= small.mean()
    return (small / np.linalg.norm(small)).ravel()


def test_pictures_are_a_function_of_seed_kind_and_number() -> None:
    first, again, other = SyntheticWriter(1), SyntheticWriter(1), SyntheticWriter(2)
    again.forged(3)  # the order of drawing does not matter
    np.testing.assert_array_equal(first.genuine(4), again.genuine(4))
    np.testing.assert_array_equal(first.forged(4), again.forged(4))
    pictures = [first.genuine(0), first.genuine(1), first.forged(0), first.forged(1), other.genuine(0)]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


@pytest.mark.parametrize("seed", WRITERS)
def test_picture_is_dark_ink_within_light_paper(seed: int) -> None:
    writer = SyntheticWriter(seed)
    for image in (writer.genuine(0), writer.forged(0)):
        assert image.shape == (300, 600)
        assert image.dtype == np.uint8
        assert np.median(image) >= 240
        assert image.min() < 130
        assert 0.004 < ink(image).mean() < 0.15
        edge = np.concatenate([image[:4].ravel(), image[-4:].ravel(), image[:, :4].ravel(), image[:, -4:].ravel()])
        assert edge.min() > 225


def test_writers_are_told_apart_by_shape() -> None:
    first = np.array([shape(SyntheticWriter(seed).genuine(0)) for seed in WRITERS])
    second = np.array([shape(SyntheticWriter(seed).genuine(1)) for seed in WRITERS])
    nearest = (first @ second.T).argmax(axis=1)
    assert (nearest == np.arange(len(first))).mean() >= 0.9


def test_forgeries_imitate_their_writer_but_less_well_than_the_writer() -> None:
    genuine, forged, other = [], [], []
    for seed in WRITERS:
        reference = shape(SyntheticWriter(seed).genuine(0))
        genuine += [reference @ shape(SyntheticWriter(seed).genuine(k)) for k in (1, 2, 3)]
        forged += [reference @ shape(SyntheticWriter(seed).forged(k)) for k in (0, 1, 2)]
        other += [reference @ shape(SyntheticWriter(seed + 500).genuine(0))]
    assert np.mean(genuine) > np.mean(forged) + 0.1
    assert np.mean(forged) > np.mean(other) + 0.1


def test_forgeries_tremble_and_have_an_even_line() -> None:
    pairs = [(SyntheticWriter(seed).genuine(0), SyntheticWriter(seed).forged(0)) for seed in WRITERS]
    rougher = [roughness(forged) > roughness(genuine) for genuine, forged in pairs]
    evener = [thickness_spread(forged) < thickness_spread(genuine) for genuine, forged in pairs]
    assert np.mean(rougher) >= 0.8
    assert np.mean(evener) >= 0.8


def test_paper_does_not_give_the_forgery_away() -> None:
    writers = [SyntheticWriter(seed) for seed in range(40)]
    genuine = np.median([writer.genuine(0) for writer in writers], axis=(1, 2))
    forged = np.median([writer.forged(0) for writer in writers], axis=(1, 2))
    assert abs(genuine.mean() - forged.mean()) < 2
    assert genuine.std() > 1.5


def test_load_draws_each_writer_once(cache: Path) -> None:
    two = load("synthetic:2@5")
    assert two.subjects == ("synthetic/5-0", "synthetic/5-1")
    assert [sum(s.genuine is kind for s in two.samples) for kind in (True, False)] == [20, 20]
    assert all(s.path.is_relative_to(cache) for s in two.samples)
    before = {s.path: s.path.stat().st_mtime_ns for s in two.samples}

    three = load("synthetic:3@5")

    assert three.select(two.subjects).samples == two.samples
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert load("synthetic:1").subjects == load("synthetic:1@0").subjects == ("synthetic/0-0",)
    read = three.samples[0].read()
    assert read.shape[:2] == (300, 600)
    assert not list(cache.rglob(".new-*"))


def test_killed_or_rival_process_leaves_no_half_drawn_writer(cache: Path) -> None:
    leftover = cache / "synthetic-v1/0/.new-killed/0/genuine"
    leftover.mkdir(parents=True)
    (leftover / "0.png").write_bytes(b"half")
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        results = pool.map(load, ["synthetic:2"] * 3)
    assert results[0] == results[1] == results[2]
    assert all(sample.read().shape[:2] == (300, 600) for sample in results[0].samples)
