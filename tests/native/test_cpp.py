"""The C++ header, on the shared library."""

from __future__ import annotations

import subprocess

from ..paths import ROOT
from .conftest import Built

BUNDLE = ROOT / "edge_sdk" / "bundles" / "deepsign_nano"


def test_no_more_candidates_than_people_and_no_text_that_c_would_cut(built: Built) -> None:
    built.need("onnxruntime")
    command = [built.file("calls"), BUNDLE, BUNDLE / "golden" / "reference.png"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    sizes = [f"candidates {size}" for size in (0, 1, 2)]
    texts = ["path", "key", *["empty", "nul"] * 4]
    assert done.stdout.splitlines() == [*sizes, *(f"{text} EDGE_ERROR_USAGE" for text in texts)]
