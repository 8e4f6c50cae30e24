"""Forks, threads and pickles: a loaded model belongs to one process, and to all of its threads."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edge_sdk.errors import EngineError, UsageError
from edge_sdk.runtime import Verifier
from edge_sdk.runtime.engines import ENGINES, MAX_THREADS, check_threads, installed, load_engine
from edge_sdk.runtime.profile import profile
from edge_sdk.runtime.selftest import selftest
from edge_sdk.runtime.tune import tune

from ...paths import ROOT

Signer = Callable[..., np.ndarray]

HERE = [name for name in ENGINES if name != "tensorrt" and installed(name)]  # TensorRT needs a GPU to run anything
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# The parent opens a bundle and uses it. What the child then does is put in below; it must end by itself, with code 0.
FORK = """
import gc, os, signal, sys
import numpy as np
from edge_sdk import Verifier
from edge_sdk.errors import EngineError

page = np.full((380, 600), 255, np.uint8)
page[150:160, 100:500] = page[100:300, 200:208] = page[120:280, 350:358] = 20

def refused(call):
    try:
        call()
    except EngineError as error:
        assert "fork" in str(error), error
    else:
        raise AssertionError("not refused")

verifier = Verifier("deepsign_nano", engine={engine!r}, threads={threads})
expected = verifier.verify(page, page).score
child = os.fork()
if child == 0:
    signal.alarm(60)  # a child that hangs is killed, which the parent sees
    {child}
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, f"the child ended with {{status}}"
assert verifier.verify(page, page).score == expected  # the parent goes on
verifier.close()
"""
CHILD = {
    "exits": "pass",
    "closes": "verifier.close(); verifier.close()",
    "forgets": "del verifier; gc.collect()",
    "uses": "refused(lambda: verifier.verify(page, page)); refused(lambda: verifier.enroll(page))",
    "uses after closing": "verifier.close(); refused(lambda: verifier.embed([page]))",
    "opens its own": (
        "own = Verifier('deepsign_nano', engine=verifier.engine, threads={threads}); "
        "assert own.verify(page, page).score == expected; own.close(); verifier.close()"
    ),
}


@needs_fork
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", HERE)
def test_a_child_that_inherits_a_model_never_hangs(engine: str, threads: int) -> None:
    child = "; ".join(CHILD[what] for what in ("uses", "opens its own", "uses after closing"))
    _fork(engine, threads, child)


@needs_fork
@pytest.mark.parametrize("what", ["exits", "closes", "forgets"])
@pytest.mark.parametrize(("engine", "threads"), [("openvino", 1), ("onnxruntime", 2)])
def test_a_child_lets_go_of_the_models_that_would_hang_it(engine: str, threads: int, what: str) -> None:
    if not installed(engine):
        pytest.skip(f"needs {engine}")
    _fork(engine, threads, CHILD[what])


DETECTOR = """
import os, signal, sys
import numpy as np
from edge_sdk import SpoofDetector
from edge_sdk.errors import EngineError

plain = np.full((240, 320, 3), 128, np.uint8)  # no face in it, so that no engine is asked
detector = SpoofDetector("liveness")
before = detector.detect(plain).decision
child = os.fork()
if child == 0:
    signal.alarm(60)
    for call in (detector.detect, detector.examine, lambda frame: next(detector.stream([frame]))):
        try:
            call(plain)
        except EngineError as error:
            assert "fork" in str(error), error
        else:
            raise AssertionError("not refused")
    with SpoofDetector("liveness") as own:
        assert own.detect(plain).decision is before
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, f"the child ended with {status}"
"""


@needs_fork
def test_a_detector_belongs_to_one_process() -> None:
    _run(DETECTOR)


POOL = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import numpy as np
from edge_sdk import Verifier
from edge_sdk.errors import EngineError

page = np.full((380, 600), 255, np.uint8)
page[150:160, 100:500] = page[100:300, 200:208] = page[120:280, 350:358] = 20
verifier = Verifier("deepsign_nano")

def use(_):
    return verifier.verify(page, page).score

with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
    for work, error in ((use, EngineError), (verifier.enroll, TypeError)):
        try:
            list(pool.map(work, [page] * 3, timeout=60))
        except error as raised:
            assert "open the bundle in each process" in str(raised), raised
        else:
            raise AssertionError("not refused")
"""


