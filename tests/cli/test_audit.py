"""``--audit``: what the commands write, and that nothing is decided without it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from edge_sdk.cli import main

from ..runtime.drawn import frame
from ..runtime.filmed import film

Capture = pytest.CaptureFixture[str]


def lines(path: Path) -> list[tuple[str, str]]:
    return [(line["event"], line["outcome"]) for line in map(json.loads, path.read_text().splitlines())]


def test_verify_enroll_and_identify(pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: Capture) -> None:
    log, template = tmp_path / "audit.jsonl", str(tmp_path / "anna.template")
    options = ["--bundle", bundle, "--audit", str(log)]
    assert main(["verify", pictures[0], pictures[0], *options]) == 0
    assert main(["verify", *pictures, *options]) == 1
    assert main(["enroll", pictures[0], "-o", template, *options]) == 0
    assert main(["identify", pictures[0], template, *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["identity"] == template
    assert main(["verify", pictures[0], str(tmp_path / "absent.png"), *options]) == 3
    assert lines(log) == [
        ("verify", "accepted"),
        ("verify", "rejected"),
        ("enroll", "enrolled"),
        ("identify", "identified"),
        ("verify", "error"),
    ]
    assert str(tmp_path) not in log.read_text()


def test_spoof(tmp_path: Path, capsys: Capture) -> None:
    log, picture = tmp_path / "audit.jsonl", tmp_path / "face.png"
    assert cv2.imwrite(str(picture), frame((200, 100, 200)))
    main(["spoof", str(picture), "--audit", str(log)])
    main(["spoof", str(film(tmp_path / "face.avi", [frame(seed=n) for n in range(4)], 8)), "--audit", str(log)])
    assert [event for event, _ in lines(log)] == ["detect", "stream"]
    assert lines(log)[1][1] == "no_face"


@pytest.mark.parametrize("command", ["verify", "identify", "spoof"])
def test_what_cannot_be_written_is_no_accept(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: Capture, command: str
) -> None:
    template = str(tmp_path / "anna.template")
    assert main(["enroll", pictures[0], "-o", template, "--bundle", bundle]) == 0
    words = {
        "verify": ["verify", pictures[0], pictures[0], "--bundle", bundle],
        "identify": ["identify", pictures[0], template, "--bundle", bundle],
        "spoof": ["spoof", pictures[0], "--faces", "cropped"],
    }[command]
    assert main([*words, "--audit", str(tmp_path / "absent" / "audit.jsonl")]) == 3
    assert "StorageError" in capsys.readouterr().err
