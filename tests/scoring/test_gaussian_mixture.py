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


HALVES = GaussianMixture(np.full(2, 0.5), np.array([[-1.0], [1.0]]), np.ones((2, 1)))
"""Mode 1 takes ``1 / (1 + exp(-2 x))`` of a row x: 1/2 of 0, 3/4 of log(3) / 2."""
ROWS = np.array([[0.0], [math.log(3) / 2]])


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


def test_an_adaptation_worked_by_hand() -> None:
    """Reynolds, Quatieri and Dunn 2000, equations 7 to 14, with r = 15/4."""
    np.testing.assert_allclose(HALVES.responsibilities(ROWS), [[1 / 2, 1 / 2], [1 / 4, 3 / 4]], rtol=1e-12)
    # n = 3/4 and 5/4, so alpha = (3/4) / (18/4) = 1/6 and (5/4) / 5 = 1/4.
    # E(x) = log(3)/2 * (1/4) / (3/4) = 0.183102 and log(3)/2 * (3/4) / (5/4) = 0.329584;
    # E(x^2) = log(3)^2/4 / 3 = 0.100579 and log(3)^2/4 * 3/5 = 0.181042.
    adapted = HALVES.adapted(ROWS, 15 / 4)
    # 1/6 * 3/8 + 5/6 * 1/2 = 23/48, 1/4 * 5/8 + 3/4 * 1/2 = 17/32; their sum is 97/96.
    np.testing.assert_allclose(adapted.weights, [46 / 97, 51 / 97], rtol=1e-12)
    # 0.183102/6 - 5/6 and 0.329584/4 + 3/4
    np.testing.assert_allclose(adapted.means, [[-0.802816], [0.832396]], atol=1e-6)
    # 0.100579/6 + 5/6 * 2 - 0.802816^2 and 0.181042/4 + 3/4 * 2 - 0.832396^2
    np.testing.assert_allclose(adapted.variances, [[1.038916], [0.852378]], atol=2e-6)
    np.testing.assert_array_equal(HALVES.means, [[-1.0], [1.0]])
    means = HALVES.adapted(ROWS, 15 / 4, adapts="means")
    np.testing.assert_allclose(means.means, adapted.means, rtol=1e-12)
    np.testing.assert_array_equal(means.weights, HALVES.weights)
    np.testing.assert_array_equal(means.variances, HALVES.variances)


def test_responsibilities_and_adaptation_are_scikit_learns_statistics() -> None:
    theirs = Estimator(3, covariance_type="diag", random_state=0).fit(two_heaps(400, seed=1))
    mixture = GaussianMixture(theirs.weights_, theirs.means_, theirs.covariances_)
    x, r = two_heaps(30, seed=3) + 0.3, 16.0
    likely = theirs.predict_proba(x)
    np.testing.assert_allclose(mixture.responsibilities(x), likely, rtol=1e-9, atol=1e-12)
    n = likely.sum(axis=0)
    alpha = (n / (n + r))[:, None]
    first, second = likely.T @ x / n[:, None], likely.T @ x**2 / n[:, None]
    weights = alpha[:, 0] * n / len(x) + (1 - alpha[:, 0]) * mixture.weights
    means = alpha * first + (1 - alpha) * mixture.means
    variances = alpha * second + (1 - alpha) * (mixture.variances + mixture.means**2) - means**2
    adapted = mixture.adapted(x, r)
    np.testing.assert_allclose(adapted.weights, weights / weights.sum(), rtol=1e-9)
    np.testing.assert_allclose(adapted.means, means, rtol=1e-9)
    np.testing.assert_allclose(adapted.variances, variances, rtol=1e-7)
    assert adapted.log_likelihood(x).mean() > mixture.log_likelihood(x).mean()


