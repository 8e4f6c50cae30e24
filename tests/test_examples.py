"""Every example runs as a person would run it, and says what it found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SAYS = {
    "verify_two_signatures.py": ["score", "threshold"],
    "enroll_and_verify.py": ["own signature", "forgery"],
    "measure_own_threshold.py": ["synthetic: 12 people", "fmr_1e-1", "eer"],
}


def run(example: str, cwd: Path, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / example), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("example", SAYS)
def test_example(example: str, tmp_path: Path) -> None:
    said = run(example, tmp_path)
    assert all(words in said for words in SAYS[example])


def test_verify_accepts_an_image_with_itself(tmp_path: Path) -> None:
    import cv2

    from edge_sdk.export.datasets.synthetic import SyntheticWriter

    image = tmp_path / "own.png"
    assert cv2.imwrite(str(image), SyntheticWriter(3).genuine(0))
    assert run("verify_two_signatures.py", tmp_path, str(image), str(image)).startswith("same person")
