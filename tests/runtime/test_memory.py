"""A loop that never ends: calls leave no memory and no reference cycles, so that they need no garbage collector."""

from __future__ import annotations

import contextlib
import gc
import itertools
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import AuditLog, Locator, SpoofDetector, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import EdgeSdkError
from edge_sdk.runtime.engines import ENGINES, installed, usable, variants

from ..fake_engine import FakeModel
from .drawn import frame
from .growth import MOST, kept
from .test_detector import locator

Signer = Callable[..., np.ndarray]
BEST = {name: [one for one in variants(name) if usable(name, one)][:1] for name in ENGINES if installed(name)}
CHOICES = [{"engine": name, "precision": variant} for name, best in BEST.items() for variant in best]
everywhere = pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice["engine"])
FRAMES = [frame((200, 100, 200), seed=seed) for seed in range(4)]


@everywhere
def test_verifying_and_enrolling_leave_nothing(choice: dict[str, str], signer: Signer) -> None:
    first, second = signer(1), signer(2)
    with Verifier("deepsign_nano", warm_up=True, **choice) as verifier:
        template = verifier.enroll([first, second])
        assert kept(lambda: verifier.verify(template, second)) < MOST
        assert kept(lambda: verifier.enroll(first)) < MOST


def test_auditing_leaves_nothing(signer: Signer, tmp_path: Path) -> None:
    first, second = signer(1), signer(2)
    with AuditLog(tmp_path / "audit.jsonl", max_bytes=2**16, keep=1) as log:
        with Verifier("deepsign_nano", warm_up=True, audit=log) as verifier:
            template = verifier.enroll([first, second])
            assert kept(lambda: verifier.verify(template, second)) < MOST
        with SpoofDetector("liveness", faces=locator, warm_up=True, audit=log) as detector:
            assert kept(lambda: detector.detect(FRAMES[0])) < MOST


@everywhere
def test_searching_leaves_nothing(choice: dict[str, str], signer: Signer) -> None:
    with Verifier("deepsign_nano", warm_up=True, **choice) as verifier:
        gallery = verifier.gallery({str(seed): verifier.enroll(signer(seed)) for seed in range(1, 5)})
        probe = signer(6)
        assert kept(lambda: verifier.identify(probe, gallery)) < MOST


@everywhere
def test_detecting_leaves_nothing(choice: dict[str, str]) -> None:
    with SpoofDetector("liveness", faces=locator, warm_up=True, **choice) as detector:
        assert detector.detect(FRAMES[0]).faces
        assert kept(lambda: detector.detect(FRAMES[0])) < MOST


@everywhere
def test_a_stream_leaves_nothing(choice: dict[str, str]) -> None:
    def arriving() -> Iterator[tuple[float, np.ndarray | None]]:
        for number in itertools.count():
            yield number / 30, None if number % 20 == 19 else FRAMES[number % len(FRAMES)]

    with SpoofDetector("liveness", faces=locator, warm_up=True, **choice) as detector:
        stream = detector.stream(arriving())
        for _ in range(100):  # what it remembers of the last seconds is full
            next(stream)
        assert kept(lambda: next(stream)) < MOST


@everywhere
def test_locating_leaves_nothing(choice: dict[str, str]) -> None:
    with Locator(warm_up=True, **choice) as opened:
        assert kept(lambda: opened.find(FRAMES[0])) < MOST


def test_searching_for_faces_leaves_nothing() -> None:
    with SpoofDetector("liveness", faces="locator", warm_up=True) as detector:
        assert kept(lambda: detector.detect(FRAMES[0])) < MOST


@pytest.mark.usefixtures("fake_engine")
@pytest.mark.parametrize("failure", ["error", "nan", "zero"])
def test_a_failing_engine_leaves_nothing(make_bundle: Callable[..., Bundle], signer: Signer, failure: str) -> None:
    model = msgspec.json.encode(FakeModel(shape=(1, 150, 180), dim=8, failure=failure))
    picture = signer(1)

    def fail() -> None:
        with contextlib.suppress(EdgeSdkError):
            verifier.verify(picture, picture)
            raise AssertionError("accepted")

    with Verifier(make_bundle(models={"fp32": model}), engine="fake") as verifier:
        assert kept(fail) < MOST


def test_refused_inputs_leave_nothing(signer: Signer) -> None:
    with Verifier("deepsign_nano", engine="onnxruntime", warm_up=True) as verifier:
        template = verifier.enroll(signer(1))
        foreign = msgspec.structs.replace(template, embedding_space_id="another")
        blank = np.full((380, 600), 255, np.uint8)
        for reference, query in ((template, b"no picture"), (template, blank[:, :, None, None]), (foreign, signer(1))):

            def refused(reference: object = reference, query: object = query) -> None:
                with contextlib.suppress(EdgeSdkError):
                    verifier.verify(reference, query)  # type: ignore[arg-type]
                    raise AssertionError("accepted")

            assert kept(refused) < MOST
        assert kept(lambda: verifier.verify(template, blank)) < MOST


def test_what_is_opened_goes_without_the_garbage_collector(signer: Signer) -> None:
    gc.collect()
    gc.disable()
    try:
        for make in (lambda: Verifier("deepsign_nano", warm_up=True), lambda: SpoofDetector("liveness"), Locator):
            opened = make()
            gone = weakref.ref(opened)
            opened.close()
            del opened
            assert gone() is None
    finally:
        gc.enable()


def test_what_grows_and_cycles_are_noticed() -> None:
    held: list[bytes] = []

    def cycle() -> None:
        ring: list[object] = []
        ring.append(ring)

    assert kept(lambda: held.append(bytes(300))) > MOST
    with pytest.raises(AssertionError, match="objects in cycles"):
        kept(cycle)
