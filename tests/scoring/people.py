"""Made embeddings of people whose samples vary more along some values than along others, and of their forgeries."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from edge_sdk.calibration.person_model import fit_background
from edge_sdk.scoring.background import Background

DIMS = 12
FILE = "background.bin"


class People(NamedTuple):
    """Embeddings ``(N, DIMS)``, whose they are or whom they imitate, and which are genuine."""

    embeddings: np.ndarray
    subjects: np.ndarray
    genuine: np.ndarray

    def of(self, person: str, *, genuine: bool = True) -> np.ndarray:
        """The samples of a person, or the forgeries."""
        return self.embeddings[(self.subjects == person) & (self.genuine == genuine)]


def drawn(count: int, *, seed: int, samples: int = 16, forgeries: int = 8) -> People:
    """People ``p0``, ``p1``... each of whom varies by a scale of their own."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(0.02, 0.3, DIMS)
    rows, subjects, genuine = [], [], []
    for person in range(count):
        mean, scale = rng.normal(size=DIMS), rng.uniform(0.5, 2.0)
        rows.append(mean + scale * spread * rng.normal(size=(samples, DIMS)))
        rows.append(mean + 0.25 * rng.normal(size=(forgeries, DIMS)))
        subjects += [f"p{person}"] * (samples + forgeries)
        genuine += [True] * samples + [False] * forgeries
    return People(np.concatenate(rows).astype(np.float32), np.array(subjects), np.array(genuine))


def background(people: People) -> Background:
    """Fitted to these people, as a bundle has it."""
    return Background.decode(fit_background(*people).encode())


def opened(everybody: Background) -> Any:
    """An opened model that has this background."""
    return SimpleNamespace(densities={}, backgrounds={FILE: everybody})
