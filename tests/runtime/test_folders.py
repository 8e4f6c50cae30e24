"""What lies in a folder, and which of it is judged."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import cv2
import pytest

from edge_sdk.errors import ImageDecodeError
from edge_sdk.runtime import folders

from .drawn import frame
from .filmed import film


def test_a_folder_is_a_video_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for name in ("frame10.png", "frame9.PNG", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "below.png").mkdir()
    found = list(folders.frames(tmp_path, fps=4))
    assert found == [(0.0, tmp_path / "frame9.PNG"), (0.25, tmp_path / "frame10.png")]
    for call in (folders.items, partial(folders.frames, fps=4)):
        with pytest.raises(ImageDecodeError, match="no PNG"):
            call(tmp_path / "below.png")


def test_the_content_of_files_in_a_folder_says_what_they_are(tmp_path: Path) -> None:
    jpeg, webp = (cv2.imencode(suffix, frame())[1].tobytes() for suffix in (".jpg", ".webp"))
    film(tmp_path / "9.avi", [frame()])
    written = {
        "1.jfif": jpeg, "2.JPE": jpeg, "3": jpeg, "4.txt": jpeg, "5.webp": webp, "6.png": b"", "7.heic": b"words",
        "8.gif": b"GIF89a", "10.mov": b"", "12.csv": b"a,b", "13": b"", "Thumbs.db": jpeg, ".DS_Store": b"",
        "._1.jpg": jpeg, "desktop.ini": b"",
    }  # fmt: skip
    for name, data in written.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "14.jpg").symlink_to("gone.jpg")
    (tmp_path / "15.jpg").mkdir()
    (tmp_path / "16.jpg").symlink_to("1.jfif")
    os.mkfifo(tmp_path / "17.jpg")
    found = {item.path.name: (item.use, item.reason) for item in folders.items(tmp_path)}
    assert list(found) == [
        "1.jfif", "2.JPE", "3", "4.txt", "5.webp", "6.png", "7.heic", "8.gif", "9.avi", "10.mov", "12.csv", "13",
        "14.jpg", "15.jpg", "16.jpg", "17.jpg",
    ]  # fmt: skip
    judged = {name for name, (use, _) in found.items() if use == "picture"}
    assert judged == {"1.jfif", "2.JPE", "3", "4.txt", "6.png", "7.heic", "16.jpg"}
    assert found["5.webp"] == ("unsupported", "WebP: save it as PNG, JPEG, BMP or TIFF")
    assert found["8.gif"] == ("unsupported", "GIF: save it as PNG, JPEG, BMP or TIFF")
    assert found["9.avi"] == ("unsupported", "a video: name it too, by itself")
    assert found["10.mov"] == (
        "unsupported",
        "a video by its name, but damaged, or of another container than AVI, MP4, MOV, MKV and WebM",
    )
    assert found["12.csv"] == ("other", "neither a picture nor a video")
    assert found["13"] == ("other", "empty, 0 bytes")
    assert found["14.jpg"] == ("unreadable", "a link to a file that is not there")
    assert found["15.jpg"] == ("unsupported", "a folder in a folder is not searched: name it too")
    assert found["17.jpg"] == ("unreadable", "is a pipe, not a file")
