"""Faces for whom none are needed, and a run that learned of such."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.cli import main
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.training import log

PEOPLE = 20
DRAW_CURVES = log.draw_curves


@pytest.fixture(scope="session", autouse=True)
def no_curves() -> Iterator[None]:
    """Miniatures are trained without ``curves.png``: drawing it takes longer than their steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "draw_curves", lambda _: None)
        yield


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """``curves.png`` is drawn all the same."""
    monkeypatch.setattr(log, "draw_curves", DRAW_CURVES)


@pytest.fixture
def faces(tmp_path: Path) -> Dataset:
    """Four people, five live pictures and three attacks each: smooth blobs, and the same with a screen's grid."""
    rng = np.random.default_rng(0)
    samples = []
    for person in range(4):
        for picture in range(8):
            blob = cv2.resize(
                rng.uniform(40, 220, (3, 3)).astype(np.float32), (128, 128), interpolation=cv2.INTER_CUBIC
            )
            if picture >= 5:
                blob[::2] *= 0.3
            path = tmp_path / f"{person}-{picture}.png"
            cv2.imwrite(str(path), blob.clip(0, 255).astype(np.uint8))
            samples.append(Sample("blobs", f"blobs/{person}", genuine=picture < 5, path=path, modality="face"))
    return Dataset("blobs", tuple(samples))


@pytest.fixture(scope="session")
def live_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature `ganomaly`, trained by the command line for a few steps; do not change it.

    Live faces are smooth blobs; attacks are the same with a screen's rows, or a print's dots.
    """
    folder = tmp_path_factory.mktemp("live")
    for person in range(PEOPLE):
        rng = np.random.default_rng(person)
        for picture in range(3):
            coarse = rng.uniform(40, 220, (4, 4)).astype(np.float32)
            live = cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC)
            screen, dots = live.copy(), live.copy()
            screen[::2] *= 0.3
            dots[::3, ::3] = 20
            for kind, image in (("live", live), ("attack-screen", screen), ("attack-print", dots)):
                path = folder / "faces" / kind / f"p{person:02}" / f"{picture}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), image.clip(0, 255).astype(np.uint8))
    command = ["train", "ganomaly", "--tiny", "--steps", "4", "--data", f"spoof:{folder / 'faces'}"]
    assert main([*command, "--out", str(folder / "run")]) == 0
    return folder / "run"
