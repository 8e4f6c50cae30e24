"""One object, many threads: what each gets is what it would get alone."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from edge_sdk import SpoofDetector, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError
from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime.faces import Cascade, Tracker
from edge_sdk.runtime.freeze import Freeze
from edge_sdk.runtime.temporal import KOfN, Observation, TemporalDecision

from ..paths import ROOT
from .drawn import frame
from .test_detector import FACE, WITH_FACE, detector, live_frames, locator, spoof_bundle, stamped

pytestmark = pytest.mark.usefixtures("fake_engine")

THREADS = 8
PLACES = [(40, 60, 200), (380, 200, 200)]


@pytest.fixture(scope="module")
def lenient(make_bundle: Callable[..., Bundle]) -> Bundle:
    return spoof_bundle(make_bundle)


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The results of the calls, begun at the same moment, each in a thread of its own."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def test_each_thread_finds_the_faces_of_its_own_frame(lenient: Bundle) -> None:
    pictures = [frame(*PLACES[: n % 3], seed=n) for n in range(6)]

    def seen(opened: SpoofDetector, turn: int) -> list[tuple[Any, ...]]:
        found = {}
        for n in range(len(pictures)):
            number = (n + turn) % len(pictures)
            result = opened.detect(pictures[number])
            found[number] = (result.decision, result.quality, result.faces, repr(result.score))
        return [found[number] for number in range(len(pictures))]

    with SpoofDetector(lenient, engine="fake") as opened:
        alone = seen(opened, 0)
        assert [len(faces) for _, _, faces, _ in alone] == [0, 1, 2, 0, 1, 2]
        assert together([lambda turn=turn: seen(opened, turn) for turn in range(THREADS)]) == [alone] * THREADS


OPEN = """
import threading
from concurrent.futures import ThreadPoolExecutor
from edge_sdk.bundle import Bundle

together = threading.Barrier(8)

def opened(_):
    together.wait()
    return Bundle.open("liveness").id

with ThreadPoolExecutor(8) as pool:
    (name,) = set(pool.map(opened, range(8)))
assert name.startswith("liveness"), name
"""


def test_the_first_bundle_of_a_process_may_be_opened_by_many_threads() -> None:
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", OPEN], check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert (ended.returncode, ended.stderr) == (0, "")


def test_a_cascade_keeps_no_more_classifiers_than_ran_at_once() -> None:
    cascade, picture = Cascade(), frame(PLACES[0])
    expected = cascade(picture)
    for _ in range(3):
        assert together([lambda: cascade(picture)] * 4) == [expected] * 4
    assert 1 <= len(cascade._idle) <= 4


def test_a_locator_of_ones_own_is_called_by_one_thread_at_a_time(lenient: Bundle) -> None:
    inside = []

    def locate(picture: np.ndarray) -> tuple[Box, ...]:
        inside.append(threading.get_ident())
        time.sleep(0.01)
        assert inside.pop() == threading.get_ident()
        assert not inside
        return locator(picture)

    with detector(lenient, faces=locate) as opened:
        results = together([lambda: opened.detect(WITH_FACE)] * THREADS)
    assert [result.faces for result in results] == [(FACE,)] * THREADS


def test_a_fork_is_told_before_anything_of_it_may_hang(lenient: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: np.ndarray) -> tuple[Box, ...]:
        raise AssertionError("searched")

    with detector(lenient, faces=never) as opened:
        with monkeypatch.context() as forked:
            forked.setattr(os, "getpid", lambda: 0)
            for call in (opened.detect, opened.examine, lambda picture: list(opened.stream([picture]))):
                with pytest.raises(EngineError, match="fork"):
                    call(WITH_FACE)
        with pytest.raises(AssertionError, match="searched"):
            opened.detect(WITH_FACE)


def test_streams_of_one_detector_know_nothing_of_each_other(lenient: Bundle) -> None:
    pictures = live_frames(6)

    def decided(opened: SpoofDetector) -> list[tuple[Any, ...]]:
        return [(r.decision, r.reasons, r.time, r.track, r.frame.score) for r in opened.stream(stamped(pictures))]  # type: ignore[arg-type]

    with detector(lenient) as opened:
        alone = decided(opened)
        assert "frozen" not in str(alone)
        assert together([lambda: decided(opened)] * THREADS) == [alone] * THREADS


def test_one_stream_is_for_one_thread_at_a_time(lenient: Bundle) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def locate(picture: np.ndarray) -> tuple[Box, ...]:
        reached.set()
        assert go_on.wait(60)
        return locator(picture)

    with detector(lenient, faces=locate) as opened, ThreadPoolExecutor(1) as pool:
        results = opened.stream(stamped(live_frames(2)))  # type: ignore[arg-type]
        first = pool.submit(next, results)
        assert reached.wait(60)
        with pytest.raises(ValueError, match="already executing"):
            next(results)
        go_on.set()
        assert first.result().reasons == ("undecided",)
        assert next(results).reasons == ("undecided",), "afterwards any thread may go on"


def test_what_follows_one_camera_may_be_shared() -> None:
    """Faces far apart, each seen for the first time, get numbers of their own; of equal frames one is the first."""
    tracker, rounds = Tracker(), 100

    def names(thread: int) -> list[int]:
        boxes = [Box(10 * (rounds * thread + n), 0, 1, 1) for n in range(rounds)]
        return [tracker.update(0.0, [box])[0] for box in boxes]

    given = together([lambda thread=thread: names(thread) for thread in range(4)])
    assert sorted(itertools.chain(*given)) == list(range(4 * rounds))
    decision = TemporalDecision(KOfN(threshold=0.0, live=THREADS - 1, spoof=2, window=THREADS))
    times = iter(np.arange(1, 100) / 100)
    lock = threading.Lock()

    def vote() -> bool:
        with lock:  # times must not run backwards; the decision needs no lock
            return bool(decision.update(Observation(next(times), 0, 1.0)))

    assert sum(together([vote] * THREADS)) == 2
    freeze, picture = Freeze(), frame(seed=1)
    assert sorted(together([lambda: freeze.look(picture).whole] * THREADS)) == [False] + [True] * (THREADS - 1)


def test_one_verifier_gives_each_thread_its_own_scores(tiny_bundle: Bundle, signature: np.ndarray) -> None:
    others = [signature, np.roll(signature, 40, axis=1), signature[:, ::-1].copy(), signature[::-1].copy()]
    pairs = [(a, b) for a in others for b in others]

    def scores(verifier: Verifier, turn: int) -> list[float]:
        order = [(n + turn) % len(pairs) for n in range(len(pairs))]
        found = {n: verifier.verify(*pairs[n]).score for n in order}
        return [found[n] for n in range(len(pairs))]

    with Verifier(tiny_bundle) as verifier:
        alone = scores(verifier, 0)
        assert len(set(alone)) > 4
        assert together([lambda turn=turn: scores(verifier, turn) for turn in range(THREADS)]) == [alone] * THREADS
