"""The built wheel, in environments with the runtime packages only, away from the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import edge_sdk
from edge_sdk import Bundle, Verifier
from edge_sdk.bundle import shipped

from ..paths import ROOT

PIP = [sys.executable, "-m", "pip", "-qq"]
CORE = ["opencv-python-headless>=4.10,<5", "msgspec>=0.19", "platformdirs>=4"]
TFLITE = {  # nothing but one engine: a new phone, and a board of 2023
    "litert": ["ai-edge-litert", "numpy>=1.26", *CORE],
    "tflite-runtime": ["tflite-runtime==2.14.0", "numpy==1.26.4", *CORE],
}

pytestmark = pytest.mark.wheel


@dataclass(frozen=True)
class Device:
    """An environment with the wheel in it; commands run in a folder of their own, blind to the checkout."""

    python: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    def execute(self, code: str) -> str:
        done = self.run(str(self.python), "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def cli(self, *arguments: str, expect: int = 0) -> str:
        done = self.run(str(self.python.with_name("edge-sdk")), *arguments)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def empty_environment(home: Path) -> Path:
    """Its interpreter."""
    builder = venv.EnvBuilder(symlinks=os.name != "nt")
    builder.create(home)
    return Path(builder.ensure_directories(home).env_exe)


@pytest.fixture(scope="module")
def device(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Device:
    python = empty_environment(tmp_path_factory.mktemp("device"))
    lock = ["--requirement", str(ROOT / "requirements" / "runtime.lock")]
    subprocess.run([*PIP, "--python", str(python), "install", "--no-deps", *lock, str(wheel)], check=True)
    subprocess.run([*PIP, "--python", str(python), "check"], check=True, stdout=subprocess.DEVNULL)
    return Device(python, tmp_path_factory.mktemp("elsewhere"))


def draw(folder: Path) -> str:
    """Make a file with a wavy line in ink on gray paper, and return its name."""
    x = np.arange(40, 560)
    line = np.stack([x, 190 + 90 * np.sin(x / 23) * np.cos(x / 61)], axis=1).astype(np.int32)
    image = np.full((380, 600), 235, np.uint8)
    cv2.polylines(image, [line], isClosed=False, color=40, thickness=3, lineType=cv2.LINE_AA)
    assert cv2.imwrite(str(folder / "signature.png"), image)
    return "signature.png"


@pytest.fixture(scope="module")
def signature(device: Device) -> str:
    return draw(device.folder)


def test_the_wheel_holds_what_the_tree_holds(wheel: Path) -> None:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "edge_sdk"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    tree = {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = {name.split(".dist-info/")[1] for name in set(archive.namelist()) - packed}
    assert packed == tree
    assert {"edge_sdk/py.typed", "edge_sdk/runtime/__init__.py"} <= packed
    assert any(name.startswith("edge_sdk/bundles/deepsign") for name in packed)
    assert {"licenses/LICENSE", "sboms/bundles.cdx.json"} <= metadata


def test_two_builds_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    """From another folder, with other times and permissions of the files."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, done.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = tmp_path / "elsewhere" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
            target.chmod(0o664)
            os.utime(target, (1e9, 1e9))
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([*build, str(tmp_path / "elsewhere")], check=True, cwd=tmp_path)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_its_bill_of_materials_names_what_is_installed_beside_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "requirements" / "sbom.py"), str(tmp_path)], check=True)
    text = (tmp_path / "edge-sdk.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert (document["metadata"]["component"]["name"], document["metadata"]["component"]["version"]) == (
        "edge-sdk",
        edge_sdk.__version__,
    )
    lock = (ROOT / "requirements" / "runtime.lock").read_text().splitlines()
    locked = {line for line in lock if line and not line.startswith("#")}
    assert {f"{one['name']}=={one['version']}" for one in document["components"]} == locked
    models = document["metadata"]["component"]["components"]
    assert [one["name"] for one in models] == list(shipped())
    for one in models:
        (link,) = one["externalReferences"]
        serial = json.loads((tmp_path / f"{one['name']}.cdx.json").read_text())["serialNumber"]
        assert link == {"type": "bom", "url": f"urn:cdx:{serial.removeprefix('urn:uuid:')}/1"}
    assert not re.search(rf"file://|{re.escape(tempfile.gettempdir())}/", text), "a path of the machine that built it"
    assert {path.name for path in tmp_path.iterdir()} == {f"{one}.cdx.json" for one in ("edge-sdk", *shipped())}