def test_little_relevance_follows_the_rows_and_much_keeps_the_mixture() -> None:
    x = two_heaps(50, seed=4)
    one = GaussianMixture(np.ones(1), np.zeros((1, 2)), np.ones((1, 2)))
    close = one.adapted(x, 1e-9)
    np.testing.assert_allclose(close.means[0], x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(close.variances[0], x.var(axis=0), rtol=1e-6)
    kept = MIXTURE.adapted(RNG.normal(size=(5, 3)), 1e12)
    for part in ("weights", "means", "variances"):
        np.testing.assert_allclose(getattr(kept, part), getattr(MIXTURE, part), rtol=1e-6)


def test_a_mode_without_rows_keeps_its_mean_and_variance() -> None:
    apart = GaussianMixture(np.full(2, 0.5), np.array([[0.0], [1e3]]), np.ones((2, 1)))
    adapted = apart.adapted(np.array([[0.1], [-0.1]]), 2.0)
    assert apart.responsibilities(np.array([[0.1]]))[0, 1] == 0.0
    assert (adapted.means[1, 0], adapted.variances[1, 0]) == (1e3, 1.0)
    np.testing.assert_allclose(adapted.weights, [3 / 5, 2 / 5])  # 1/2 * 1 + 1/2 * 1/2 to 1/2


def test_equal_rows_give_the_least_variance_and_no_spike() -> None:
    adapted = HALVES.adapted(np.ones((10_000, 1)), 1.0)
    assert adapted.variances[1, 0] == 0.01
    assert HALVES.adapted(np.ones((10_000, 1)), 1.0, floor=0.25).variances[1, 0] == 0.25
    far = GaussianMixture(np.ones(1), np.full((1, 1), 1e6), np.full((1, 1), 1e-3))
    np.testing.assert_allclose(far.adapted(np.array([[1e6 + 0.1], [1e6 - 0.1]]), 2.0).variances, [[0.0055]], rtol=1e-6)


@pytest.mark.parametrize("x", [np.zeros((0, 1)), np.array([[np.nan]]), np.array([[np.inf]]), np.full((1, 1), 1e200)])
def test_rows_that_adapt_nothing(x: np.ndarray) -> None:
    with pytest.raises(ScoreError, match="rows"):
        HALVES.adapted(x, 16.0)
    with pytest.raises(ScoreError, match="rows of 1"):
        HALVES.adapted(np.zeros((2, 2)), 16.0)


def test_many_rows_are_evaluated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = RNG.normal(size=(50, 3))
    expected = MIXTURE.log_likelihood(x)
    monkeypatch.setattr("edge_sdk.scoring.densities.gaussian_mixture._AT_ONCE", 40)
    np.testing.assert_array_equal(MIXTURE.log_likelihood(x), expected)
    assert MIXTURE.log_likelihood(np.zeros((0, 3))).shape == (0,)


def test_beyond_all_numbers_is_impossible_and_no_nan() -> None:
    assert MIXTURE.log_likelihood(np.full((1, 3), 1e200)).tolist() == [-math.inf]
    assert MIXTURE.distances(np.full((1, 3), 1e200)).tolist() == [math.inf]


def test_distances_count_standard_deviations_from_the_nearest_mode() -> None:
    two = GaussianMixture(np.full(2, 0.5), np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([[1.0, 1.0], [4.0, 9.0]]))
    np.testing.assert_allclose(two.distances(np.array([[0.0, 4.0], [12.0, 3.0]])), [math.sqrt(8), 1.0])


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


def test_one_gaussian_of_rows_alone():
    before = GaussianMixture(np.array([0.5, 0.5]), np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([[1.0, 4.0]] * 2))
    rows = np.array([[10.0, 5.0], [14.0, 5.0], [12.0, 5.0]])
    after = before.replaced(rows)
    assert after.means.tolist() == [[12.0, 5.0]]
    assert after.variances == pytest.approx(np.array([[8 / 3, 0.4]]))  # the second is a tenth of 4
    for wrong in (rows[:1], rows[:, :1], np.full((3, 2), np.nan)):
        with pytest.raises(ScoreError, match="to fit a density"):
            before.replaced(wrong)


def test_the_level_is_the_mean_log_likelihood_of_its_own_rows():
    rng = np.random.default_rng(0)
    mixture = GaussianMixture(
        np.array([0.3, 0.7]), np.array([[0.0, 0.0], [90.0, -50.0]]), np.array([[1.0, 4.0], [9.0, 0.5]])
    )
    modes = rng.choice(2, 200_000, p=mixture.weights)
    rows = mixture.means[modes] + rng.normal(size=(len(modes), 2)) * np.sqrt(mixture.variances[modes])
    assert mixture.level == pytest.approx(mixture.log_likelihood(rows).mean(), abs=0.01)
