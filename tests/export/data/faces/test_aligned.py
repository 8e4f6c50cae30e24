"""Faces aligned as a device does: those it would compare, in the square that it sees, and in a larger one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from typing_extensions import Self

from edge_sdk import images
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.faces import aligned
from edge_sdk.export.data.load import load, original
from edge_sdk.export.data.pair_lists import NO_PICTURE, load_pairs
from edge_sdk.export.evaluation.verification.samples import faces_in
from edge_sdk.manifest import Image
from edge_sdk.preprocess.align import FaceAlignment
from edge_sdk.preprocess.crop import FaceCrop
from edge_sdk.runtime.one_face import OneFace

from ....runtime.drawn import frame
from ....runtime.known_faces import located, textured


class Knowing:
    """In place of the shipped locator: one face in frames of 240 x 280, two in wider ones, none in square ones."""

    bundle = SimpleNamespace(id="known-1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, image: np.ndarray) -> tuple:
        width = image.shape[1]
        if width == 460:
            return located(20, 20, 200), located(240, 20, 200)
        return (located(40, 20, 200),) if width == 280 else ()


@pytest.fixture(autouse=True)
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(aligned, "Locator", Knowing)


def picture(*faces: tuple[int, int, int], width: int = 280, seed: int = 0) -> np.ndarray:
    return textured(frame(*faces, height=240, width=width), seed)


def write(path: Path, shown: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", shown)[1].tobytes())


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A person alone, one beside another, and a wall."""
    root = tmp_path / "mine"
    write(root / "anna/1.png", picture((40, 20, 200)))
    write(root / "bert/1.png", picture((20, 20, 200), (240, 20, 200), width=460))
    write(root / "wall/1.png", picture(width=240))
    return root


def test_what_is_aligned_is_what_the_device_compares(mine: Path) -> None:
    (found,) = load(f"align+live:{mine}").samples

    assert (found.dataset, found.subject, original(found.dataset)) == ("align+mine", "mine/anna", "mine")
    device = OneFace(Knowing(), FaceAlignment())(images.load(mine / "anna/1.png"))
    assert found.read().shape == (112, 112, 3)
    # Positions are rounded to 1/32 pixel, in a frame that is cut out elsewhere.
    np.testing.assert_allclose(found.read().astype(int), device.sample.astype(int), atol=12)
    assert found.surroundings is not None
    wide = images.load(found.surroundings)
    assert wide.shape == (144, 144, 3)
    np.testing.assert_array_equal(wide[16:-16, 16:-16], found.read())


def test_nobody_to_compare_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "empty/wall/1.png", picture(width=240))
    with pytest.raises(DatasetError, match="can be compared in none"):
        load(f"align+live:{tmp_path / 'empty'}")


def test_pairs_of_aligned_faces_leave_out_those_without(tmp_path: Path) -> None:
    root = tmp_path / "lfw"
    for person, widths in (("A", (280, 280, 240)), ("B", (280,))):
        for number, width in enumerate(widths, start=1):
            faces = [(40, 20, 200)] if width == 280 else []
            write(root / person / f"{person}_{number:04d}.jpg", picture(*faces, width=width, seed=len(person) + number))
    write(root / "B/B_0001.jpg", picture((40, 20, 200), seed=9))
    (root / "pairs.txt").write_text("1\t2\nA\t1\t2\nA\t1\t3\nA\t1\tB\t1\nA\t3\tB\t1\n")

    pairs = load_pairs(f"align+lfw:{root}")

    assert [sample.dataset for sample in pairs.data.samples] == ["align+lfw"] * 3
    assert [(pair.first.name, pair.second.name, pair.reason) for pair in pairs.left_out] == [
        ("A_0001.jpg", "A_0003.jpg", NO_PICTURE),
        ("A_0003.jpg", "B_0001.jpg", NO_PICTURE),
    ]
    assert pairs.mated.tolist() == [True, False]


def test_what_is_cut_out_as_the_bundle_says_is_not_cut_again(mine: Path) -> None:
    plain, made = load(f"live:{mine}").samples, load(f"align+live:{mine}").samples
    aligning, cutting = Image(alignment=FaceAlignment()), Image(face=FaceCrop(scale=1.2, overflow="black"))
    assert faces_in(aligning, made) == "aligned"
    assert faces_in(aligning, plain) == faces_in(cutting, made) == faces_in(Image(), plain) == "locator"
    with pytest.raises(UsageError, match="some pictures are cut out and others are not"):
        faces_in(aligning, [*made, *plain])
