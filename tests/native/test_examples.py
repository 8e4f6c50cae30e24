"""The examples in C++ and Kotlin: compiled, run, and compared with what Python decides."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_sdk import Locator, Verifier
from edge_sdk.bundle import Bundle, SigningKey
from edge_sdk.slicing import slice_bundle

from ..paths import ROOT
from .conftest import ENGINES, Built

PYTHON = {"onnx": "onnxruntime", "tflite": "litert"}  # engines by the format that they run
SHIPPED = ROOT / "edge_sdk" / "bundles"
OWN, OTHER = (str(SHIPPED / "deepsign" / "golden" / name) for name in ("reference.png", "query.png"))
FACE = str(SHIPPED / "face_locator" / "golden" / "square.png")


@pytest.mark.parametrize("format_", ["onnx", "tflite"])
def test_cpp_verifies_as_python_does(built: Built, tmp_path: Path, format_: str) -> None:
    built.need(ENGINES[format_])
    folder = Path(slice_bundle(Bundle.open("deepsign"), tmp_path / "deepsign", format=format_, precision="int8").path)
    tool = str(built.file("verify"))
    blank = str(tmp_path / "blank.png")
    assert cv2.imwrite(blank, np.full((60, 80), 255, np.uint8))

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    assert run()[0] == 2
    code, said = run(str(folder))
    assert (code, "passed" in said) == (0, True), said
    assert run(str(folder), "fmr_1e-2", OWN, OWN)[0] == 0
    expected = Verifier(folder, engine=PYTHON[format_], operating_point="fmr_1e-2").verify(OWN, OTHER)
    code, said = run(str(folder), "fmr_1e-2", OWN, OTHER)
    assert code == (0 if expected.decision else 1), said
    assert float(said.split("score ")[1].split(",")[0]) == pytest.approx(expected.score, abs=0.02)
    code, said = run(str(folder), "fmr_1e-2", OWN, blank)
    assert (code, "rejected: score 0" in said, "empty" in said) == (1, True, True), said
    assert run(str(folder), "no_such_point", OWN, OWN)[0] == 3

    (model,) = folder.glob("model.*")
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    assert run(str(folder))[0] == 3


def test_cpp_opens_only_bundles_of_the_key_and_version_that_are_asked_for(built: Built, tmp_path: Path) -> None:
    built.need("onnxruntime")
    vendor, other = SigningKey.generate(), SigningKey.generate()
    for name, key in (("vendor", vendor), ("other", other)):
        (tmp_path / f"{name}.pem").write_bytes(key.public_pem())

    def slices(folder: str, **options: Any) -> list[str]:
        return [
            str(slice_bundle(name, tmp_path / folder / name, format="onnx", precision="int8", **options).path)
            for name in ("face_locator", "liveness", "face_lite", "deepsign")
        ]

    def run(bundles: list[str], *trust: str) -> set[tuple[int, str]]:
        """How both programs end, and what they complain about."""
        locator, liveness, faces, signatures = bundles
        ends = set()
        for command in (
            ["verify", signatures],
            ["verify", signatures, "fmr_1e-2", OWN, OWN],
            ["drivers", locator, liveness, "apcer_5e-2", faces, "fmr_1e-3", FACE, "ann", FACE],
        ):
            command[0] = str(built.file(command[0]))
            done = subprocess.run([*command, *trust], capture_output=True, text=True, check=False, timeout=60)
            ends.add((done.returncode, done.stderr))
        return ends

    signed = slices("signed", sign_with=[vendor])
    key = ["--key", str(tmp_path / "vendor.pem")]
    if any("OpenSSL" in why for _, why in run(signed, *key)):
        pytest.skip("OpenSSL's headers are not installed: apt-get install libssl-dev")
    opens = {(0, ""), (1, "")}  # the drawn face is not live
    assert run(signed) == run(signed, *key) == run(signed, "--minimum-version", "0.0.1", *key) == opens
    assert run(signed, "--key", str(tmp_path / "other.pem"), *key) == opens
    for trust, said in (
        (["--key", str(tmp_path / "other.pem")], "key"),
        (["--key", str(tmp_path / "none.pem")], "cannot read"),
        (["--minimum-version", "99", *key], "99"),
    ):
        assert all(code == 3 and said in why for code, why in run(signed, *trust)), trust
    for code, why in run(slices("unsigned"), *key):
        assert (code, "there is no signature in" in why, str(tmp_path / "unsigned") in why) == (3, True, True)
    for trust in (["--keys", key[1]], ["--key"], [*key, "--minimum-version"], [*key, "more"]):
        assert all(code == 3 and "is no option" in why for code, why in run(signed, *trust)), trust


def test_cpp_lets_nobody_in_who_is_not_live(built: Built) -> None:
    built.need("onnxruntime")
    tool = str(built.file("drivers"))
    bundles = [str(SHIPPED / "face_locator"), str(SHIPPED / "liveness"), "apcer_5e-2", str(SHIPPED / "face_lite")]

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    assert run()[0] == 2
    code, said = run(*bundles, "fmr_1e-3", FACE, "ann", FACE)
    assert (code, "shows no live face" in said) == (1, True), said
    assert run(*bundles, "no_such_point", FACE, "ann", FACE)[0] == 3
    assert run(*bundles, "fmr_1e-3", FACE, "ann", "none.png")[0] == 3


def test_cpp_knows_a_driver(built: Built) -> None:
    built.need("onnxruntime")
    faces = Path(os.environ.get("EDGE_SDK_DATA", "")) / "lfw"
    if not (faces / "Colin_Powell").is_dir():
        pytest.skip("EDGE_SDK_DATA names no folder with lfw")

    def photographs(name: str, *numbers: int) -> list[str]:
        return [str(faces / name / f"{name}_{number:04}.jpg") for number in numbers]

    powell, eckhart = photographs("Colin_Powell", 1, 2, 4), photographs("Aaron_Eckhart", 1)
    bundles = [str(SHIPPED / "face_locator"), str(SHIPPED / "liveness"), "apcer_1e-1", str(SHIPPED / "face_lite")]
    enrolled = [word for photo in powell for word in ("powell", photo)] + ["eckhart", *eckhart]
    options = {"engine": "onnxruntime", "precision": "int8"}
    locator = Locator("face_locator", **options)
    verifier = Verifier("face_lite", **options, operating_point="fmr_1e-2", faces=locator)
    gallery = verifier.gallery({"powell": verifier.enroll(powell), "eckhart": verifier.enroll(eckhart)})
    known = 0
    for probe in photographs("Colin_Powell", 5, 6, 7, 8):
        command = [str(built.file("drivers")), *bundles, "fmr_1e-2", probe, *enrolled]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in (0, 1), done.stderr
        if "no live face" in done.stdout:
            continue
        expected = verifier.identify(probe, gallery)
        assert done.stdout.split(":")[0] == (expected.identity or "nobody of them")
        assert float(done.stdout.split("score ")[1].split(",")[0]) == pytest.approx(expected.score, abs=1e-4)
        known += expected.identity == "powell"
    assert known
