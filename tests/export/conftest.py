"""Faces for whom none are needed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.export.datasets import Dataset, Sample


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
            samples.append(Sample("blobs", f"blobs/{person}", genuine=picture < 5, path=path))
    return Dataset("blobs", tuple(samples))
