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


def test_a_template_that_is_refused_has_a_line(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: Capture
) -> None:
    """Though the call that it was for never began: a swapped file, a wrong key, a picture in a template's place."""
    log, template = tmp_path / "audit.jsonl", str(tmp_path / "anna.template")
    options = ["--bundle", bundle, "--audit", str(log)]
    for key in ("device.key", "other.key"):
        assert main(["keygen", "template", str(tmp_path / key)]) == 0
    device, other = (["--key", str(tmp_path / key)] for key in ("device.key", "other.key"))
    assert main(["enroll", pictures[0], "-o", template, "--bundle", bundle, *device]) == 0
    for words in (
        ["verify", template, pictures[0], *device, "--template-id", "0" * 32],
        ["verify", template, pictures[0], *other],
        ["verify", pictures[0], pictures[0], *device],
        ["identify", pictures[0], template, *other],
        ["enroll", pictures[0], "--update", template, *other],
    ):
        assert main([*words, *options]) == 3, words
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["event"], line["error"]) for line in found] == [
        ("verify", "TemplateError"),
        ("verify", "TemplateKeyError"),
        ("verify", "TemplateError"),
        ("identify", "TemplateKeyError"),
        ("update", "TemplateKeyError"),
    ]
    assert {(line["outcome"], line["sequence"]) for line in found} == {("error", 1)}
    assert main(["verify", template, pictures[0], *device, *options, "--revoked", str(tmp_path / "absent")]) == 3
    assert len(log.read_text().splitlines()) == len(found), "no session was opened"


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
