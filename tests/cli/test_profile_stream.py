"""``profile --stream``: what it prints and writes of a film in real time, and when it fails or is interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import SpoofDetector
from edge_sdk.bundle import Bundle
from edge_sdk.cli import INTERRUPTED, main

from ..runtime.drawn import face
from ..runtime.filmed import film
from ..runtime.test_detector import spoof_bundle

pytestmark = pytest.mark.usefixtures("fake_engine")

Maker = Callable[..., Bundle]


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    pictures = [face(480)[:, :, None] + rng.integers(0, 4, (480, 480, 3), np.uint8) for _ in range(4)]
    return film(tmp_path / "driver.mkv", [np.pad(picture, ((0, 0), (80, 80), (0, 0))) for picture in pictures], 30)


def test_a_film_in_real_time(
    make_bundle: Maker, driver: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    bundle = str(spoof_bundle(make_bundle).path)
    options = ["--engine", "fake", "--faces", "cropped", "--stream", str(driver), "--deadline", "2"]
    assert main(["profile", bundle, *options, "--report", str(page), "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["film"], found["fps"], found["engine"]) == (str(driver), 30.0, "fake")
    assert found["measured"]["frames"] + found["measured"]["dropped"] == 4
    assert found["measured"]["scored"] > 0
    assert "dropped" in captured.err
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_film_that_says_nothing_is_3(
    make_bundle: Maker, driver: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(spoof_bundle(make_bundle).path)
    dark = film(tmp_path / "dark.avi", [np.zeros((480, 640, 3), np.uint8)] * 2, 30)
    assert main(["profile", bundle, "--engine", "fake", "--stream", str(dark)]) == 3
    assert "the network never ran" in capsys.readouterr().out
    for path, words in ((tmp_path / "none.mkv", "no such file"), (tmp_path, "is a folder")):
        assert main(["profile", bundle, "--engine", "fake", "--stream", str(path), "--json"]) == 3
        assert words in json.loads(capsys.readouterr().out)["error"]["message"]


def test_what_ctrl_c_interrupts_is_printed(
    make_bundle: Maker, driver: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = SpoofDetector.stream

    def interrupted(self: SpoofDetector, *args: object, **settings: object) -> object:
        yield next(whole(self, *args, **settings))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(SpoofDetector, "stream", interrupted)
    bundle = str(spoof_bundle(make_bundle).path)
    options = ["--engine", "fake", "--faces", "cropped", "--stream", str(driver)]
    assert main(["profile", bundle, *options]) == INTERRUPTED
    assert "Interrupted" in capsys.readouterr().out
