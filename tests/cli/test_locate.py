"""``locate``: what it finds, its exit codes, the picture that it draws, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import Locator, images
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main

from ..runtime.located import frame, locator_bundle, point


@pytest.fixture(scope="module")
def bundle(make_bundle: Callable[..., Bundle]) -> str:
    return str(locator_bundle(make_bundle, point(0.5), point(0.4, "eer", None, missed=0)).path)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """A picture of one large and one small face."""
    path = tmp_path / "frame.png"
    assert cv2.imwrite(str(path), frame((3, 3), (10, 12)))
    return str(path)


def test_locate_says_what_the_locator_says(bundle: str, picture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["locate", picture, "--bundle", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    with Locator(bundle) as locator:
        expected = json.loads(json.dumps(locator.find(picture).as_dict()))
    del said["contract_version"], said["timings"], expected["timings"]
    assert said == expected
    assert len(said["faces"]) == 2
    assert set(said["faces"][0]) == {"left", "top", "width", "height", "points", "confidence"}


def test_locate_for_people(bundle: str, picture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["locate", picture, "--bundle", bundle, "--operating-point", "eer"]) == 0
    first, *faces, last = capsys.readouterr().out.splitlines()
    assert first.startswith("2 FACES   found from 0.4000 (eer)")
    with Locator(bundle) as locator:
        for line, face in zip(faces, locator.locate(picture), strict=True):
            assert line.split()[:4] == [str(value) for value in (face.left, face.top, face.width, face.height)]
    assert "fp32.onnx on" in last


@pytest.mark.parametrize(
    ("words", "faces"), [([], 2), (["--threshold", "0.999"], 0), (["--smallest", "0.5"], 0), (["--smallest", "0"], 2)]
)
def test_exit_codes(
    bundle: str, picture: str, words: list[str], faces: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["locate", picture, "--bundle", bundle, "--json", *words]) == (0 if faces else 1)
    assert len(json.loads(capsys.readouterr().out)["faces"]) == faces
    assert main(["locate", picture, "--bundle", bundle, *words]) == (0 if faces else 1)
    assert capsys.readouterr().out.startswith("2 FACES" if faces else "NO FACE")


def test_the_faces_are_drawn(bundle: str, picture: str, tmp_path: Path) -> None:
    out = tmp_path / "drawn" / "out.png"
    assert main(["locate", picture, "--bundle", bundle, "--draw", str(out)]) == 0
    drawn = images.load(out)
    assert drawn.shape == (480, 640, 3)
    with Locator(bundle) as locator:
        for face in locator.locate(picture):
            assert drawn[face.top, face.left].tolist() == [0, 255, 0]
            x, y = face.points[2]
            assert drawn[int(y), int(x)].tolist() == [0, 0, 255]
    np.testing.assert_array_equal(images.load(picture), frame((3, 3), (10, 12)))


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.jpg", b"\xff\xd8\xff"), ("a.JPEG", b"\xff\xd8\xff"), ("a.PNG", b"\x89PNG"), ("a", b"\x89PNG")],
)
def test_the_drawing_is_what_its_name_says(bundle: str, picture: str, tmp_path: Path, name: str, start: bytes) -> None:
    assert main(["locate", picture, "--bundle", bundle, "--draw", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_bytes().startswith(start)
    assert images.load(tmp_path / name).shape == (480, 640, 3)


def test_other_names_of_drawings_are_refused_first(
    bundle: str, picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "a.gif"
    assert main(["locate", picture, "--bundle", bundle, "--draw", str(out)]) == 2
    assert "--draw writes .png or .jpg, not .gif" in capsys.readouterr().err
    assert not out.parent.exists()


def test_the_picture_is_not_drawn_over(
    bundle: str, picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(picture).read_bytes()
    (tmp_path / "link.png").symlink_to(picture)
    for out in (picture, str(tmp_path / "link.png")):
        assert main(["locate", picture, "--bundle", bundle, "--draw", out]) == 2
        assert "is the picture to search: name another file to write" in capsys.readouterr().err
    assert Path(picture).read_bytes() == before


def test_what_cannot_be_searched_is_an_error(bundle: str, picture: str, tmp_path: Path, tiny_bundle: Bundle) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(Path(picture).read_bytes()[:100])
    for code, words in (
        (2, []),
        (2, [picture, "--smallest", "2"]),
        (2, [picture, "--threshold", "0"]),
        (3, [str(tmp_path / "absent.png")]),
        (3, [str(damaged)]),
        (3, [picture, "--operating-point", "none"]),
        (3, [picture, "--bundle", str(tiny_bundle.path)]),
        (3, [picture, "--draw", str(tmp_path / "frame.png" / "below-a-file.png")]),
    ):
        assert main(["locate", "--bundle", bundle, *words]) == code
