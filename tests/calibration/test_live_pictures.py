"""Which live pictures are taken, whose they are, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import SpoofDetector
from edge_sdk.bundle import Bundle
from edge_sdk.calibration import live_pictures
from edge_sdk.calibration.live_pictures import LivePicture
from edge_sdk.errors import DatasetError, ImageNotFoundError, VideoDecodeError

from ..runtime.drawn import frame
from ..runtime.test_detector import locator, spoof_bundle

pytestmark = pytest.mark.usefixtures("fake_engine")
Maker = Callable[..., Bundle]


def picture(path: Path, seed: int = 0, side: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    assert cv2.imwrite(str(path), noise)
    return path


def of(*paths: Path) -> list[tuple[str, str]]:
    return [(one.person, Path(one.name).name) for one in live_pictures.in_paths(paths)]


def test_a_folder_of_one_person(tmp_path: Path) -> None:
    for name in ("10.png", "2.png", "notes.txt"):
        picture(tmp_path / "anna" / name) if name.endswith("png") else (tmp_path / "anna" / name).write_text("dark")
    assert of(tmp_path / "anna") == [("anna", "2.png"), ("anna", "10.png")]


def test_a_folder_for_each_person_with_recordings(tmp_path: Path) -> None:
    picture(tmp_path / "mine" / "anna" / "morning" / "0.png")
    picture(tmp_path / "mine" / "anna" / "evening" / "0.png")
    picture(tmp_path / "mine" / "bert" / "0.jpg")
    picture(tmp_path / "mine" / ".thumbnails" / "0.png")
    (tmp_path / "mine" / "bert" / "1.jpg").write_bytes(b"")
    assert of(tmp_path / "mine") == [("anna", "0.png"), ("anna", "0.png"), ("bert", "0.jpg"), ("bert", "1.jpg")]
    assert of(tmp_path / "mine" / "bert", tmp_path / "mine" / "anna")[0] == ("bert", "0.jpg")


def test_folders_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "both" / "anna" / "0.png")
    loose = picture(tmp_path / "both" / "0.png")
    with pytest.raises(DatasetError, match=r"0\.png: pictures beside folders of people"):
        of(tmp_path / "both")
    loose.unlink()
    picture(tmp_path / "both" / "attack-print" / "anna" / "0.png")
    picture(tmp_path / "nested" / "anna" / "attack-print" / "0.png")
    for attacks in (("both",), ("both", "attack-print"), ("nested",), ("nested", "anna")):
        with pytest.raises(DatasetError, match="attack-print holds attacks"):
            of(tmp_path.joinpath(*attacks))
    with pytest.raises(ImageNotFoundError):
        of(tmp_path / "nothing")
    with pytest.raises(VideoDecodeError, match="a picture; this takes a video"):
        of(picture(tmp_path / "one.png"))


def test_frames_are_taken_a_fifth_of_a_second_apart() -> None:
    frames = [(0.0, None), (0.1, None), (0.19, None), (0.2, None), (0.39, None), (0.45, None), (0.3, None)]
    names = [one.name for one in live_pictures.of_frames(iter(frames), "anna", "camera 0")]
    # The last is of a clock that ran backwards, which tells nothing of how far apart they are.
    assert names == [f"camera 0 at {time:.2f} s" for time in (0.0, 0.2, 0.45, 0.3)]


@pytest.fixture
def detector(make_bundle: Maker) -> SpoofDetector:
    return SpoofDetector(spoof_bundle(make_bundle), engine="fake", faces=locator)


def frames_of(count: int, **settings: object) -> list[LivePicture]:
    return [LivePicture("p", str(k), frame((200, 100, 200), seed=k, **settings)) for k in range(count)]  # type: ignore[arg-type]


def test_faces_are_cut_out_of_frames(detector: SpoofDetector) -> None:
    wrong = [
        LivePicture("p", "wall", frame()),
        LivePicture("p", "two", frame((200, 100, 200), (0, 280, 200))),
        LivePicture("p", "again", frame((200, 100, 200), seed=3)),
    ]
    found = live_pictures.cut_out(detector, [*frames_of(50), *wrong], same_size=True)
    assert len(found.faces) == 50
    assert found.faces[0].shape[:2] == (192, 192), "the box of 160 pixels, times the bundle's 1.2"
    assert {one.path: one.reasons for one in found.unusable} == {
        "wall": ("no_face",), "two": ("several_faces",), "again": ("frozen",),
    }  # fmt: skip


def test_pictures_without_a_face_are_too_few(detector: SpoofDetector) -> None:
    walls = [LivePicture("p", str(k), frame(seed=k)) for k in range(60)]
    with pytest.raises(DatasetError, match=r"0 usable live pictures of 60; .*\(no_face\)"):
        live_pictures.cut_out(detector, walls, same_size=True)


def test_frames_of_several_sizes_are_of_several_cameras(detector: SpoofDetector) -> None:
    mixed = [*frames_of(50), LivePicture("p", "large", frame((200, 100, 200), height=600, width=800))]
    with pytest.raises(DatasetError, match=r"several sizes \(50 of 640 x 480, 1 of 800 x 600\)"):
        live_pictures.cut_out(detector, mixed, same_size=True)


def test_too_many_pictures(detector: SpoofDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_pictures, "MOST", 55)
    with pytest.raises(DatasetError, match="more than 55"):
        live_pictures.cut_out(detector, frames_of(56), same_size=True)
