"""The C++ header, on the shared library."""

from __future__ import annotations

import subprocess

from ..paths import ROOT
from .conftest import Built

BUNDLE = ROOT / "edge_sdk" / "bundles" / "deepsign_nano"


def test_candidates_templates_and_texts_that_c_would_cut(built: Built) -> None:
    built.need("onnxruntime")
    command = [built.file("calls"), BUNDLE, BUNDLE / "golden" / "reference.png"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    sizes = [f"candidates {size}" for size in (0, 1, 2)]
    texts = ["path", "key", *["empty", "nul"] * 4]
    without = ["same EDGE_ERROR_UNSUPPORTED", "other EDGE_ERROR_UNSUPPORTED"]  # without OpenSSL's headers
    said = done.stdout.splitlines()
    assert said[:3] == sizes
    assert said[3:5] in (["same 1", "other EDGE_ERROR_TEMPLATE_KEY"], without)
    assert said[5:] == [f"{text} EDGE_ERROR_USAGE" for text in texts]
