"""The Kotlin classes and their native methods: compiled, and run on a JVM, against what Python decides.

A JDK is needed, and Kotlin's compiler as ``make native-deps`` brings it.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_sdk import Locator, SpoofDetector, Template, Verifier
from edge_sdk.bundle import Bundle, pack
from edge_sdk.bundle.signing import SigningKey
from edge_sdk.images import load
from edge_sdk.runtime.detector import AS_CASCADE
from edge_sdk.runtime.faces import Rescaled
from edge_sdk.slicing import slice_bundle

from ..paths import ROOT
from .conftest import DEPENDENCIES, Built

COMPILER = DEPENDENCIES / "kotlin" / "node_modules" / "kotlin-compiler" / "lib"
STANDARD = COMPILER / "kotlin-stdlib.jar"
BUNDLES = ROOT / "edge_sdk" / "bundles"
OWN, OTHER = (BUNDLES / "deepsign" / "golden" / name for name in ("reference.png", "query.png"))
FRAME, FACE = BUNDLES / "face_locator" / "golden" / "square.png", BUNDLES / "face_lite" / "golden" / "reference.png"


@pytest.fixture(scope="module")
def classes(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Kotlin classes, the example, Calls.kt and Trust.kt, compiled."""
    built.need("onnxruntime")
    if not COMPILER.is_dir():
        pytest.skip("Kotlin's compiler is not there: make native-deps")
    sources = [
        *(ROOT / "native" / "android" / "src" / "main" / "kotlin" / "edgesdk").glob("*.kt"),
        ROOT / "examples" / "android" / "Drivers.kt",
        *(Path(__file__).with_name(name) for name in ("Calls.kt", "Trust.kt")),
    ]
    made = tmp_path_factory.mktemp("kotlin") / "classes.jar"
    compile_ = [
        str(shutil.which("java")),
        "-cp",
        f"{COMPILER}/kotlin-compiler.jar:{COMPILER}/*",
        "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
    ]
    options = ["-Werror", "-no-stdlib", "-classpath", str(STANDARD), "-d", str(made)]
    done = subprocess.run([*compile_, *options, *map(str, sources)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def run(classes: Path, library: Path, program: str, *words: Path) -> dict[str, str]:
    """What a program of the classes prints, by the first word of each line."""
    options = ["-Xcheck:jni", f"-Djava.library.path={library.parent}", "-cp", f"{classes}:{STANDARD}"]
    command = [str(shutil.which("java")), *options, program, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FATAL" not in done.stdout + done.stderr
    assert "WARNING in native method" not in done.stdout + done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


@pytest.fixture(scope="module")
def answers(classes: Path, built: Built, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path]:
    """What Calls.kt printed, and the folder that it wrote into."""
    folder = tmp_path_factory.mktemp("calls")
    (folder / "assets").mkdir()
    pack(Bundle.open("deepsign"), folder / "assets" / "deepsign.edge")
    slice_bundle("deepsign_nano", folder / "assets" / "nano.edge", format="onnx", precision="int8")
    library = built.file("jni/libedge_sdk_jni.so")
    return run(classes, library, "CallsKt", BUNDLES, folder, OWN, OTHER, FRAME, FACE), folder


def test_signatures(answers: tuple[dict[str, str], Path]) -> None:
    said, folder = answers
    verifier = Verifier("deepsign", engine="onnxruntime", precision="int8", operating_point="fmr_1e-2")
    expected = verifier.verify(OWN, OTHER).score
    assert said["info"] == "deepsign int8.onnx onnxruntime"
    assert (said["selftest"], said["accepted"]) == ("true", "true")
    for way in ("score", "gray", "rgba", "template"):
        assert float(said[way]) == pytest.approx(expected, abs=1e-6), way
    assert said["blank"].startswith("[empty")
    assert said["references"] == "2"
    assert said["person"].startswith("1 of [1, 0]")
    template = Template.load(folder / "two.template")
    assert template.count == 2
    assert said["id"] == template.template_id
    assert verifier.verify(template, OWN).score == pytest.approx(
        verifier.verify(verifier.enroll([OWN, OTHER]), OWN).score, abs=1e-6
    )


def test_faces(answers: tuple[dict[str, str], Path]) -> None:
    said, _ = answers
    options = {"engine": "onnxruntime", "precision": "int8"}
    image, locator = load(FRAME), Locator("face_locator", **options)
    boxes = [[face.left, face.top, face.width, face.height] for face in locator.locate(image)]
    assert said["faces"] == str(boxes)
    finder = Rescaled(locator, AS_CASCADE)
    detected = SpoofDetector("liveness", **options, operating_point="apcer_5e-2", faces=finder).detect(image)
    decision, score = said["liveness"].split()
    assert decision.lower() == detected.decision.value.lower()
    assert float(score) == pytest.approx(detected.score, abs=1e-4)
    assert said["cut"] == "true"
    assert said["drivers"] == "null IllegalArgumentException"


def test_encrypted_templates(answers: tuple[dict[str, str], Path]) -> None:
    said, folder = answers
    if said["encrypted"] == "UNSUPPORTED":
        pytest.skip("OpenSSL's headers are not installed: apt-get install libssl-dev")
    assert said["encrypted"] == "kotlin.Unit"
    assert Template.load(folder / "single.template", key=bytes(range(32))).count == 1
    expected = {"decrypted": "true", "otherkey": "TEMPLATE_KEY", "plainly": "TEMPLATE", "shortkey": "USAGE"}
    assert {name: said[name] for name in expected} == expected


@pytest.mark.parametrize("build", ["jni", "without_openssl"])
def test_whose_bundles_are_opened(classes: Path, built: Built, tmp_path: Path, build: str) -> None:
    signer, pems = SigningKey.generate(), (tmp_path / "vendor.pem", tmp_path / "stranger.pem")
    for pem, key in zip(pems, (signer, SigningKey.generate()), strict=True):
        pem.write_bytes(key.public_pem())
    signed, damaged = tmp_path / "signed", tmp_path / "damaged"
    slice_bundle("deepsign_nano", signed, format="onnx", precision="int8", sign_with=[signer])
    shutil.copytree(signed, damaged)
    file = json.loads((damaged / "signature.json").read_bytes())
    signature = bytearray(base64.b64decode(file["signatures"][0]["signature"]))
    signature[0] ^= 1
    file["signatures"][0]["signature"] = base64.b64encode(signature).decode()
    (damaged / "signature.json").write_text(json.dumps(file))
    said = run(classes, built.file(f"{build}/libedge_sdk_jni.so"), "TrustKt", signed, damaged, *pems)
    by_openssl = said.pop("none")
    assert by_openssl == "UNSUPPORTED" or (build == "jni" and by_openssl == "deepsign_nano")
    assert said == {
        "signed": "deepsign_nano",
        "stranger": "SIGNATURE",
        "damaged": "SIGNATURE",
        "nokeys": "USAGE",
        "old": "ROLLBACK",
        "own": "deepsign_nano [[32, 64, 61]]",
        "refused": "SIGNATURE",
        "threw": "SIGNATURE",
        "cause": "java.security.GeneralSecurityException: wrong",
        "fault": "NotImplementedError",
        "useless": "USAGE",
        "keystore": "deepsign_nano SIGNATURE",
    }


@pytest.mark.parametrize(
    ("call", "problem"),
    {
        "point": "OPERATING_POINT",
        "pin": "INTEGRITY",
        "nopin": "USAGE",
        "noversion": "USAGE",
        "novariant": "USAGE",
        "nopoint": "USAGE",
        "nul": "USAGE",
        "nulpath": "USAGE",
        "absent": "FileNotFoundException",
        "missing": "BUNDLE",
        "task": "USAGE",
        "unusable": "UNUSABLE_SAMPLE",
        "garbage": "INPUT",
        "short": "USAGE",
        "damaged": "TEMPLATE",
        "none": "USAGE",
        "closed": "IllegalStateException",
        "changed": "AEADBadTagException",
    }.items(),
)
def test_what_fails_is_an_exception(answers: tuple[dict[str, str], Path], call: str, problem: str) -> None:
    assert answers[0][call] == problem


def test_a_bundle_is_unpacked_anew_where_it_is_another(answers: tuple[dict[str, str], Path]) -> None:
    said = answers[0]
    assert (said["together"], said["kept"]) == ("[nano.edge] [nano.edge]", "1000000")
    assert (said["mended"], said["replaced"]) == ("deepsign_nano", "another")


def test_no_more_candidates_than_people(answers: tuple[dict[str, str], Path]) -> None:
    assert answers[0]["candidates"] == "2"


def test_closing_waits_for_the_calls_of_other_threads(answers: tuple[dict[str, str], Path]) -> None:
    said = answers[0]
    assert said["threads"] in ("[IllegalStateException, true]", "[true]", "[IllegalStateException]")
    assert said["unsealed"] == "true"
