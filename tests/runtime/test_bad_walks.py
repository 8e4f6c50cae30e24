"""What is no walk, or a person's own walk in a form that says something else: never accepted, never enrolled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_sdk import Verifier
from edge_sdk.errors import InputError
from edge_sdk.runtime.template import Template

from .walked import gait_bundle, recording

Times = NDArray[np.float64]
Values = NDArray[np.float64]
Rows = tuple[Times, Values]

RNG = np.random.default_rng(5)
UP = np.array([0.0, 9.81, 0.0])


def stuck(times: Times, values: Values) -> Rows:
    return times, np.where((times < times[0] + 2000)[:, None], values, values[50])


def sieve(times: Times, values: Values) -> Rows:
    """Half a second without rows, every two seconds."""
    kept = (times - times[0]) % 2000 > 500
    return times[kept], values[kept]


def with_nan(times: Times, values: Values) -> Rows:
    return times, np.where(np.arange(len(times))[:, None] == 300, np.nan, values)


def shaken(times: Times, values: Values, hertz: float = 4.0) -> Rows:
    return times, UP + 6 * np.sin(2 * np.pi * hertz * times / 1000)[:, None] * np.array([0.3, 1.0, 0.5])


BAD: dict[str, Callable[[Times, Values], Rows]] = {
    "g": lambda times, values: (times, values / 9.81),
    "mg": lambda times, values: (times, values * 1000 / 9.81),
    "linear acceleration": lambda times, values: (times, values - values.mean(axis=0)),
    "zeros": lambda times, values: (times, 0 * values),
    "NaN": with_nan,
    "infinity": lambda times, values: (times, np.where(values > 12, np.inf, values)),
    "5 Hz": lambda times, values: (times[::5], values[::5]),
    "1 kHz, 40 times too fast": lambda times, values: (times[0] + (times - times[0]) / 40, values),
    "four times too fast": lambda times, values: (times[0] + (times - times[0]) / 4, values),
    "twice too slow": lambda times, values: (times[0] + (times - times[0]) * 2, values),
    "reversed rows": lambda times, values: (times[::-1], values[::-1]),
    "one time": lambda times, values: (times[0] + 0 * times, values),
    "each time four times": lambda times, values: (np.repeat(times[::4], 4)[: len(times)], values),
    "twice in a file": lambda times, values: (np.tile(times, 2), np.tile(values, (2, 1))),
    "seconds": lambda times, values: (times / 1000, values),
    "microseconds": lambda times, values: (times * 1000, values),
    "shuffled": lambda times, values: (times, RNG.permutation(values)),
    "standing": lambda times, values: (times, UP + RNG.normal(0, 0.05, values.shape)),
    "driving": lambda times, values: (times, UP + RNG.normal(0, 1.5, values.shape)),
    "shaken": shaken,
    "stuck": stuck,
    "sieve": sieve,
    "2 s": lambda times, values: (times[:52], values[:52]),
    "two axes": lambda times, values: (times, values[:, :2]),
    "six axes": lambda times, values: (times, np.hstack([values, values])),
}


def text(times: Times, values: Values) -> bytes:
    lines = (
        f"{time:.3f}," + ",".join(f"{value:.5f}" for value in row) for time, row in zip(times, values, strict=True)
    )
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    with Verifier(gait_bundle(tmp_path_factory.mktemp("gait") / "walkers")) as opened:
        yield opened


@pytest.fixture(scope="module")
def template(verifier: Verifier) -> Template:
    return verifier.enroll(text(*walk()))


def walk() -> Rows:
    source = recording(1, 0)
    return source.times_ms, source.values.astype(np.float64)


def test_the_walk_itself_is_accepted(verifier: Verifier, template: Template) -> None:
    assert verifier.verify(template, text(*walk())).decision


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_stream_of_the_person_is_never_accepted_or_enrolled(
    verifier: Verifier, template: Template, kind: str
) -> None:
    times, values = BAD[kind](*walk())
    data = text(times, values)
    for call in (lambda: verifier.verify(template, data), lambda: verifier.verify(data, text(*walk()))):
        with contextlib.suppress(InputError):
            assert not call().decision
    with pytest.raises(InputError):
        verifier.enroll(data)
    try:
        stream = verifier.walk()
        for at in range(0, len(times), 13):
            stream.push_rows(times[at : at + 13], values[at : at + 13])
        stream.finish()
    except InputError:
        return
    assert not verifier.verify(template, stream).decision


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_damaged_text_is_an_error_or_what_is_left_of_the_walk(verifier: Verifier, data: st.DataObject) -> None:
    original = text(*walk())
    begin = data.draw(st.integers(0, len(original) - 1))
    end = data.draw(st.integers(begin, min(len(original), begin + 4000)))
    piece = data.draw(st.sampled_from([b"", b",", b"\n", b"nan", b"1e999", b"9" * 400, original[begin:end] * 2]))
    try:
        prepared = verifier.prepare(original[:begin] + piece + original[end:])
    except InputError:
        return
    assert np.isfinite(prepared.tensor).all()
