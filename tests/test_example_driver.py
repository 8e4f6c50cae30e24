"""The example ``driver_enrolment.py``: whom it enrols, whom it accepts, and that everything else stays outside."""

from __future__ import annotations

import importlib.util
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_sdk import SpoofDetector, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.preprocess.crop import LocatedFace
from edge_sdk.runtime import template_keys

from .paths import ROOT
from .runtime.drawn import frame
from .runtime.known_faces import aligning, located, textured
from .runtime.test_detector import point, spoof_bundle

pytestmark = pytest.mark.usefixtures("fake_engine")
EXAMPLE = ROOT / "examples" / "driver_enrolment.py"
Maker = Callable[..., Bundle]
Frames = list[tuple[float, Any]]
NOBODY = frame()


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("driver_enrolment", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def driver(person: int, number: int) -> np.ndarray:
    """A frame of a person: the first pixel says that there is one, and the face is a pattern of 10 x 10 squares."""
    picture = frame((200, 100, 240), seed=number)
    squares = np.random.default_rng(person).integers(0, 256, (10, 10)).astype(np.uint8)
    picture[100:340, 200:440] = textured(np.kron(squares, np.ones((24, 24), np.uint8)), seed=number)[:, :, None]
    picture[0, 0] = 100 + person
    return picture


def locate(picture: np.ndarray) -> tuple[LocatedFace, ...]:
    return (located(200, 100, 240),) if picture[0, 0, 0] > 100 else ()


def filmed(*persons: int, start: float = 0.0) -> Frames:
    """10 frames a second; person 0 is nobody."""
    return [(start + i / 10, driver(who, i) if who else NOBODY) for i, who in enumerate(persons)]


@pytest.fixture
def sessions(make_bundle: Maker) -> Iterator[tuple[SpoofDetector, Verifier]]:
    live = spoof_bundle(make_bundle, point(-1e9))
    with (
        SpoofDetector(live, engine="fake", faces=locate) as detector,
        Verifier(aligning(make_bundle), engine="fake", faces=locate, threshold=0.9) as verifier,
    ):
        yield detector, verifier


def test_a_live_driver_is_enrolled_from_five_frames_and_accepted(
    example: ModuleType, sessions: tuple[SpoofDetector, Verifier]
) -> None:
    template = example.enrol(filmed(*[1] * 40), *sessions)
    assert template.count == 5
    assert example.verify(filmed(*[1] * 30), template, *sessions)
    assert not example.verify(filmed(*[2] * 30), template, *sessions), "somebody else"
    assert not example.verify(filmed(*[0] * 30), template, *sessions), "nobody"
    assert not example.verify([], template, *sessions)
    assert not example.verify(filmed(*[1] * 5), template, *sessions), "not long enough to be live"


def test_frames_of_two_people_are_not_enrolled(example: ModuleType, sessions: tuple[SpoofDetector, Verifier]) -> None:
    with pytest.raises(example.NotEnrolled, match="do not match"):
        example.enrol(filmed(*[1] * 15, *[2] * 40), *sessions)


def test_a_face_that_was_lost_starts_anew(example: ModuleType, sessions: tuple[SpoofDetector, Verifier]) -> None:
    template = example.enrol(filmed(*[1] * 15, *[0] * 15, *[2] * 40), *sessions)
    assert example.verify(filmed(*[2] * 30), template, *sessions)
    assert not example.verify(filmed(*[1] * 30), template, *sessions)


def test_a_camera_that_shows_no_live_face_ends(example: ModuleType, sessions: tuple[SpoofDetector, Verifier]) -> None:
    def camera(who: int) -> Iterator[tuple[float, Any]]:
        for i in itertools.count():
            yield i / 10, driver(who, i) if who else NOBODY

    with pytest.raises(example.NotEnrolled, match="0 of 5"):
        example.enrol(camera(0), *sessions)
    assert not example.verify(camera(0), example.enrol(camera(1), *sessions), *sessions)


def test_an_attack_is_neither_enrolled_nor_accepted(example: ModuleType, make_bundle: Maker) -> None:
    spoof = spoof_bundle(make_bundle, point(1e9))
    with (
        SpoofDetector(spoof, engine="fake", faces=locate) as detector,
        Verifier(aligning(make_bundle), engine="fake", faces=locate, threshold=1e-9) as verifier,
    ):
        with pytest.raises(example.NotEnrolled, match="0 of 5"):
            example.enrol(filmed(*[1] * 40), detector, verifier)
        assert not example.verify(filmed(*[1] * 40), verifier.enroll(driver(1, 0)), detector, verifier)


def test_as_a_person_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(template_keys.VARIABLE, raising=False)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(EXAMPLE), *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)

    assert (run().returncode, run("open", "0", "x").returncode) == (2, 2)
    done = run("enrol", "none.mp4", "driver.template")
    assert (done.returncode, "no key of a template is named" in done.stderr) == (3, True), "before anybody is filmed"
    template_keys.create(tmp_path / "device.key")
    monkeypatch.setenv(template_keys.VARIABLE, str(tmp_path / "device.key"))
    done = run("enrol", "none.mp4", "driver.template")
    assert done.returncode == 3
    assert "none.mp4: no such file" in done.stderr
    assert not (tmp_path / "driver.template").exists()