@needs_fork
def test_a_number_of_a_process_that_is_used_again() -> None:
    own = "os.getpid = lambda number=os.getppid(): number"
    _fork("onnxruntime", 2, "; ".join([own, CHILD["uses"], CHILD["closes"]]))


@needs_fork
def test_a_pool_of_forks_gets_the_error() -> None:
    _run(POOL)


def _fork(engine: str, threads: int, child: str) -> None:
    _run(FORK.format(engine=engine, threads=threads, child=child.format(threads=threads)))


def _run(code: str) -> None:
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        timeout=300,
    )


@pytest.mark.parametrize("engine", HERE)
def test_threads_that_share_a_verifier_get_its_scores(engine: str, signer: Signer) -> None:
    pictures = [signer(seed) for seed in range(6)]
    with Verifier("deepsign_nano", engine=engine, precision="fp32") as verifier:
        pairs = [(a, b) for a in range(6) for b in range(6)]
        expected = [verifier.verify(pictures[a], pictures[b]).score for a, b in pairs]
        with ThreadPoolExecutor(8) as pool:
            scores = list(pool.map(lambda pair: verifier.verify(pictures[pair[0]], pictures[pair[1]]).score, pairs * 2))
    assert len(set(expected)) > 10
    assert scores == expected * 2


@pytest.mark.parametrize("engine", HERE)
def test_closing_during_use_gives_the_score_or_an_error(engine: str, signer: Signer) -> None:
    picture = signer(1)
    verifier = Verifier("deepsign_nano", engine=engine, precision="fp32")
    expected = verifier.verify(picture, picture).score

    def use(number: int) -> float | None:
        if number == 6:
            verifier.close()
        try:
            return verifier.verify(picture, picture).score
        except EngineError:
            return None

    with ThreadPoolExecutor(4) as pool:
        scores = list(pool.map(use, range(40)))
    assert set(scores) <= {expected, None}
    with pytest.raises(EngineError):
        verifier.verify(picture, picture)


def test_neither_pickles_nor_copies(signer: Signer) -> None:
    with Verifier("deepsign_nano") as verifier:
        for call in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="a Verifier cannot be pickled or copied: open the bundle in each"):
                call(verifier)
        with pytest.raises(TypeError, match="a loaded model cannot be pickled or copied"):
            pickle.dumps(next(iter(verifier._model._engines.values())))


@pytest.mark.parametrize(
    "threads",
    [0, -1, True, False, 1.0, 1.5, "2", None, float("nan"), 10**10, 100_000, MAX_THREADS + 1, np.float32(1), [1]],
)
def test_numbers_of_threads_that_make_no_sense(threads: object) -> None:
    calls: tuple[Callable[[], object], ...] = (
        lambda: check_threads(threads),
        lambda: load_engine("onnxruntime", b"", "onnx", threads=threads),  # type: ignore[arg-type]
        lambda: Verifier("deepsign_nano", threads=threads),  # type: ignore[arg-type]
        lambda: selftest("deepsign_nano", threads=threads),  # type: ignore[arg-type]
        lambda: tune("deepsign_nano", threads=[threads]),  # type: ignore[list-item]
        lambda: profile("deepsign_nano", threads=[threads]),  # type: ignore[list-item]
    )
    for call in calls:
        with pytest.raises(UsageError, match="threads must be a whole number from 1 to 1024, not "):
            call()


@pytest.mark.parametrize("threads", [1, 2, np.int64(2), np.uint8(1), MAX_THREADS])
def test_whole_numbers_of_threads_are_taken(threads: int) -> None:
    assert check_threads(threads) == threads
    assert type(check_threads(threads)) is int
