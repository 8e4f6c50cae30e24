"""Faces cut out as a device does: those it would judge, of the size that the camera gave them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import SpoofDetector, images
from edge_sdk.errors import DatasetError
from edge_sdk.export.data.faces.instruments import INSTRUMENTS
from edge_sdk.export.data.licenses import data_license
from edge_sdk.export.data.load import before_rendering, load, load_unlabeled, original
from edge_sdk.export.data.samples import joined
from edge_sdk.runtime.faces import Cascade

from ....runtime.drawn import face, frame


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A person alone, one beside another, and a wall; and what is said to be a print."""
    shown = {
        "live/anna/1": frame((40, 20, 200), height=240, width=280),
        "live/bert/1": frame((20, 20, 200), (240, 20, 200), height=240, width=460),
        "live/wall/1": frame(height=240, width=280),
        "attack-print/anna/1": frame((30, 10, 220), height=240, width=280, seed=1),
    }
    for name, picture in shown.items():
        path = tmp_path / "mine" / f"{name}.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return tmp_path / "mine"


def test_what_is_cut_out_is_what_the_detector_judges(mine: Path) -> None:
    found = load(f"crop+spoof:{mine}")
    assert found.name == "crop+mine"
    assert [(s.dataset, s.subject, s.genuine, s.attack) for s in found.samples] == [
        ("crop+mine", "mine/anna", True, None),
        ("crop+mine", "mine/anna", False, "print"),
    ]
    with SpoofDetector("liveness") as detector:
        for sample, path in zip(found.samples, ("live/anna/1.png", "attack-print/anna/1.png"), strict=True):
            seen = detector.examine(mine / path).face
            assert seen is not None
            assert np.array_equal(sample.read(), images.load(cv2.imencode(".png", seen)[1].tobytes()))
        assert detector.examine(mine / "live/bert/1.png").flags == ("several_faces",)
        assert not detector.examine(mine / "live/wall/1.png").boxes


@pytest.mark.parametrize("kind", ["camera", *INSTRUMENTS])
def test_rendered_faces_have_the_camera_s_pixels(kind: str, mine: Path) -> None:
    """Cut out of the photograph as it was taken: the picture, 280 pixels wide, is 256 pixels wide there."""
    found, again = (load(f"crop+{kind}+spoof:{mine}") for _ in range(2))
    assert found == again
    assert found.name == f"crop+{kind}+mine"
    (one,) = found.samples
    assert (one.subject, one.genuine, one.attack) == ("mine/anna", kind == "camera", None if kind == "camera" else kind)
    assert one.rendered
    side = load(f"crop+spoof:{mine}").samples[0].read().shape[0]
    height, width = one.read().shape
    assert height == width == pytest.approx(side * 256 / 280, rel=0.2)
    whole = load(f"{kind}+spoof:{mine}")
    assert len(whole.samples) == 3
    assert whole.samples[0].read().shape == (240, 280)
    assert joined(load(f"spoof:{mine}"), whole, found).subjects == whole.subjects


def test_a_face_that_fills_its_picture(tmp_path: Path) -> None:
    """The cascade needs surroundings; what is cut out has none that were made up."""
    picture = face(200)[15:190, 20:180]
    assert not Cascade()(picture)
    path = tmp_path / "tight" / "anna" / "1.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    (one,) = load(f"crop+live:{tmp_path / 'tight'}").samples
    cut = one.read()
    assert cut.shape == (160, 160)
    assert any(np.array_equal(cut, picture[top : top + 160]) for top in range(16))


def test_names_lead_back_to_the_pictures(mine: Path) -> None:
    assert [original(name) for name in ("crop+print+lfw", "crop+lfw", "camera+lfw", "a+b")] == ["lfw"] * 3 + ["a+b"]
    assert before_rendering("crop+screen+lfw") == "crop+lfw"
    assert [before_rendering(name) for name in ("screen+lfw", "lfw", "a+b")] == ["lfw", "lfw", "a+b"]
    assert data_license(["crop+print+lfw", "crop+lfw"]) == data_license(["lfw"])
    assert len(load_unlabeled(f"crop+live:{mine / 'live'}", modality="face").samples) == 1


def test_no_face_at_all(mine: Path) -> None:
    for person in ("anna", "bert"):
        (mine / "live" / person / "1.png").unlink()
    with pytest.raises(DatasetError, match="a single face in none"):
        load(f"crop+live:{mine / 'live'}")
    (mine / "live" / "wall" / "1.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"1\.png cannot be rendered"):
        load(f"crop+live:{mine / 'live'}")
