"""Every example runs as a person would run it, and says what it found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk.bundle import Bundle

from .paths import ROOT

EXAMPLES = ROOT / "examples"
SAYS = {
    "verify_two_signatures.py": ["score", "threshold"],
    "enroll_and_verify.py": ["own signature", "forgery"],
    "measure_own_threshold.py": ["synthetic: 12 people", "fmr_1e-1", "eer"],
}
TESTED_BY_ITSELF = {
    "driver_enrolment.py": "tests/test_example_driver.py",
    "driver_monitoring.py": "tests/test_example_monitoring.py",
    "gait_unlock.py": "tests/test_example_gait.py",
    "watchdog.py": "tests/test_example_watchdog.py",
}


def run(example: str, cwd: Path, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / example), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SAYS, *TESTED_BY_ITSELF}
    assert all((ROOT / test).is_file() for test in TESTED_BY_ITSELF.values())


@pytest.mark.parametrize("example", SAYS)
def test_example(example: str, tmp_path: Path) -> None:
    said = run(example, tmp_path)
    assert all(words in said for words in SAYS[example])


def test_verify_accepts_an_image_with_itself(tmp_path: Path) -> None:
    import cv2

    from edge_sdk.export.data.signatures.synthetic import SyntheticWriter

    image = tmp_path / "own.png"
    assert cv2.imwrite(str(image), SyntheticWriter(3).genuine(0))
    assert run("verify_two_signatures.py", tmp_path, str(image), str(image)).startswith("same person")


@pytest.mark.parametrize("script", sorted(path.name for path in EXAMPLES.glob("*.sh")))
def test_scripts_parse(script: str) -> None:
    subprocess.run(["bash", "-n", str(EXAMPLES / script)], check=True, timeout=60)


def test_jetson_profile_measures_each_power_mode(tmp_path: Path) -> None:
    """With stand-ins for the tools of the board that write down what they are asked."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("edge-sdk", "sudo"):
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "{tmp_path}/asked"\n')
        (tools / name).chmod(0o755)
    search = os.pathsep.join([str(tools), os.environ["PATH"]])
    command = [str(EXAMPLES / "jetson_profile.sh"), "NAME.edge", "made", "2"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PATH": search}, check=True, timeout=60)
    mode, clocks, selftest, profile = (tmp_path / "asked").read_text().splitlines()
    assert (mode, clocks) == ("sudo nvpmodel -m 2", "sudo jetson_clocks")
    assert "--report made/mode-2.html" in profile
    for line in (selftest, profile):
        _, name, *arguments = line.split()
        asked = [sys.executable, "-m", "edge_sdk", name, "--help"]
        offered = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
        assert [word for word in arguments if word.startswith("--") and word not in offered] == []


def test_every_example_is_in_the_readme() -> None:
    text = (EXAMPLES / "README.md").read_text()
    missing = [path.name for path in EXAMPLES.iterdir() if f"`{path.name}" not in text and path.name != "README.md"]
    assert missing == []


def test_trtexec_gets_the_artifact_and_its_shape(
    make_bundle: Callable[..., Bundle], tiny_bundle: Bundle, tmp_path: Path
) -> None:
    """With a stand-in for NVIDIA's tool that writes down what it is asked."""
    models = {name: tiny_bundle.read_model(f"{file}.onnx") for name, file in (("fp32", "fp32"), ("int8-sym", "int8"))}
    bundle = make_bundle(models=models)
    tool = tmp_path / "bin" / "trtexec"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "$@" >> asked\n')
    tool.chmod(0o755)
    search = os.pathsep.join([str(tool.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [str(EXAMPLES / "jetson_trtexec.sh"), str(bundle.path), "made"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PATH": search}, check=True, timeout=60)
    assert (tmp_path / "made" / "model.onnx").read_bytes() == bundle.read_model("int8-sym.onnx")
    building, timing = (tmp_path / "asked").read_text().splitlines()
    assert "--onnx=made/model.onnx --saveEngine=made/model.engine --shapes=image:1x1x150x180" in building
    assert "--loadEngine=made/model.engine --shapes=image:1x1x150x180" in timing
