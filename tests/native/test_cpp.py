"""The C++ header, on the shared library."""

from __future__ import annotations

import subprocess
from pathlib import Path

from edge_sdk.bundle.signing import SigningKey
from edge_sdk.slicing import slice_bundle

from ..paths import ROOT
from .conftest import Built

BUNDLE = ROOT / "edge_sdk" / "bundles" / "deepsign_nano"


def test_candidates_templates_texts_and_checks_of_signatures(built: Built, tmp_path: Path) -> None:
    built.need("onnxruntime")
    signer, pem = SigningKey.generate(), tmp_path / "vendor.pem"
    pem.write_bytes(signer.public_pem())
    signed = slice_bundle(
        "deepsign_nano", tmp_path / "signed", format="onnx", precision="int8", sign_with=[signer]
    ).path
    command = [built.file("calls"), BUNDLE, BUNDLE / "golden" / "reference.png", signed, pem]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    sizes = [f"candidates {size}" for size in (0, 1, 2)]
    texts = ["path", "key", *["empty", "nul"] * 4]
    checks = ["right int8.onnx", "wrong EDGE_ERROR_SIGNATURE", "throws EDGE_ERROR_SIGNATURE", "because no provider"]
    without = ["same EDGE_ERROR_UNSUPPORTED", "other EDGE_ERROR_UNSUPPORTED"]  # without OpenSSL's headers
    said = done.stdout.splitlines()
    assert said[3:5] in (["same 1", "other EDGE_ERROR_TEMPLATE_KEY"], without)
    assert said[:3] + said[5:] == [*sizes, *(f"{text} EDGE_ERROR_USAGE" for text in texts), *checks]
