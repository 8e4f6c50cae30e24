"""The README is run: its Python blocks as they are, its commands on synthetic data and with few training steps."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from edge_sdk import Bundle, cli
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.runtime import template_keys

from ..paths import ROOT
from ..runtime.drawn import frame
from ..runtime.filmed import film
from .pages import README, blocks, commands, name

PYTHON = [
    (page, number)
    for page in (README, ROOT / "docs" / "python.md")
    for number, _ in enumerate(block for block in blocks(page) if block.language == "python")
]
PYTHON.append((ROOT / "docs" / "trust.md", 1))  # the one of templates; the first opens a signed bundle
# What training and its data become, so that it takes seconds.
SHORTER = {
    "--preset best": "--preset quick --tiny --steps 4",
    "cedar:PATH svc2004:PATH": "synthetic:20",
    "folder:PATH": "folder:own",
    "folder:OTHER": "synthetic:6@3",
    # Four steps cannot pass a guardrail.
    "export": "export --report-only",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the README's reader would be: with the files that it names."""
    place = tmp_path_factory.mktemp("reader")
    writer = SyntheticWriter(7)
    for number, file in enumerate(("reference", "query", "first", "second", "third")):
        assert cv2.imwrite(str(place / f"{file}.png"), writer.genuine(number))
    for person in range(5):
        for number in range(4):
            hand = SyntheticWriter(100 + person)
            for kind, picture in (("genuine", hand.genuine(number)), ("forged", hand.forged(number))):
                path = place / "own" / str(person) / kind / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(path), picture)
    for file in ("face", "frame"):
        assert cv2.imwrite(str(place / f"{file}.png"), frame((200, 100, 240)))
    template_keys.create(place / "device.key")
    film(place / "clip.mkv", [frame((200, 100, 240), seed=number) for number in range(3)])
    before = Path.cwd()
    os.chdir(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_SDK_CACHE", str(place / "cache"))
        yield place
    os.chdir(before)
    shutil.rmtree(place / "runs", ignore_errors=True)


@pytest.mark.parametrize(("page", "number"), PYTHON, ids=lambda value: value if isinstance(value, int) else name(value))
def test_python_blocks_run(page: Path, number: int, folder: Path) -> None:
    block = [block for block in blocks(page) if block.language == "python"][number]
    package = logging.getLogger("edge_sdk")
    before = package.level
    try:
        exec(compile(block.text, name(page), "exec"), {})
    finally:
        package.setLevel(before)  # one block asks for more


def test_the_commands_of_a_device_run(folder: Path) -> None:
    ran = []
    for words in commands(README):
        if words[0] in ("verify", "enroll", "spoof"):
            ran.append(words[0])
            assert cli.main(words) in (cli.ACCEPTED, cli.REJECTED), words
    assert ran == ["verify", "enroll", "verify", "spoof"]


@pytest.mark.slow
def test_training_to_evaluation_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = next(number for number, words in enumerate(commands(README)) if words[0] == "train")
    ran = []
    for words in commands(README)[first:]:
        line = " ".join(words)
        for long, short in SHORTER.items():
            line = line.replace(long, short, 1)
        assert cli.main(line.split()) == 0, line
        ran.append(words[0])
    assert len(ran) == 6
    assert (ran[0], ran[-2]) == ("train", "evaluate")
    assert [variant.id for variant in Bundle.open("app.edge").manifest.variants] == ["int8.tflite"]
