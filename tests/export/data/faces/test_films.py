"""Films of pictures: who is in them, that they are alike on any machine, and that hands move."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.faces import films
from edge_sdk.export.data.faces.recapture import BARE
from edge_sdk.export.data.load import load

from ....runtime.drawn import frame

SPECIES = (None, "print", "screen")


@pytest.fixture(autouse=True)
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(films, "FRAMES", 2)


def people(root: Path, **pictures: np.ndarray) -> str:
    for name, picture in pictures.items():
        path = root / "mine" / name[:-1] / f"{name[-1]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return f"live:{root / 'mine'}"


def face(seed: int = 0) -> np.ndarray:
    return frame((40, 20, 200), height=240, width=280, seed=seed)


WALL = frame(height=240, width=280)


def test_three_films_of_the_first_picture_with_a_face(tmp_path: Path) -> None:
    """A wall comes before Anna's face, and of Bert there are only walls."""
    found = load("film+" + people(tmp_path, anna1=WALL, anna2=face(), anna3=face(1), bert1=WALL))
    assert found.name == "film+mine"
    assert [(s.dataset, s.subject, s.genuine, s.attack, s.session) for s in found.samples] == [
        ("film+mine", "mine/anna", attack is None, attack, "2") for attack in SPECIES for _ in range(2)
    ]
    for sample in found.samples:
        assert sample.read().shape[:2] == (films.HEIGHT, films.WIDTH)


def test_a_film_is_rendered_once_and_alike_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = "film+" + people(tmp_path, anna1=face())
    first = [sample.path.read_bytes() for sample in load(spec).samples]
    monkeypatch.setattr(films, "recapture", lambda *_: pytest.fail("rendered again"))
    assert [sample.path.read_bytes() for sample in load(spec).samples] == first
    monkeypatch.undo()
    monkeypatch.setattr(films, "FRAMES", 2)
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "elsewhere"))
    assert [sample.path.read_bytes() for sample in load(spec).samples] == first


def test_the_hand_moves_and_the_picture_stays(tmp_path: Path) -> None:
    """Frames of one film resemble each other more than those of other films, but none is another."""
    images = [sample.read().astype(float) for sample in load("film+" + people(tmp_path, anna1=face())).samples]
    within = [np.abs(images[i] - images[i + 1]).mean() for i in (0, 2, 4)]
    between = [np.abs(images[i] - images[j]).mean() for i in (0, 1) for j in (2, 3, 4, 5)]
    assert min(within) > 0
    assert max(within) < min(between)


def test_the_hand_stays_near() -> None:
    """An autoregression of 0.8 with steps of 0.004 and 0.001 has a standard deviation of 0.0069."""
    films_frames, films.FRAMES = films.FRAMES, 4000
    try:
        places = films._hand(np.random.default_rng(0))
    finally:
        films.FRAMES = films_frames
    assert places.shape == (4000, 4, 2)
    assert places.std() == pytest.approx(np.hypot(0.004, 0.001) / np.sqrt(1 - 0.8**2), rel=0.05)


def test_nobody_to_film_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="a single face in none"):
        load("film+" + people(tmp_path, bert1=WALL))


@pytest.mark.parametrize("spec", ["crop+film+", "align+film+", "crop+scene+"])
def test_films_are_not_cut_out(tmp_path: Path, spec: str) -> None:
    with pytest.raises(UsageError, match="whole frames"):
        load(spec + people(tmp_path, anna1=face()))


def test_only_wanted_people_are_rendered(tmp_path: Path) -> None:
    spec = "film+" + people(tmp_path, anna1=face(), cleo1=face(2))
    assert load(spec, subjects=["mine/cleo"]).subjects == ("mine/cleo",)
    made = {path.parent.name for path in (tmp_path / "cache").rglob("*.jpg")}
    assert made == {"cleo"}
    with pytest.raises(DatasetError, match="no such subject: mine/dora"):
        load(spec, subjects=["mine/cleo", "mine/dora"])


def test_a_film_is_framed_as_large_as_the_camera_makes_it() -> None:
    small = films.framed(np.full((128, 96), 77, np.uint8))
    assert small.shape == (films.HEIGHT, films.WIDTH)
    assert (small == 77).all()
    assert films.KINDS[0] == BARE
