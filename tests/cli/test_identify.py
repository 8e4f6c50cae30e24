"""``identify``: what it finds, its exit codes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import Template, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main

from ..runtime.filmed import film


@pytest.fixture
def templates(pictures: tuple[str, str], bundle: str, tmp_path: Path) -> tuple[str, str]:
    """A template of each picture."""
    paths = tmp_path / "one.template", tmp_path / "two.template"
    for picture, path in zip(pictures, paths, strict=True):
        assert main(["enroll", picture, "-o", str(path), "--bundle", bundle]) == 0
    return str(paths[0]), str(paths[1])


def test_identify_says_what_the_verifier_says(
    pictures: tuple[str, str], templates: tuple[str, str], bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["identify", pictures[1], *templates, "--bundle", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    with Verifier(bundle) as verifier:
        expected = verifier.identify(pictures[1], {path: Template.load(path) for path in templates}).as_dict()
    del said["contract_version"], said["timings"], expected["timings"]
    assert said == expected
    assert (said["identity"], said["decision"], said["enrolled"]) == (templates[1], True, 2)
    assert main(["identify", pictures[1], templates[0], "--bundle", bundle, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["identity"], said["decision"], len(said["candidates"])) == (None, False, 1)


def test_identify_for_people(
    pictures: tuple[str, str], templates: tuple[str, str], bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["identify", pictures[0], *templates, "--bundle", bundle, "--count", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"IDENTIFIED {templates[0]}")
    assert templates[1] not in said
    assert "expected FPIR 1.99%: an FMR of 1.00% for each of 2" in said
    assert main(["identify", pictures[0], templates[1], "--bundle", bundle]) == 1
    assert capsys.readouterr().out.startswith("NOT IDENTIFIED")
    assert main(["identify", pictures[0], *templates, "--bundle", bundle, "--threshold", "0.9"]) == 0
    assert "FPIR" not in capsys.readouterr().out, "no rate was measured at a threshold of one's own"


def test_what_is_no_search_is_an_error(
    pictures: tuple[str, str], templates: tuple[str, str], bundle: str, tmp_path: Path
) -> None:
    for code, words in (
        (2, [pictures[0]]),
        (2, [pictures[0], templates[0], templates[0]]),
        (2, [pictures[0], templates[0], "--count", "0"]),
        (3, [pictures[0], pictures[1]]),
        (3, [str(tmp_path / "none.png"), templates[0]]),
        (3, [pictures[0], templates[0], "--precision", "fp32"]),
    ):
        assert main(["identify", *words, "--bundle", bundle]) == code, words
    assert cv2.imwrite(str(tmp_path / "blank.png"), np.full((380, 600), 255, np.uint8))
    assert main(["identify", str(tmp_path / "blank.png"), *templates, "--bundle", bundle]) == 1


@pytest.mark.parametrize("options", [[], ["--plain"]])
def test_a_picture_in_the_place_of_a_template_is_an_error(
    pictures: tuple[str, str], bundle: str, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert main(["identify", pictures[0], pictures[0], "--bundle", bundle, *options, "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["type"], error["message"]) == ("TemplateError", f"{pictures[0]}: not a template")


def test_a_video_stands_for_its_best_frames(
    pictures: tuple[str, str], templates: tuple[str, str], tiny_bundle: Bundle, bundle: str, tmp_path: Path
) -> None:
    frame = cv2.resize(cv2.imread(pictures[0]), (640, 480))
    blank = np.full((480, 640, 3), 255, np.uint8)
    clip = str(film(tmp_path / "clip.avi", [blank, frame, blank, frame, frame, blank]))
    still = str(tmp_path / "still.png")
    assert cv2.imwrite(still, frame)
    options = ["--bundle", bundle, "--threshold", "0.9"]
    assert main(["verify", still, clip, *options]) == 0
    assert main(["verify", clip, still, *options]) == 0
    assert main(["identify", clip, *templates, *options]) in (0, 1)
    template = str(tmp_path / "clip.template")
    assert main(["enroll", clip, "-o", template, "--bundle", bundle]) == 0
    assert main(["verify", template, still, *options]) == 0
    assert main(["verify", still, str(film(tmp_path / "blank.avi", [blank] * 3)), *options]) == 1