def test_only_the_package_is_installed(device: Device) -> None:
    code = (
        "import importlib.util as u; print([n for n in "
        "('torch', 'onnx', 'matplotlib', 'rich', 'runtime', 'calibration', 'export', 'tests') if u.find_spec(n)])"
    )
    assert device.execute(code) == "[]"
    where = Path(device.execute("import edge_sdk; print(edge_sdk.__file__)"))
    assert where.is_relative_to(device.python.parents[1])


def test_version(device: Device) -> None:
    code = "import edge_sdk, importlib.metadata as m; print(edge_sdk.__version__ == m.version('edge-sdk'))"
    assert device.execute(code) == "True"


def test_public_names_need_no_torch(device: Device) -> None:
    device.execute("from edge_sdk import Bundle, Template, Verifier, VerifyResult; Bundle.open('deepsign')")


def test_verify_accepts_an_image_with_itself(device: Device, signature: str) -> None:
    result = json.loads(device.cli("verify", signature, signature, "--json"))
    assert result["decision"] is True
    assert result["score"] >= result["threshold"]
    assert result["bundle_id"].startswith("deepsign-")


def test_verify_rejects_an_empty_page(device: Device, signature: str) -> None:
    assert cv2.imwrite(str(device.folder / "empty.png"), np.full((380, 600), 255, np.uint8))
    result = json.loads(device.cli("verify", signature, "empty.png", "--json", expect=1))
    assert result["decision"] is False
    assert "empty" in result["quality"]


def test_a_missing_file_is_an_error_not_a_decision(device: Device, signature: str) -> None:
    assert "true" not in device.cli("verify", signature, "nowhere.png", "--json", expect=3)


def test_wrong_usage(device: Device) -> None:
    device.cli("verify", "only-one.png", expect=2)


def test_enrol_then_verify(device: Device, signature: str) -> None:
    device.cli("keygen", "template", "device.key")
    device.cli("enroll", signature, "--output", "person.template", "--key", "device.key")
    result = json.loads(device.cli("verify", "person.template", signature, "--key", "device.key", "--json"))
    assert result["decision"] is True


def test_selftest_replays_the_golden_files(device: Device) -> None:
    device.cli("selftest", "deepsign")


def test_inspect(device: Device) -> None:
    shown = json.loads(device.cli("inspect", "deepsign", "--json"))
    assert "deepsign" in json.dumps(shown)


def test_the_bill_of_materials_of_a_bundle_needs_nothing_of_the_workstation(device: Device) -> None:
    device.cli("bom", "deepsign", "--out", "deepsign.cdx.json")
    document = json.loads((device.folder / "deepsign.cdx.json").read_text())
    assert document["metadata"]["component"]["name"] == "deepsign"


def test_bundles_are_listed_and_recipes_name_what_they_need(device: Device) -> None:
    listed = json.loads(device.cli("bundles", "--json"))["bundles"]
    assert {"deepsign", "liveness"} <= {bundle["name"] for bundle in listed}
    for command in (["recipes"], ["calibrate", "deepsign", "--data", "synthetic:5", "--out", "mine"], ["demo"]):
        error = json.loads(device.cli(*command, "--json", expect=3))["error"]
        assert error["type"] == "MissingToolError"
        assert re.search(r'the extra "export", or run: pip install .*"torch>=2', error["message"])


def test_help_of_every_command_needs_nothing_of_the_workstation(device: Device) -> None:
    code = (
        "from edge_sdk import cli\n"
        "names = [name for group in cli.GROUPS.values() for name in group]\n"
        "print([name for name in names if cli.main([name, '--help'])])"
    )
    assert device.execute(code).splitlines()[-1] == "[]"


def oldest_python() -> str:
    """CPython 3.10, by its name or where pyenv puts it."""
    kept = Path.home() / ".pyenv" / "versions"
    for found in ("python3.10", *map(str, sorted(kept.glob("3.10.*/bin/python3.10")))):
        if shutil.which(found) and not subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
            return found
    pytest.skip("there is no CPython 3.10 here")


