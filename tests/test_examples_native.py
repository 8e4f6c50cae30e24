"""The C++ examples: compiled here, their pre-processing compared pixel by pixel, golden trials replayed.

OpenCV, nlohmann/json, CMake and a compiler are needed for all; ``TFLITE_ROOT`` and ``ONNXRUNTIME_ROOT`` (folders with
``include`` and ``lib``; examples/README.md) for the engines, a JDK for what Kotlin calls.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge_sdk import images, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.export.data.signatures.photographs import Conditions, photograph
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.manifest import FaceBoxes
from edge_sdk.preprocess import FACE, FACE_OVAL, INK, PAPER, Fit, LimitSize, Operation, Resize, ToGray
from edge_sdk.preprocess.align import FaceAlignment
from edge_sdk.runtime import face_quality, frames
from edge_sdk.runtime.locator import located, seen_once
from edge_sdk.scoring.face_boxes import levels
from edge_sdk.slicing import slice_bundle

from .paths import ROOT
from .runtime.drawn import frame as drawn_frame
from .runtime.known_faces import POINTS, textured

EXAMPLES = ROOT / "examples"
ROOTS = [f"-D{name}={os.environ[name]}" for name in ("TFLITE_ROOT", "ONNXRUNTIME_ROOT") if name in os.environ]

PIPELINES: dict[str, tuple[Operation, ...]] = {
    "ink": INK,
    "paper": PAPER,
    "face": FACE,
    "face_oval": FACE_OVAL,
    "area": (LimitSize(side=200), ToGray(), Resize(height=99, width=101, interpolation="area")),
    "linear": (ToGray(), Resize(height=190, width=301, interpolation="linear")),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("cmake"):
        pytest.skip("CMake is not installed")
    build = tmp_path_factory.mktemp("build")
    javac = shutil.which("javac")
    java = {"JAVA_HOME": str(Path(javac).resolve().parents[1])} if javac else {}
    configure = ["cmake", "-S", str(EXAMPLES / "cpp"), "-B", str(build), "-DCMAKE_BUILD_TYPE=Debug", *ROOTS]
    done = subprocess.run(configure, env=os.environ | java, capture_output=True, text=True, check=False)
    if done.returncode:
        missing = next((line for line in done.stderr.splitlines() if "Could not find" in line), done.stderr[-300:])
        pytest.skip(f"a C++ toolchain with OpenCV and nlohmann/json is not installed: {missing.strip()}")
    subprocess.run(["cmake", "--build", str(build)], check=True, capture_output=True, text=True, timeout=600)
    return build


def program(built: Path, name: str) -> str:
    if not (built / name).exists():
        pytest.skip(f"{name} was not built: its headers and library are not installed (examples/README.md)")
    return str(built / name)


def pictures() -> dict[str, images.Image]:
    gray = SyntheticWriter(3).genuine(0)
    color = cv2.merge([gray, gray // 2 + 60, gray])
    alpha = np.random.default_rng(0).integers(0, 256, gray.shape, np.uint8)
    bgra = cv2.merge([color, alpha])
    rng = np.random.default_rng(3)
    # Ruled, tilted, with lines that leave through the top, and of a size that no shrinking divides.
    conditions = replace(Conditions.draw(rng), rules=0.5, shade=0.35)
    photo = images.load(photograph(gray, conditions, rng))[:-7, :-3]
    return {"gray": gray, "bgr": color, "bgra": bgra, "photo": photo, "blank": np.full((60, 80), 255, np.uint8)}


@pytest.mark.parametrize("picture", pictures())
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_cpp_preprocesses_as_python_does(built: Path, tmp_path: Path, pipeline: str, picture: str) -> None:
    operations, image = PIPELINES[pipeline], pictures()[picture]
    (tmp_path / "manifest.json").write_bytes(msgspec.json.encode({"preprocessing": operations}))
    assert cv2.imwrite(str(tmp_path / "in.png"), image)
    command = [program(built, "preprocess"), "manifest.json", "in.png", "out"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    expected = preprocess.apply(operations, image)
    values = np.fromfile(tmp_path / "out", np.float32).reshape(expected.shape)
    assert np.mean(values != expected) < 0.001  # 0 here; two versions of OpenCV may round a pixel differently


def test_an_operation_that_cpp_does_not_know_is_an_error(built: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"preprocessing": [{"op": "sharpen"}]}')
    assert cv2.imwrite(str(tmp_path / "in.png"), pictures()["gray"])
    command = [program(built, "preprocess"), "manifest.json", "in.png", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "unknown pre-processing operation sharpen" in done.stderr


@pytest.fixture
def sliced(tmp_path: Path) -> Callable[[str], Path]:
    def make(format_: str) -> Path:
        opened = Bundle.open("deepsign")
        if format_ not in {variant.format for variant in opened.manifest.variants}:
            pytest.skip(f"the shipped bundle has no {format_} artifact")
        return Path(slice_bundle(opened, tmp_path / "sliced", format=format_, precision="fp32").path)

    return make


ENGINES = [("verify_onnxruntime", "onnx"), ("verify_tflite", "tflite")]


@pytest.mark.parametrize(("name", "format_"), ENGINES)
def test_cpp_replays_the_golden_trial_and_decides(
    built: Path, sliced: Callable[[str], Path], name: str, format_: str, tmp_path: Path
) -> None:
    tool, folder = program(built, name), sliced(format_)
    blank = str(tmp_path / "blank.png")
    assert cv2.imwrite(blank, pictures()["blank"])
    own = str(folder / "golden" / "reference.png")

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([tool, str(folder), *arguments], capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    code, said = run()
    assert (code, "passed" in said) == (0, True), said
    code, said = run("eer", own, own)
    assert (code, "accepted: score 1" in said) == (0, True), said
    code, said = run("eer", own, blank)
    assert (code, "rejected: score 0" in said and "empty" in said) == (1, True), said
    assert run("no_such_point", own, own)[0] == 3
    assert run("eer")[0] == 2

    (model,) = folder.glob(f"model.*.{format_}")
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    code, said = run()
    assert (code, "is damaged" in said) == (3, True), said
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"threshold": 0', b'"threshold": 1'))
    code, said = run("eer", own, own)
    assert (code, "manifest.json is damaged" in said) == (3, True), said


CALL = """
package edge;
public class Preprocess {
    public native float[] prepare(String operations, byte[] picture);
    static byte[] read(String path) throws Exception {
        return java.nio.file.Files.readAllBytes(java.nio.file.Path.of(path));
    }
    public static void main(String[] given) throws Exception {
        System.load(given[0]);
        float[] values = new Preprocess().prepare(new String(read(given[1]), "UTF-8"), read(given[2]));
        for (float value : values) System.out.println(value);
    }
}
"""


def test_what_kotlin_calls(built: Path, tmp_path: Path) -> None:
    library = program(built, "libedge_preprocess.so")
    (tmp_path / "Preprocess.java").write_text(CALL)
    (tmp_path / "operations.json").write_bytes(msgspec.json.encode(INK))
    for name, image in pictures().items():
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), image)

    def run(picture: str) -> subprocess.CompletedProcess[str]:
        command = ["java", "Preprocess.java", library, "operations.json", f"{picture}.png"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)

    values = np.array(run("bgr").stdout.split(), np.float32)
    assert np.mean(values != preprocess.apply(INK, pictures()["bgr"]).ravel()) < 0.001
    assert "IllegalArgumentException: empty" in run("blank").stderr


# --- faces ---


def cell(confidence: float, *, left: float, top: float, side: float, stride: int) -> tuple[float, list[float]]:
    """Logit and geometry of a cell that shows a square face, its own centre being at (0, 0)."""
    edges = [-left / stride, -top / stride, (left + side) / stride, (top + side) / stride]
    points = [(left + x * side / 200, top + y * side / 200) for x, y in POINTS]
    return float(np.log(confidence / (1 - confidence))), [*edges, *np.ravel(points) / stride]


def grid(rng: np.random.Generator, stride: int, faces: list[tuple[int, int, float, float]]) -> dict[str, np.ndarray]:
    """Outputs of one level: noise below 0.4, and faces as (row, column, confidence, side in the network's pixels)."""
    shape = (128 // stride, 160 // stride)
    logits = rng.uniform(-6, -0.5, (1, 1, *shape)).astype(np.float32)
    geometry = rng.uniform(-1, 3, (1, 14, *shape)).astype(np.float32)
    for row, column, confidence, side in faces:
        x, y = (column + 0.5) * stride, (row + 0.5) * stride
        at = cell(confidence, left=80 - side / 2 - x, top=60 - side / 2 - y, side=side, stride=stride)
        logits[0, 0, row, column], geometry[0, :, row, column] = at
    return {f"confidence{stride}": logits, f"geometry{stride}": geometry}


SCENES: dict[str, tuple[Callable[[], images.Image], list[tuple[int, int, float, float]]]] = {
    "a face, seen by several cells": (
        lambda: textured(drawn_frame((200, 100, 240))),
        [(7, 9, 0.99, 60.0), (7, 10, 0.9, 61.0), (8, 9, 0.55, 58.0), (6, 9, 0.42, 50.0)],
    ),
    "seen at two sizes": (lambda: textured(drawn_frame((200, 100, 240))), [(7, 9, 0.99, 60.0), (9, 12, 0.7, 34.0)]),
    "blurred": (lambda: cv2.GaussianBlur(drawn_frame((200, 100, 240)), (0, 0), 12), [(7, 9, 0.9, 60.0)]),
    "large": (lambda: cv2.resize(textured(drawn_frame((200, 100, 240))), (1931, 1443)), [(7, 9, 0.9, 60.0)]),
    "upright, gray, small": (lambda: textured(drawn_frame((60, 200, 240))[:, :360, 0]), [(7, 9, 0.8, 31.0)]),
    "beyond the border": (lambda: textured(drawn_frame((200, 100, 240))), [(7, 9, 0.9, 150.0)]),
    "nobody": (lambda: textured(drawn_frame()), []),
    "dark": (lambda: (drawn_frame() // 8).astype(np.uint8), [(7, 9, 0.9, 60.0)]),
}


@pytest.mark.parametrize("scene", SCENES)
def test_cpp_finds_aligns_and_assesses_a_face_as_python_does(built: Path, tmp_path: Path, scene: str) -> None:
    make, found = SCENES[scene]
    image, rng = make(), np.random.default_rng(5)
    tensors = grid(rng, 8, found) | grid(rng, 16, [(3, 4, 0.6, 55.0)] if found else [])
    fit = Fit(height=128, width=160, stretch=1.0)
    score = FaceBoxes(levels=levels((8, 16)), overlap=0.4)
    alignment = FaceAlignment(side=112, margin=0.05)
    (tmp_path / "locator.json").write_bytes(msgspec.json.encode({"preprocessing": (ToGray(), fit), "score": score}))
    (tmp_path / "alignment.json").write_bytes(msgspec.json.encode(alignment))
    values = {name: {"shape": one.shape, "values": one.ravel().tolist()} for name, one in tensors.items()}
    (tmp_path / "tensors.json").write_bytes(msgspec.json.encode(values))
    assert cv2.imwrite(str(tmp_path / "in.png"), image)
    command = [program(built, "faces"), ".", "in.png", "tensors.json", "out"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60)
    said = msgspec.json.decode(done.stdout)

    height, width = image.shape[:2]
    everyone = seen_once(located(score.candidates(tensors, 0.5), fit.place(height, width), height, width))
    expected = [one for one in everyone if max(one.width, one.height) >= 0.2 * min(height, width)]
    assert [one["box"] for one in said["faces"]] == [[f.left, f.top, f.width, f.height] for f in expected]
    for one, face in zip(said["faces"], expected, strict=True):
        assert one["confidence"] == pytest.approx(face.confidence, abs=1e-7)
        np.testing.assert_allclose(one["points"], face.points, atol=1e-3)
    assert said["unfit"] == next(iter(frames.assess(image)), "")
    if not expected:
        assert "sharpness" not in said
        return
    aligned = alignment(image, expected[0].points)
    pixels = np.fromfile(tmp_path / "out", np.uint8).reshape(aligned.shape)
    # Two versions of OpenCV may round a position to another 32nd of a pixel.
    assert np.mean(np.abs(pixels.astype(int) - aligned) > 1) < 0.01
    assert said["sharpness"] == pytest.approx(face_quality.sharpness(aligned), rel=0.02)
    assessed = face_quality.assess(aligned, face_quality.Geometry.of(expected[0].points, alignment, image.shape))
    assert bool(said["blocked"]) is bool(assessed.blocking)
    assert said["blocked"] in ("", *assessed.blocking)
    assert bool(said["not_enrolled"]) is bool(assessed.flags)
    assert said["not_enrolled"] in ("", *assessed.flags)


def test_cpp_enrols_nobody_without_pictures(built: Path) -> None:
    tool = program(built, "driver_enrolment")
    assert subprocess.run([tool], capture_output=True, check=False, timeout=60).returncode == 2
    words = [tool, *["none", "eer"] * 3, *["none.png"] * 6]
    assert subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 3
