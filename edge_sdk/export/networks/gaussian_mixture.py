"""Mixtures of Gaussians: on the latents of live images (thesis, sections 2.5.1 and 3.7), or everybody's on features.

The latter is the background model of GMM-UBM (Reynolds, Quatieri and Dunn 2000, section 3.2).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Estimator

from edge_sdk.errors import ScoreError, TrainingError
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

MODES = (1, 2, 4, 8, 16, 32, 64, 128)
"""What section 3.7 tries."""
FLOOR = 1e-6
"""Default least variance, as a share of the latents' own: a mode of equal images has no infinite likelihood."""


def fit(latents: NDArray[Any], modes: int, *, floor: float = FLOOR, seed: int = 0) -> GaussianMixture:
    """Fit by expectation maximisation.

    Covariances are diagonal, as the prior is that the latents were trained towards; full ones of 512 latents and 128
    modes would be 33 million numbers on the device.

    Args:
        latents: ``(N, D)`` of live training images, or features of everybody's.
        floor: Added to each variance, as a share of the latents' mean variance.

    Raises:
        ScoreError: Latents that are not finite or all equal, or fewer than 2 a mode.
        TrainingError: A mode has died out; take fewer.
    """
    rows = np.asarray(latents, np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all() or len(rows) < 2 * modes or modes < 1:
        raise ScoreError(f"{modes} modes need at least {2 * modes} rows of finite latents, not {rows.shape}")
    scale = rows.var(axis=0).mean()
    if not scale > 0:
        raise ScoreError("all latents are equal; the network has not learned to tell images apart")
    estimator = Estimator(modes, covariance_type="diag", reg_covar=floor * scale, max_iter=200, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a likelihood that still creeps upwards is of use
        estimator.fit(rows)
    try:
        return GaussianMixture(estimator.weights_, estimator.means_, estimator.covariances_)
    except ScoreError as error:
        raise TrainingError(f"{modes} modes are too many for {len(rows)} rows: {error}") from error


def choose(
    latents: NDArray[Any],
    held_out: NDArray[Any],
    *,
    modes: Sequence[int] = MODES,
    floor: float = FLOOR,
    seed: int = 0,
) -> GaussianMixture:
    """The mixture under which rows of other people are likeliest: of spoof detection, live images, no attacks.

    Args:
        latents, held_out: ``(N, D)`` and ``(M, D)``, of disjoint people.
        modes: Tried as far as there are 2 rows a mode.
        floor: See :func:`fit`.

    Raises:
        ScoreError: See :func:`fit`; or there are no held-out latents.
    """
    if len(held_out) == 0:
        raise ScoreError("there are no held-out latents to choose the number of modes with")
    tried = [fit(latents, count, floor=floor, seed=seed) for count in modes if 2 * count <= len(latents)]
    if not tried:
        raise ScoreError(f"{len(latents)} latents are too few for {min(modes)} modes")
    return max(tried, key=lambda mixture: float(mixture.log_likelihood(held_out).mean()))