def test_it_runs_on_the_oldest_python_with_what_pip_chooses_there(wheel: Path, tmp_path: Path) -> None:
    """Others have newer engines: ONNX Runtime has no wheels for it since 1.24."""
    subprocess.run([oldest_python(), "-m", "venv", "--without-pip", str(tmp_path / "old")], check=True)
    python = tmp_path / "old" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [*PIP, "--python", str(python), "install", f"edge-sdk[onnx] @ {wheel.as_uri()}"]
    subprocess.run(install, check=True)
    (tmp_path / "elsewhere").mkdir()
    board = Device(python, tmp_path / "elsewhere")
    assert board.execute("import sys; print(*sys.version_info[:2])") == "3 10"
    for name in ("deepsign", "face_lite", "liveness"):
        assert board.cli("selftest", name).splitlines()[-1] == "passed"
    signature = draw(board.folder)
    assert json.loads(board.cli("verify", signature, signature, "--json"))["decision"] is True


@dataclass(frozen=True)
class Board(Device):
    """An environment whose only engine is ``engine``."""

    engine: str


@pytest.fixture(scope="module", params=TFLITE)
def board(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Board:
    python = empty_environment(tmp_path_factory.mktemp("board"))
    install = [*PIP, "--python", str(python), "install"]
    if subprocess.run([*install, *TFLITE[request.param]], check=False).returncode:
        pytest.skip(f"the package index does not give {TFLITE[request.param][0]} for this Python")
    subprocess.run([*install, "--no-deps", str(wheel)], check=True)
    return Board(python, tmp_path_factory.mktemp("elsewhere"), request.param)


@pytest.fixture(scope="module")
def tflite_bundle(tflite_models, make_bundle) -> Bundle:
    return make_bundle(models={"fp32.tflite": tflite_models.fp32, "int8.tflite": tflite_models.int8})


@pytest.mark.parametrize(("precision", "least"), [("fp32", 1 - 1e-6), ("int8", 0.999)])
def test_a_bundle_runs_where_there_is_nothing_but_its_engine(
    board: Board, tflite_bundle: Bundle, precision: str, least: float
) -> None:
    signature = draw(board.folder)
    code = f"""
import json
from edge_sdk import Verifier
with Verifier({str(tflite_bundle.path)!r}, engine={board.engine!r}, precision={precision!r}) as verifier:
    print(json.dumps([verifier.embed({signature!r}).tolist(), verifier.verify({signature!r}, {signature!r}).decision]))
"""
    there, accepted = json.loads(board.execute(code).splitlines()[-1])
    with Verifier(tflite_bundle, engine="litert", precision=precision) as verifier:
        here = verifier.embed(board.folder / signature)
    assert (np.asarray(there) * here).sum() / np.linalg.norm(there) / np.linalg.norm(here) > least
    assert accepted is True


def test_the_shipped_bundle_gives_its_scores_with_every_tflite_artifact(board: Board) -> None:
    shown = json.loads(board.cli("selftest", "deepsign", "--engine", board.engine, "--json"))
    passed = {replay["variant_id"] for replay in shown["replays"] if replay["status"] == "pass"}
    assert passed == {"fp32.tflite", "int8.tflite", "int8-io.tflite"}


def test_it_runs_with_opencv_python_too(wheel: Path, tmp_path: Path) -> None:
    """The package with windows in place of the headless one: docs/install.md."""
    python = empty_environment(tmp_path / "desktop")
    install = [*PIP, "--python", str(python), "install"]
    lock = (ROOT / "requirements" / "runtime.lock").read_text().splitlines()
    pins = [line for line in lock if line and not line.startswith(("#", "opencv"))]
    subprocess.run([*install, "--no-deps", *pins, "opencv-python>=4.10,<5", str(wheel)], check=True)
    desktop = Device(python, tmp_path)
    if "libGL" in desktop.run(str(python), "-c", "import cv2").stderr:
        pytest.skip("this machine has no OpenGL library, which opencv-python needs")
    for bundle in ("deepsign", "liveness"):
        desktop.cli("selftest", bundle)
    signature = draw(tmp_path)
    assert json.loads(desktop.cli("verify", signature, signature, "--json"))["decision"] is True
    assert json.loads(desktop.cli("spoof", signature, "--json", expect=1).splitlines()[0])["decision"] == "no_face"
