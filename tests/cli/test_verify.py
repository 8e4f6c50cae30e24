"""``verify``, ``enroll``, ``inspect``, ``selftest``: exit codes, JSON, and what a process loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import __version__, cli
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main, options
from edge_sdk.runtime import Template, Verifier

from ..paths import ROOT

Maker = Callable[..., Bundle]


@pytest.fixture
def pictures(tmp_path: Path, signer: Callable[..., np.ndarray]) -> tuple[str, str]:
    """Paths of two different signatures."""
    paths = tmp_path / "one.png", tmp_path / "two.png"
    for seed, path in enumerate(paths, start=1):
        assert cv2.imwrite(str(path), signer(seed))
    return str(paths[0]), str(paths[1])


@pytest.fixture
def bundle(tiny_bundle: Bundle) -> str:
    return str(tiny_bundle.path)


def test_verify_says_what_the_verifier_says(
    pictures: tuple[str, str], bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for pair, code in (((pictures[0], pictures[0]), 0), (pictures, 1)):
        assert main(["verify", *pair, "--bundle", bundle, "--json"]) == code
        said = json.loads(capsys.readouterr().out)
        with Verifier(bundle) as verifier:
            expected = verifier.verify(*pair).as_dict()
        del said["timings"], expected["timings"]
        assert said == expected
        assert said["decision"] is (code == 0)


def test_verify_for_people(pictures: tuple[str, str], bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *pictures, "--bundle", bundle]) == 1
    said = capsys.readouterr().out
    assert said.startswith("REJECTED")
    assert "fmr_1e-2" in said
    assert main(["verify", pictures[0], pictures[0], "--bundle", bundle]) == 0
    assert capsys.readouterr().out.startswith("ACCEPTED")


def test_options_reach_the_verifier(pictures: tuple[str, str], bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--precision", "fp32", "--operating-point", "eer", "--threads", "2", "--engine", "onnxruntime"]
    main(["verify", *pictures, "--bundle", bundle, "--json", *options])
    said = json.loads(capsys.readouterr().out)
    with Verifier(bundle, precision="fp32", operating_point="eer") as verifier:
        assert said["score"] == pytest.approx(verifier.verify(*pictures).score, abs=1e-6)
    assert said["operating_point"] == "eer"


def test_enroll_then_verify(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = str(tmp_path / "person.template")
    assert main(["enroll", *pictures, "--output", template, "--bundle", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["count"], said["template"], said["artifact_id"]) == (2, template, "int8.onnx")
    assert Template.load(template).count == 2
    main(["verify", template, pictures[0], "--bundle", bundle, "--json"])
    by_template = json.loads(capsys.readouterr().out)
    main(["verify", *pictures, pictures[0], "--bundle", bundle, "--json"])
    assert by_template["score"] == json.loads(capsys.readouterr().out)["score"]


def test_a_damaged_or_misplaced_template_is_an_error(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = tmp_path / "person.template"
    main(["enroll", pictures[0], "-o", str(template), "--bundle", bundle])
    # A template is no picture: not among several references, and not a query.
    assert main(["verify", pictures[0], str(template), pictures[0], "--bundle", bundle]) == 3
    assert f"{template} is a template" in capsys.readouterr().err
    assert main(["verify", pictures[0], str(template), "--bundle", bundle]) == 3
    assert main(["verify", str(template), pictures[0], "--bundle", bundle, "--precision", "fp32"]) == 3
    template.write_bytes(template.read_bytes()[:-1])
    capsys.readouterr()
    assert main(["verify", str(template), pictures[0], "--bundle", bundle, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "TemplateError"


def test_inspect(bundle: str, tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["id"] == tiny_bundle.id
    assert said["manifest"] == json.loads((tiny_bundle.path / "manifest.json").read_bytes())
    assert main(["inspect", bundle]) == 0
    text = capsys.readouterr().out
    for words in (tiny_bundle.id, "int8.onnx", "threshold 0.9000", "100 impostor trials", "commercial use   allowed"):
        assert words in text


def test_selftest(
    make_bundle: Maker, tiny_bundle: Bundle, signer: Callable[..., np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    with Verifier(tiny_bundle) as verifier:
        score = verifier.verify(signer(1), signer(2)).score
    good, wrong = (str(make_bundle(golden={"int8.onnx": value}).path) for value in (score, score + 0.1))
    assert main(["selftest", good, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["passed"] is True
    assert said["replays"][0]["score"] == pytest.approx(score, abs=1e-6)
    assert main(["selftest", good]) == 0
    assert "PASS" in capsys.readouterr().out
    assert main(["selftest", wrong]) == 1
    assert "FAIL" in capsys.readouterr().out
    assert main(["selftest", str(tiny_bundle.path)]) == 1
    assert "nothing was replayed" in capsys.readouterr().out
    assert main(["selftest", good, "--engine", "litert"]) == 1
    assert "litert does not run int8.onnx; it runs int8.tflite" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["nonesuch"], ["verify"], ["verify", "one.png"], ["enroll", "one.png"], ["verify", "--nonesuch"]]
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


def test_wrong_values_are_2(pictures: tuple[str, str], bundle: str) -> None:
    assert main(["verify", *pictures, "--bundle", bundle, "--threads", "0"]) == 2
    assert main(["verify", *pictures, "--bundle", bundle, "--engine", "nonesuch"]) == 2


def test_help_and_version_are_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__
    assert main(["verify", "--help"]) == 0


def test_a_crash_is_3_and_not_a_rejection(
    pictures: tuple[str, str], bundle: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, code in ((RuntimeError("surprise"), 3), (MemoryError(), 3), (OSError(28, "full"), 3)):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(Verifier, "verify", fail)
        assert main(["verify", *pictures, "--bundle", bundle, "--json"]) == code
        assert json.loads(capsys.readouterr().out)["error"]["type"] == type(error).__name__
    monkeypatch.setattr(Verifier, "verify", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["verify", *pictures, "--bundle", bundle]) == 130


def test_templates_go_into_new_folders_but_not_below_files(
    pictures: tuple[str, str], bundle: str, tmp_path: Path
) -> None:
    new = tmp_path / "new" / "person"
    assert main(["enroll", pictures[0], "-o", str(new), "--bundle", bundle]) == 0
    assert Template.load(new).count == 1
    assert main(["enroll", pictures[0], "-o", str(new / "person"), "--bundle", bundle]) == 3


def test_the_default_bundle_is_a_shipped_one(
    pictures: tuple[str, str], make_bundle: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_sdk.bundle.SHIPPED", tmp_path)
    make_bundle(tmp_path / options.VERIFY_BUNDLE)
    assert main(["verify", pictures[0], pictures[0]]) == 0


def test_a_fresh_process_is_lean(pictures: tuple[str, str], bundle: str) -> None:
    """The whole command, as a person starts it: the code it loads, and its peak memory."""
    code = (
        "import pathlib, re, sys\n"
        "from edge_sdk.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "heavy = {'torch', 'onnx', 'matplotlib', 'rich', 'lightning_fabric', 'scipy', 'edge_sdk.export',\n"
        "         'edge_sdk.calibration'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "status = pathlib.Path('/proc/self/status')\n"  # ru_maxrss would start from pytest's own size
        "text = status.read_text() if status.exists() else 'VmHWM: 0 kB'\n"
        "print(code, re.search(r'VmHWM:\\s+(\\d+)', text)[1])\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, "verify", *pictures, "--bundle", bundle, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=120)
    *_, last = done.stdout.splitlines()
    exit_code, kilobytes = map(int, last.split())
    assert exit_code == 1
    assert kilobytes < 150_000  # 91,000 measured; 122,000 with DeepSign in fp32


def test_a_reader_that_has_seen_enough_is_no_error(bundle: str) -> None:
    """Like ``edge-sdk inspect BUNDLE | head -0``, on a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "edge_sdk", "inspect", bundle]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment, check=False, timeout=120)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (cli.PIPE_CLOSED, b"")


def test_python_m_edge_sdk(pictures: tuple[str, str], bundle: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for pair, code in (((pictures[0], pictures[0]), 0), (pictures, 1), ((pictures[0], "none.png"), 3)):
        command = [sys.executable, "-m", "edge_sdk", "verify", *pair, "--bundle", bundle]
        assert (
            subprocess.run(command, capture_output=True, env=environment, check=False, timeout=120).returncode == code
        )


def test_every_command_has_a_handler() -> None:
    parser = cli._parser()
    (commands,) = (action.choices for action in parser._actions if hasattr(action, "choices") and action.choices)
    assert {"verify", "enroll", "inspect", "selftest"} <= set(commands)
    for name, command in commands.items():
        assert callable(command.get_default("handler")), name
