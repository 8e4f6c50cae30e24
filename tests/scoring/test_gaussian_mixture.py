"""The device's mixture against scikit-learn, and its file."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Estimator

from edge_sdk.errors import BundleError, ScoreError
from edge_sdk.export.networks.gaussian_mixture import MODES, choose, fit
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

RNG = np.random.default_rng(0)
MIXTURE = GaussianMixture(np.array([0.3, 0.7]), RNG.normal(size=(2, 3)), RNG.uniform(0.5, 2, (2, 3)))


def two_heaps(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 2)) * (0.5, 1) + np.where(rng.random(count) < 0.25, -4, 4)[:, None]


def test_log_likelihood_is_the_definition() -> None:
    x = RNG.normal(size=(5, 3))
    for row, found in zip(x, MIXTURE.log_likelihood(x), strict=True):
        density = 0.0
        for weight, mean, variance in zip(MIXTURE.weights, MIXTURE.means, MIXTURE.variances, strict=True):
            factors = [
                math.exp(-((a - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
                for a, m, v in zip(row, mean, variance, strict=True)
            ]
            density += weight * math.prod(factors)
        assert found == pytest.approx(math.log(density), abs=1e-9)


def test_far_away_is_unlikely_and_not_minus_infinity() -> None:
    (found,) = MIXTURE.log_likelihood(np.full((1, 3), 1e4))
    assert -1e10 < found < -1e6


def test_a_fit_is_scikit_learns() -> None:
    x = two_heaps(400, seed=1)
    theirs = Estimator(2, covariance_type="diag", random_state=0).fit(x)
    mixture = fit(x, 2)
    assert mixture.log_likelihood(x) == pytest.approx(theirs.score_samples(x), abs=1e-3)
    assert sorted(mixture.weights) == pytest.approx([0.25, 0.75], abs=0.06)


def test_held_out_people_choose_the_number_of_modes() -> None:
    chosen = choose(two_heaps(400, seed=1), two_heaps(400, seed=2), modes=(1, 2, 64))
    assert len(chosen.weights) == 2
    assert len(choose(two_heaps(3, seed=1), two_heaps(9, seed=2)).weights) == 1  # too few for more
    assert MODES == (1, 2, 4, 8, 16, 32, 64, 128)  # section 3.7


def test_equal_images_are_no_infinity() -> None:
    x = two_heaps(40, seed=1)
    x[::2] = x[0]
    assert np.isfinite(fit(x, 4).log_likelihood(x)).all()


def test_a_file_and_back() -> None:
    data = MIXTURE.encode()
    assert data == MIXTURE.encode()
    assert np.load(io.BytesIO(data)).shape == (2, 1 + 2 * 3)
    x = RNG.normal(size=(5, 3))
    assert GaussianMixture.decode(data).log_likelihood(x) == pytest.approx(MIXTURE.log_likelihood(x), abs=1e-5)


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, np.ones((1, 3), np.float32))
    return buffer.getvalue()


def test_every_flipped_byte_and_every_truncation_is_a_mixture_or_refused() -> None:
    data = MIXTURE.encode()
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            try:
                found = GaussianMixture.decode(bytes(damaged))
            except BundleError:
                continue
            assert at >= 128 or found.means.shape == (2, 3)
        with pytest.raises(BundleError):
            GaussianMixture.decode(data[:at])


def test_a_table_by_columns_is_the_same_mixture() -> None:
    data = saved(np.asfortranarray(np.load(io.BytesIO(MIXTURE.encode()))))
    assert b"'fortran_order': True" in data
    for name in ("weights", "means", "variances"):
        wanted = getattr(GaussianMixture.decode(MIXTURE.encode()), name)
        np.testing.assert_array_equal(getattr(GaussianMixture.decode(data), name), wanted)
    turned = GaussianMixture(MIXTURE.weights, np.asfortranarray(MIXTURE.means), np.asfortranarray(MIXTURE.variances))
    assert turned.encode() == MIXTURE.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing of the kind",
        MIXTURE.encode()[:-3],
        saved(np.ones((2, 4), np.float32)),
        saved(np.ones(3, np.float32)),
        saved(np.ones((1, 3))),
        saved(np.full((1, 3), np.nan, np.float32)),
        saved(np.array([[1, 0, -1]], np.float32)),
        saved(np.array([[0.5, 0, 1]], np.float32)),
        MIXTURE.encode() + b"\0",
        MIXTURE.encode().replace(b"(2, 7)", b"(7, 2)"),
        MIXTURE.encode().replace(b"(2, 7)", b"(0, 7)"),
        MIXTURE.encode().replace(b"(2, 7), }         ", b"(999999999, 999999)"),
        MIXTURE.encode().replace(b"(2, 7), }    ", b"(2, 7, 10), }"),
        MIXTURE.encode().replace(b"'<f4'", b"'|O4'"),
        MIXTURE.encode().replace(b"NUMPY\x01", b"NUMPY\x02"),
        MIXTURE.encode().replace(b"NUMPY\x01\x00v", b"NUMPY\x01\x00u"),
        MIXTURE.encode().replace(b"{'descr'", b"(((((((("),
        b"PK\x03\x04" + MIXTURE.encode(),
        archive(),
    ],
    ids=[
        "empty", "text", "cut", "even", "flat", "float64", "nan", "variance", "weights", "longer", "turned", "none",
        "huge", "three", "objects", "version", "length", "token", "zip", "npz",
    ],
)  # fmt: skip
def test_damaged_files_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="damaged density"):
        GaussianMixture.decode(data)


def test_a_pickle_is_not_opened() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([[{}]], object), allow_pickle=True)
    with pytest.raises(BundleError, match="damaged density"):
        GaussianMixture.decode(buffer.getvalue())


def test_what_cannot_be_fitted_or_evaluated() -> None:
    with pytest.raises(ScoreError, match="rows of 3"):
        MIXTURE.log_likelihood(np.zeros((1, 2)))
    with pytest.raises(ScoreError, match="at least 8"):
        fit(two_heaps(7, seed=1), 4)
    with pytest.raises(ScoreError, match="equal"):
        fit(np.ones((9, 2)), 1)
    with pytest.raises(ScoreError, match="finite"):
        fit(np.full((9, 2), np.nan), 1)
    with pytest.raises(ScoreError, match="held-out"):
        choose(two_heaps(9, seed=1), np.zeros((0, 2)))
    with pytest.raises(ScoreError, match="too few"):
        choose(two_heaps(1, seed=1), two_heaps(9, seed=1))
