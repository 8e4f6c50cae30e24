"""What a stretch of a walk shows: its rhythm, its steps, its gravity. numpy alone, no state.

Rows of a sensor come at uneven times. They are read as the line through them, of which :func:`means` takes the mean
over a short time round each moment: exact for any times, and a low-pass for sensors that are faster than it.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

AVERAGED_S = 0.04
"""Over how long :func:`means` averages: one interval of the slow phones of the data, 25 Hz."""
SMOOTH_S = 0.08
"""Standard deviation of the smoothing that leaves one hill a step: at 2 steps a second it keeps 60 % of the steps'
own frequency, and 13 % of twice of it."""
SEARCHED = 0.15
"""How far from where a rhythm expects it a cycle's start may lie, as a share of the cycle."""
OCTAVE = 0.9
"""Of two periods that repeat a stretch about as well, by this factor, the shorter counts: the longer is twice of it."""
LOUDER = 2.0
"""How many times more or less than the median of its window a cycle may move."""
FASTEST_SHARE, SLOWEST_SHARE = 0.12, 0.45
"""Periods of what shakes faster than anybody walks lie between these shares of the shortest period of two steps."""


class Rhythm(msgspec.Struct, frozen=True):
    """How a stretch repeats itself.

    Attributes:
        period_s: Of two steps.
        likeness: Correlation of the stretch with itself one period later, all axes together, in [-1, 1].
        vibration: The highest such correlation at the peaks of lags below :data:`SLOWEST_SHARE` of the shortest period;
            0 without.
        strength: Standard deviation of the magnitude, as a share of its mean.
    """

    period_s: float
    likeness: float
    vibration: float
    strength: float


def means(times_s: Floats, values: Floats, at_s: Floats, width_s: float = AVERAGED_S) -> Floats:
    """The mean over ``width_s`` round each moment of the line through the rows, which is level outside of them.

    Args:
        times_s: ``(T,)``, rising.
        values: ``(T, C)``.
        at_s: ``(N,)``, N at least 1.
        width_s: Above 0.

    Returns:
        ``(N, C)``.
    """
    first, last = min(times_s[0], at_s.min()) - width_s, max(times_s[-1], at_s.max()) + width_s
    times, rows = np.concatenate([[first], times_s, [last]]), np.concatenate([values[:1], values, values[-1:]])
    spans = np.diff(times)[:, None]
    areas = np.cumsum((rows[1:] + rows[:-1]) / 2 * spans, axis=0)
    before, bends = np.concatenate([np.zeros((1, areas.shape[1])), areas]), np.diff(rows, axis=0) / 2 / spans
    until = np.concatenate([at_s - width_s / 2, at_s + width_s / 2])
    index = np.searchsorted(times, until, side="right") - 1
    inside = (until - times[index])[:, None]
    below, above = np.split(before[index] + inside * (rows[index] + bends[index] * inside), 2)
    return np.asarray(above - below) / width_s


def likenesses(signal: Floats, most: int) -> Floats:
    """Normalised autocorrelation of all columns together, ``(most + 1,)`` in [-1, 1].

    Args:
        signal: ``(n, C)``.
        most: The longest lag, below n; the first is 0.
    """
    centred = signal - signal.mean(axis=0)
    size = 1 << int(len(centred) + most).bit_length()
    spectrum = np.fft.rfft(centred, size, axis=0)
    products = np.fft.irfft((spectrum.real**2 + spectrum.imag**2).sum(axis=1), size)[: most + 1]
    energy = np.concatenate([[0.0], np.cumsum((centred**2).sum(axis=1))])
    lags = np.arange(most + 1)
    whole = np.sqrt(energy[len(centred) - lags] * (energy[-1] - energy[lags]))
    return np.asarray(np.clip(products / np.maximum(whole, 1e-12), -1, 1))


