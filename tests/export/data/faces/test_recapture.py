"""Rendered attacks: the parts are where they are said to be, and the same image has the same attack."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.faces.cameras import KINDS
from edge_sdk.export.data.faces.instruments import INSTRUMENTS, NoInstrument, Paper, Screen
from edge_sdk.export.data.faces.recapture import CAMERA, Picture, Shot, photographed, recapture
from edge_sdk.export.data.licenses import data_license
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import joined
from edge_sdk.export.data.splits import split_subjects

GRAY = np.full((CAMERA, CAMERA), 128, np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def square(size: float = 1.0) -> np.ndarray:
    return ((np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) - 0.5) * size + 0.5).astype(np.float32)


@pytest.fixture
def still() -> Shot:
    """A steady camera right before the instrument, in even light."""
    shot = Shot.draw(np.random.default_rng(0))
    return replace(shot, corners=square(), light=1.0, falloff=0.0, blur=0.1, noise=0.0, quality=98)


@pytest.fixture
def paper() -> Paper:
    """A flat, even, matt print without dots."""
    drawn = Paper.draw(np.random.default_rng(0))
    return replace(drawn, black=0.1, white=0.9, dots=0.0, grain=0.0, bend=0.0, gloss=0.0, margin=0.0, behind=0.0)


@pytest.fixture
def screen() -> Screen:
    """A display without grid, reflections or flicker."""
    drawn = Screen.draw(np.random.default_rng(0))
    return replace(drawn, grid=(0.0, 0.0), black=0.0, gamma=1.0, glare=0.0, band=0.0, bezel=0.0)


def face(height: int = 96, width: int = 80, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def take(picture: np.ndarray, instrument: NoInstrument | Paper | Screen, shot: Shot) -> np.ndarray:
    return recapture(picture, instrument, shot, np.random.default_rng(0)).astype(float)


def test_a_perfect_medium_before_a_perfect_camera_changes_nothing(still: Shot, screen: Screen) -> None:
    picture = face(CAMERA, 208)
    assert np.abs(take(picture, screen, still) - picture).mean() < 2
    assert np.abs(take(cv2.merge([picture] * 3), screen, still) - picture).mean() < 2


@pytest.mark.parametrize(
    ("shape", "seen"),
    [((64, 64), (256, 256)), ((160, 120), (256, 192)), ((33, 300), (28, 256)), ((1, 1), (256, 256))],
)
@pytest.mark.parametrize("species", INSTRUMENTS)
def test_the_picture_keeps_its_shape(species: str, shape: tuple[int, int], seen: tuple[int, int]) -> None:
    picture = np.full(shape, 90, np.uint8)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        out = recapture(picture, INSTRUMENTS[species].draw(rng), Shot.draw(rng), rng)
        assert out.shape == seen
        assert out.dtype == np.uint8


def test_ink_and_paper_bound_the_tones(still: Shot, paper: Paper) -> None:
    tones = [take(np.full((64, 64), level, np.uint8), paper, still).mean() / 255 for level in (0, 128, 255)]
    assert tones == pytest.approx([0.1, 0.5, 0.9], abs=0.01)


def test_dots_stand_in_their_ruling(still: Shot, paper: Paper) -> None:
    """32 dots across, in a row: the spectrum's strongest line, 32 turns across."""
    printed = take(GRAY, replace(paper, dots=1.0, ruling=32, angle=0.0), still)
    spectrum = np.abs(np.fft.rfft(printed.mean(axis=0)))
    assert np.argmax(spectrum[1:]) + 1 == 32
    assert printed.std() > 50
    assert printed.mean() == pytest.approx(take(GRAY, paper, still).mean(), abs=3)  # the tone stays
    assert take(GRAY, paper, still).std() < 1


def test_a_highlight_lies_where_the_sheet_mirrors_the_lamp(still: Shot, paper: Paper) -> None:
    shining = take(GRAY, replace(paper, gloss=0.3, place=0.75, width=0.1, angle=0.0), still).mean(axis=0)
    assert np.argmax(shining) == pytest.approx(0.75 * CAMERA, abs=3)
    assert shining.max() - shining.min() == pytest.approx(0.3 * 255, abs=3)


