"""Which files below a folder are samples: no image is missed unnoticed, whatever its name or format."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import DatasetError
from edge_sdk.export.data.load import load, load_unlabeled

PIXELS = np.full((4, 6), 200, np.uint8)


def plant(root: Path, **files: str) -> Path:
    """Write one image a file, in the format that its value names."""
    for name, suffix in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(suffix, PIXELS)[1].tobytes())
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plant(tmp_path / "data", **{"anna/genuine/1.png": ".png", "anna/forged/1.png": ".png"})


def found(root: Path) -> list[str]:
    return [sample.path.relative_to(root).as_posix() for sample in load(f"folder:{root}").samples]


def test_images_of_other_endings_are_taken(root: Path) -> None:
    plant(root, **{"anna/genuine/2.jfif": ".jpg", "anna/genuine/3.JPE": ".jpg", "anna/genuine/4": ".png"})
    assert found(root) == [f"anna/genuine/{name}" for name in ("1.png", "2.jfif", "3.JPE", "4")] + ["anna/forged/1.png"]
    unlabeled = {
        sample.path.name for sample in load_unlabeled(str(root / "anna/genuine"), modality="signature").samples
    }
    assert unlabeled == {"1.png", "2.jfif", "3.JPE", "4"}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("2.webp", None, "WebP"),
        ("2.heic", b"\0\0\0\x20ftypheic" + bytes(16), "HEIC"),
        ("2", b"GIF89a", "GIF"),
        ("2.jfif", b"words", "no picture"),
        ("2.png", "gone.png", "a link to nothing"),
    ],
)
def test_images_that_cannot_be_read_are_named(name: str, content: bytes | str | None, problem: str, root: Path) -> None:
    path = root / "anna/genuine" / name
    if isinstance(content, str):
        path.symlink_to(content)
    else:
        path.write_bytes(content or cv2.imencode(".webp", PIXELS)[1].tobytes())
    for read in (lambda: load(f"folder:{root}"), lambda: load_unlabeled(str(root), modality="signature")):
        with pytest.raises(DatasetError, match=rf"1 file\(s\) cannot be read here: anna/genuine/{name} \({problem}\)"):
            read()


def test_what_is_no_image_is_passed_over(root: Path) -> None:
    before = found(root)
    for name, content in {
        "README.txt": b"words", "paper.pdf": b"%PDF-1.7", "anna/genuine/list.csv": b"a,b", "Thumbs.db": b"\xff\xd8\xff",
        "anna/genuine/.hidden.png": b"", "anna/film.avi": b"RIFF\0\0\0\0AVI ", "logo.gif": b"GIF89a",
    }.items():  # fmt: skip
        (root / name).write_bytes(content)
    assert found(root) == before


def test_an_image_beside_the_layout_is_named_whatever_its_ending(root: Path) -> None:
    plant(root, **{"anna/1.jfif": ".jpg"})
    with pytest.raises(DatasetError, match=r"do not fit the layout: anna/1\.jfif"):
        load(f"folder:{root}")


def test_linked_folders_are_read_once(root: Path, tmp_path: Path) -> None:
    plant(tmp_path / "elsewhere", **{"genuine/1.png": ".png", "forged/1.png": ".png"})
    (root / "bert").symlink_to(tmp_path / "elsewhere")
    (root / "again").symlink_to(root / "anna")
    (tmp_path / "elsewhere/genuine/loop").symlink_to(root)
    (tmp_path / "elsewhere/forged/loop").symlink_to(tmp_path / "elsewhere")
    assert found(root) == [
        "anna/genuine/1.png", "anna/forged/1.png", "bert/genuine/1.png", "bert/forged/1.png",
    ]  # fmt: skip


def test_a_folder_that_cannot_be_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def refused(path: str) -> object:
        if path.endswith("forged"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(DatasetError, match="forged: the folder cannot be read: Permission denied"):
        load(f"folder:{root}")
