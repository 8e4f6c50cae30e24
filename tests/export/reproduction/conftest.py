"""Two small data sets of made-up signatures on disk."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np
import pytest

WRITERS, GENUINE, FORGED = 10, 5, 3
"""Of each data set, and signatures of each writer."""

Signer = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, signer: Signer) -> tuple[str, ...]:
    """Specifications of two data sets in the public layouts."""
    root = tmp_path_factory.mktemp("data")
    names = {
        "cedar": ("full_org/original_{}_{}.png", "full_forg/forgeries_{}_{}.png"),
        "svc2004": ("user{0}/genuine/U{0}S{1}.png", "user{0}/forged/U{0}S{1}.png"),
    }
    for seed, (dataset, kinds) in enumerate(names.items()):
        for writer, (genuine, pattern) in itertools.product(range(1, WRITERS + 1), enumerate(kinds)):
            for k in range(FORGED if genuine else GENUINE):
                path = root / dataset / pattern.format(writer, k)
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), signer((seed, writer, genuine, k), height=120, width=240))
    return tuple(f"{dataset}:{root / dataset}" for dataset in names)