def test_a_bent_sheet_is_dark_at_its_sides_and_straight_along_them(still: Shot, paper: Paper) -> None:
    bent = take(GRAY, replace(paper, bend=0.3, axis=0), still)
    assert bent[:, 1].mean() / bent[:, CAMERA // 2].mean() == pytest.approx(0.7, abs=0.02)
    assert np.abs(np.diff(bent, axis=0)).max() < 3


def test_edges_show_white_margin_and_what_is_behind(still: Shot, paper: Paper) -> None:
    small = replace(still, corners=square(0.8))  # the face from 10 to 90 % of the photograph
    row = take(GRAY, replace(paper, margin=0.05, behind=0.2), small)[CAMERA // 2] / 255
    assert row[: CAMERA // 20].mean() == pytest.approx(0.2, abs=0.02)
    assert row[int(0.08 * CAMERA)] == pytest.approx(0.9, abs=0.02)
    assert row[int(0.12 * CAMERA) : int(0.88 * CAMERA)].mean() == pytest.approx(0.5, abs=0.02)


def test_an_edge_gives_not_every_attack_away(screen: Screen) -> None:
    frame = np.zeros((CAMERA, CAMERA), bool)
    frame[[0, -1]] = frame[:, [0, -1]] = True
    white = np.full((64, 64), 255, np.uint8)
    shots = [replace(Shot.draw(np.random.default_rng(k)), light=1.0, falloff=0.0, noise=0.0) for k in range(100)]
    dark = [take(white, screen, shot)[frame].min() < 200 for shot in shots]
    assert 0.3 < np.mean(dark) < 0.6


def test_the_bezel_is_dark(still: Shot, screen: Screen) -> None:
    row = take(GRAY, replace(screen, bezel=0.1), replace(still, corners=square(0.8)))[CAMERA // 2] / 255
    assert row[: CAMERA // 12].mean() == pytest.approx(0.1, abs=0.02)
    assert row[CAMERA // 2] == pytest.approx(0.5, abs=0.02)


def test_a_grid_as_fine_as_the_camera_beats_with_it(still: Shot, screen: Screen) -> None:
    """Moire: 250 pixels under a camera's 256 make the difference, 6 waves; a coarse grid shows itself."""
    for pixels, waves in ((CAMERA - 6, 6), (CAMERA + 9, 9), (60, 60)):
        seen = take(GRAY, replace(screen, pixels=pixels, grid=(0.9, 0.0)), still)
        spectrum = np.abs(np.fft.rfft(seen.mean(axis=0)))
        assert np.argmax(spectrum[1:]) + 1 == waves
    assert take(GRAY, replace(screen, pixels=60, grid=(0.5, 0.5)), still).mean() == pytest.approx(128, abs=2)


def test_bands_and_reflections(still: Shot, screen: Screen) -> None:
    banded = take(GRAY, replace(screen, band=0.2, bands=5), still)
    assert np.argmax(np.abs(np.fft.rfft(banded.mean(axis=1)))[1:]) + 1 == 5
    window = (0.5, 0.5, 0.2, 0.1, 0.02)
    glaring = take(GRAY, replace(screen, glare=0.3, window=window), still)
    assert np.mean(glaring > 150) == pytest.approx(0.4 * 0.2, abs=0.01)


def detail(picture: np.ndarray) -> float:
    """Of the finest: what neighbours differ by."""
    scaled = cv2.resize(picture, (CAMERA, CAMERA), interpolation=cv2.INTER_LINEAR).astype(float)
    return float(np.abs(np.diff(scaled, axis=1)).mean())


def test_the_picture_of_a_face_has_fewer_pixels_and_a_file_s_traces() -> None:
    picture = np.random.default_rng(0).integers(60, 200, (128, 96), np.uint8)
    sharp = Picture(share=1.0, blur=0.1, noise=0.0, quality=100)
    assert np.abs(sharp(picture, np.random.default_rng(0)).astype(float) - picture).mean() < 2
    assert sharp(cv2.merge([picture] * 3), np.random.default_rng(0)).shape == (128, 96)
    halved = replace(sharp, share=0.5)
    assert halved(picture, np.random.default_rng(0)).shape == (64, 48)
    flat = np.full((128, 96), 128, np.uint8)
    assert replace(sharp, noise=0.02)(flat, np.random.default_rng(0)).std() == pytest.approx(0.02 * 255, rel=0.1)
    worse = [replace(sharp, share=share)(picture, np.random.default_rng(0)) for share in (1.0, 0.7, 0.4)]
    worse += [replace(halved, blur=0.6)(picture, np.random.default_rng(0))]
    details = [detail(one) for one in worse]
    assert details[0] > details[1] > details[2]
    assert details[3] < detail(halved(picture, np.random.default_rng(0)))
    noisy = [replace(sharp, quality=quality)(picture, np.random.default_rng(0)) for quality in (95, 60)]
    errors = [np.abs(one.astype(float) - picture).mean() for one in noisy]
    assert errors[0] < errors[1]


def test_attacks_are_seen_twice_and_live_faces_once(
    still: Shot, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A perfect display before a perfect camera: what is lost was lost in the picture that it shows."""
    monkeypatch.setattr(Shot, "draw", lambda _: still)
    monkeypatch.setattr(Screen, "draw", lambda _: screen)
    monkeypatch.setattr(Picture, "draw", lambda _: Picture(share=0.4, blur=0.3, noise=0.0, quality=90))
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (CAMERA, CAMERA), np.uint8), (0, 0), 1.0)
    live, attack = (photographed(picture, on, np.random.default_rng(0)) for on in ("camera", "screen"))
    assert detail(live) == pytest.approx(detail(picture), rel=0.25)
    assert detail(attack) < 0.6 * detail(live)


def plant(root: Path, people: int = 6) -> None:
    for person in range(people):
        folder = root / "live" / str(person) / "drive"
        folder.mkdir(parents=True)
        (folder / "1.png").write_bytes(cv2.imencode(".png", face(seed=person))[1].tobytes())
        (root / "attack-mask" / str(person)).mkdir(parents=True)
        (root / "attack-mask" / str(person) / "1.png").write_bytes(cv2.imencode(".png", face(seed=99))[1].tobytes())


@pytest.mark.parametrize("species", INSTRUMENTS)
def test_an_image_has_one_attack_and_another_image_another(species: str, tmp_path: Path) -> None:
    root = tmp_path / "mine"
    plant(root)
    first, again = (load(f"{species}+spoof:{root}") for _ in range(2))
    assert first == again
    assert first.name == f"{species}+mine"
    assert {(s.dataset, s.genuine, s.attack, s.session) for s in first.samples} == {
        (f"{species}+mine", False, species, "drive")
    }
    assert len({sample.path.read_bytes() for sample in first.samples}) == 6  # of the live images alone
    assert {sample.read().shape for sample in first.samples} == {face().shape}
    before = first.samples[0].path.read_bytes()
    first.samples[0].path.unlink()
    assert load(f"{species}+spoof:{root}").samples[0].path.read_bytes() == before


def test_live_faces_before_the_camera_stay_live(tmp_path: Path) -> None:
    plant(tmp_path / "mine")
    live, seen = load(f"spoof:{tmp_path}/mine"), load(f"camera+spoof:{tmp_path}/mine")
    assert {(s.dataset, s.genuine, s.attack, s.session) for s in seen.samples} == {("camera+mine", True, None, "drive")}
    assert not any(sample.rendered for sample in live.samples)
    assert all(sample.rendered for sample in seen.samples)
    assert joined(live, seen).subjects == live.subjects
    before = next(s for s in live.samples if s.genuine).read()
    after = next(s for s in seen.samples if s.subject == live.samples[0].subject).read()
    assert after.shape == before.shape
    assert not np.array_equal(after, before)


def test_sharpness_is_no_sign_of_an_attack_before_cameras_of_all_kinds(
    still: Shot, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live faces lose the same in a picture of theirs; a display that shows all of it adds nothing."""
    monkeypatch.setattr(Shot, "draw", lambda _: still)
    monkeypatch.setattr(Screen, "draw", lambda _: screen)
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (CAMERA, CAMERA), np.uint8), (0, 0), 1.0)
    live, attack = (
        [photographed(picture, f"varied-{on}", np.random.default_rng(seed)) for seed in range(12)]
        for on in ("camera", "screen")
    )
    before = detail(picture)
    assert [detail(one) for one in live] == pytest.approx([detail(one) for one in attack], rel=0.15)
    assert np.mean([detail(one) for one in live]) < 0.7 * before
    assert all(one.shape == (CAMERA, CAMERA) for one in live + attack)


def test_a_varied_rendering_has_a_camera_of_a_kind(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    plant(root)
    live, attacks = (load(f"varied-{on}+spoof:{root}") for on in ("camera", "screen"))
    assert load(f"varied-screen+spoof:{root}") == attacks
    assert {(s.dataset, s.genuine, s.attack) for s in live.samples} == {("varied-camera+mine", True, None)}
    assert {(s.dataset, s.genuine, s.attack) for s in attacks.samples} == {("varied-screen+mine", False, "screen")}
    assert {s.camera for s in live.samples} <= set(KINDS)
    assert [s.camera for s in live.samples] == [s.camera for s in attacks.samples]  # of one picture
    source = next(s for s in load(f"live:{root / 'live'}").samples)
    randomness = np.random.default_rng(np.frombuffer(hashlib.sha256(source.path.read_bytes()).digest(), np.uint32))
    assert live.samples[0].camera == str(randomness.choice(list(KINDS)))
    assert {sample.read().shape for sample in (*live.samples, *attacks.samples)} == {face().shape}
    assert {s.camera for s in load(f"camera+spoof:{root}").samples} == {None}


def test_itself_is_the_face_before_a_perfect_camera(still: Shot) -> None:
    picture = cv2.resize(face(), (CAMERA, CAMERA), interpolation=cv2.INTER_CUBIC)
    assert np.abs(take(picture, NoInstrument(), still) - picture).mean() < 2
    mirrored = take(picture, NoInstrument(), replace(still, corners=square(0.9)))
    assert np.abs(mirrored[:13] - mirrored[25:12:-1]).mean() < 4  # the edge lies 12.8 pixels down


def test_rendering_tells_how_far_it_is(tmp_path: Path) -> None:
    plant(tmp_path / "mine")
    told: list[tuple[str, int, int]] = []
    load(f"print+spoof:{tmp_path}/mine", f"screen+spoof:{tmp_path}/mine", progress=lambda *one: told.append(one))
    assert told == [(f"rendering {name}+mine", done + 1, 6) for name in ("print", "screen") for done in range(6)]
    told.clear()
    load(f"spoof:{tmp_path}/mine", "synthetic:2", progress=lambda *one: told.append(one))
    assert told == [("drawing synthetic", 1, 2), ("drawing synthetic", 2, 2)]


def test_attacks_are_of_the_same_people(tmp_path: Path) -> None:
    plant(tmp_path / "mine")
    live = load(f"spoof:{tmp_path}/mine")
    everything = joined(live, *(load(f"{species}+spoof:{tmp_path}/mine") for species in INSTRUMENTS))
    assert everything.subjects == live.subjects
    assert split_subjects(everything, seed=1) == split_subjects(live, seed=1)
    assert data_license(["print+lfw", "lfw"]) == data_license(["lfw"])
    assert "a+b: the user's own data" in data_license(["print+a+b"], own={"a+b"}).statement


def test_specifications_and_faces_that_cannot_be_read(tmp_path: Path) -> None:
    for wrong in (
        "print+",
        "print+cedar:x",
        "screen+synthetic:3",
        "print+screen+lfw:x",
        "photo+lfw:x",
        "mask+lfw:x",
        "camera+cedar:x",
        "crop+cedar:x",
        "crop+photo+cedar:x",
        "print+crop+lfw:x",
    ):
        with pytest.raises(UsageError, match="names no data set"):
            load(wrong)
    (tmp_path / "mine" / "anna").mkdir(parents=True)
    (tmp_path / "mine" / "anna" / "1.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"1\.png cannot be rendered"):
        load(f"print+live:{tmp_path / 'mine'}")
