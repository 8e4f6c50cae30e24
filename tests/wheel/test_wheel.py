"""The built wheel, in an environment with the runtime packages only, away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "-qq"]

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


@pytest.fixture(scope="module")
def device(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Device:
    home = tmp_path_factory.mktemp("device")
    builder = venv.EnvBuilder(symlinks=os.name != "nt")
    builder.create(home)
    python = Path(builder.ensure_directories(home).env_exe)
    lock = ["--requirement", str(ROOT / "requirements" / "runtime.lock")]
    subprocess.run([*PIP, "--python", str(python), "install", "--no-deps", *lock, str(wheel)], check=True)
    subprocess.run([*PIP, "--python", str(python), "check"], check=True, stdout=subprocess.DEVNULL)
    return Device(python, tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="module")
def signature(device: Device) -> str:
    """A file with a wavy line in ink on gray paper."""
    x = np.arange(40, 560)
    line = np.stack([x, 190 + 90 * np.sin(x / 23) * np.cos(x / 61)], axis=1).astype(np.int32)
    image = np.full((380, 600), 235, np.uint8)
    cv2.polylines(image, [line], isClosed=False, color=40, thickness=3, lineType=cv2.LINE_AA)
    assert cv2.imwrite(str(device.folder / "signature.png"), image)
    return "signature.png"


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
    assert "licenses/LICENSE" in metadata


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
    device.cli("enroll", signature, signature, "--output", "person.template")
    result = json.loads(device.cli("verify", "person.template", signature, "--json"))
    assert result["decision"] is True


def test_selftest_replays_the_golden_files(device: Device) -> None:
    device.cli("selftest", "deepsign")


def test_inspect(device: Device) -> None:
    shown = json.loads(device.cli("inspect", "deepsign", "--json"))
    assert "deepsign" in json.dumps(shown)
