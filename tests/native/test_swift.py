"""The Swift package and its example: compiled and run where Swift is installed (it is not in CI)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_sdk import Verifier
from edge_sdk.bundle import Bundle, pack
from edge_sdk.bundle.signing import SigningKey
from edge_sdk.slicing import slice_bundle

from ..paths import ROOT
from .conftest import Built

PACKAGE = ROOT / "native" / "swift" / "Sources"
BUNDLES = ROOT / "edge_sdk" / "bundles"
OWN, OTHER = (BUNDLES / "deepsign" / "golden" / name for name in ("reference.png", "query.png"))
FRAME = BUNDLES / "face_locator" / "golden" / "square.png"


def test_the_header_of_the_module_is_c(tmp_path: Path) -> None:
    if not shutil.which("cc"):
        pytest.skip("a C compiler is not installed")
    (folder,) = (
        line.split('"')[1]
        for line in (PACKAGE / "CEdgeSDK" / "module.modulemap").read_text().splitlines()
        if "header" in line
    )
    source = tmp_path / "header.c"
    source.write_text(f'#include "{(PACKAGE / "CEdgeSDK" / folder).resolve()}"\n')
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
    subprocess.run(["cc", *strict, str(source)], check=True, timeout=60)


def test_the_swift_package_decides_as_python_does(built: Built, tmp_path: Path) -> None:
    built.need("onnxruntime")
    if not shutil.which("swiftc"):
        pytest.skip("Swift is not installed")
    library = built.file("libedge_sdk.so").parent
    for name in ("deepsign", "face_locator", "liveness", "face_lite"):
        pack(Bundle.open(name), tmp_path / f"{name}.edge")
    module = ["-I", str(tmp_path), "-I", str(PACKAGE / "CEdgeSDK")]
    sources = [str(ROOT / "examples" / "ios" / "Drivers.swift"), str(Path(__file__).with_name("Calls.swift"))]
    for command in (
        ["-emit-library", "-static", "-emit-module", "-module-name", "EdgeSDK", *module,
         str(PACKAGE / "EdgeSDK" / "EdgeSDK.swift"), "-o", str(tmp_path / "libEdgeSDK.a"),
         "-emit-module-path", str(tmp_path / "EdgeSDK.swiftmodule")],
        [*module, *sources, "-L", str(tmp_path), "-lEdgeSDK", "-L", str(library), "-ledge_sdk", "-o",
         str(tmp_path / "calls")],
    ):  # fmt: skip
        done = subprocess.run(["swiftc", "-parse-as-library", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    signer, pem = SigningKey.generate(), tmp_path / "vendor.pem"
    pem.write_bytes(signer.public_pem())
    signed = slice_bundle(
        "deepsign_nano", tmp_path / "signed", format="onnx", precision="int8", sign_with=[signer]
    ).path
    done = subprocess.run(
        [str(tmp_path / "calls"), *map(str, (tmp_path, OWN, OTHER, FRAME, signed, pem))],
        env=os.environ | {"LD_LIBRARY_PATH": str(library)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    expected = Verifier("deepsign", engine="onnxruntime", precision="int8", operating_point="fmr_1e-2")
    for way in ("score", "template"):
        assert float(said.pop(way)) == pytest.approx(expected.verify(OWN, OTHER).score, abs=1e-6)
    assert said == {
        "accepted": "true",
        "blank": "false empty",
        "id": "32",
        "person": "1",
        "point": "EDGE_ERROR_OPERATING_POINT",
        "pin": "EDGE_ERROR_USAGE",
        "key": "true",
        "nokeys": "EDGE_ERROR_USAGE",
        "old": "EDGE_ERROR_ROLLBACK",
        **dict.fromkeys(("nul", "nulend", "empty", "nulpath", "nulkey"), "EDGE_ERROR_USAGE"),
        "right": "nothing [32, 64, 61]",
        "wrong": "EDGE_ERROR_SIGNATURE",
        "throws": "EDGE_ERROR_SIGNATURE",
        "useless": "EDGE_ERROR_USAGE",
        "task": "EDGE_ERROR_USAGE",
        "unusable": "EDGE_ERROR_UNUSABLE_SAMPLE",
        "damaged": "EDGE_ERROR_TEMPLATE",
        "encrypted": "true",
        "stranger": "EDGE_ERROR_TEMPLATE_KEY",
        "none": "EDGE_ERROR_USAGE",
        "drivers": "true true",
    }