def rhythm(even: Floats, rate_hz: float, least_s: float, most_s: float) -> Rhythm | None:
    """The period of two steps between ``least_s`` and ``most_s`` with which a stretch repeats itself best.

    Args:
        even: ``(n, 3)`` at ``rate_hz``.

    Returns:
        None where the stretch is shorter than two of the longest periods, or repeats itself at none of the lags.
    """
    first, last = int(np.ceil(least_s * rate_hz)), int(most_s * rate_hz)
    if len(even) < 2 * last:
        return None
    found = likenesses(even, last + 1)
    inner = found[1:-1]
    peaks = 1 + np.flatnonzero((inner > found[:-2]) & (inner >= found[2:]))
    within = peaks[(peaks >= first) & (peaks <= last)]
    if not len(within):
        return None
    best = int(within[np.argmax(found[within] >= OCTAVE * found[within].max())])
    fast = peaks[(peaks >= FASTEST_SHARE * first) & (peaks <= SLOWEST_SHARE * first)]
    magnitude = np.linalg.norm(even, axis=1)
    return Rhythm(
        period_s=(best + _vertex(*found[best - 1 : best + 2])) / rate_hz,
        likeness=float(found[best]),
        vibration=float(max(found[fast], default=0.0)),
        strength=float(magnitude.std() / max(magnitude.mean(), 1e-12)),
    )


def hills(even: Floats, rate_hz: float) -> Floats:
    """The magnitude of ``(n, 3)``, smoothed so that each step is about one hill: ``(n,)``."""
    reach = int(np.ceil(3 * SMOOTH_S * rate_hz))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (SMOOTH_S * rate_hz)) ** 2)
    magnitude = np.pad(np.linalg.norm(even, axis=1), reach, mode="reflect")
    return np.convolve(magnitude, kernel / kernel.sum(), mode="valid")


def starts(smooth: Floats, period: float, known: float | None) -> Floats:
    """The starts of cycles, each on the summit of a hill near one period from the next.

    Args:
        smooth: Of :func:`hills`.
        period: In samples.
        known: A start that was found before, in samples; without one, the first lies on that step of the two which is
            the higher hill on average.

    Returns:
        In samples, rising, between them whole cycles; with fractions.
    """
    reach = int(SEARCHED * period)
    if known is None:
        phases = np.arange(int(period))
        times = phases[:, None] + np.rint(np.arange(int(len(smooth) / period)) * period).astype(int)
        first = int(np.argmax(smooth[np.minimum(times, len(smooth) - 1)].mean(axis=1)))
        known = _summit(smooth, first if first > reach else first + period, reach)
    behind, before = [known], list[float]()
    while behind[-1] + period + reach < len(smooth) - 1:
        behind.append(_summit(smooth, behind[-1] + period, reach))
    while (before or behind)[-1 if before else 0] - period - reach > 0:
        before.append(_summit(smooth, (before or behind)[-1 if before else 0] - period, reach))
    return np.array(before[::-1] + behind)


def _summit(smooth: Floats, expected: float, reach: int) -> float:
    """The highest point within ``reach`` of the expected one, between samples by a parabola."""
    low = max(1, round(expected) - reach)
    top = low + int(np.argmax(smooth[low : round(expected) + reach + 1][: len(smooth) - 1 - low]))
    return top + _vertex(*smooth[top - 1 : top + 2])


def _vertex(before: float, there: float, after: float) -> float:
    """Where a parabola through three samples has its end, from the middle one; within half a sample of it."""
    bend = before - 2 * there + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend else 0.0


def are_alike(vectors: Floats, likeness: float) -> NDArray[np.bool_]:
    """Which cycles ``(N, samples, 3)`` correlate with the mean of the others, and move about as much: ``(N,)``."""
    if len(vectors) < 2:
        return np.zeros(len(vectors), bool)
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    others = centred.sum(axis=0) - centred
    norms, of_others = (np.sqrt((one**2).sum(axis=(1, 2))) for one in (centred, others))
    middle = np.median(norms)
    moves = (norms <= LOUDER * middle) & (norms >= middle / LOUDER)
    return np.asarray(moves & ((centred * others).sum(axis=(1, 2)) >= likeness * norms * of_others))


def upright(gravity: Floats) -> Floats:
    """The rotation ``(3, 3)`` whose rows are the axes up, level and across, in the device's axes.

    Level is the device's z as far as it is not up or down; its y, where z is within 18 degrees of that.

    Args:
        gravity: ``(3,)``, the mean acceleration, not 0.
    """
    up = gravity / max(float(np.linalg.norm(gravity)), 1e-12)
    axis = np.eye(3)[2 if abs(up[2]) < np.cos(np.pi / 10) else 1]
    level = axis - (axis @ up) * up
    level /= np.linalg.norm(level)
    return np.stack([up, level, np.cross(level, up)])
