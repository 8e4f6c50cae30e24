"""``calibrate --live`` and ``--camera``: exit codes, JSON, text; tests/calibration/test_live.py tests the fit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.bundle import Bundle, SigningKey, Trust, sign_bundle
from edge_sdk.cli import main
from edge_sdk.errors import SignatureError
from edge_sdk.runtime import sources

from ..runtime.drawn import frame
from ..runtime.test_detector import spoof_bundle

pytestmark = pytest.mark.usefixtures("fake_engine")
Capture = pytest.CaptureFixture[str]


def face(seed: int) -> np.ndarray:
    """The crop of a drawn face, each a little brighter than the last."""
    return frame((0, 0, 200), seed=seed, height=200, width=200) + np.uint8(seed % 40)


@pytest.fixture
def live(tmp_path: Path) -> Path:
    for person in range(6):
        (tmp_path / "live" / f"p{person}").mkdir(parents=True)
        for k in range(10):
            assert cv2.imwrite(str(tmp_path / "live" / f"p{person}" / f"{k}.png"), face(10 * person + k))
    return tmp_path / "live"


@pytest.fixture
def spoof(make_bundle) -> Bundle:  # type: ignore[no-untyped-def]
    return spoof_bundle(make_bundle)


def test_in_place_the_signature_goes_or_is_made_anew(
    spoof: Bundle, live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    key = SigningKey.create(tmp_path / "vendor.pem")
    trust = Trust(keys=[key.public_pem()])
    command = ["calibrate", str(spoof.path), "--live", str(live), "--faces", "cropped", "--engine", "fake"]
    command.append("--in-place")
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signed"] is False
    sign_bundle(spoof.path, [key])
    Bundle.open(spoof.path, trust=trust)
    assert main(command) == 0
    assert "not signed: the signature that was there does not hold for it" in capsys.readouterr().out
    with pytest.raises(SignatureError, match="has no signature"):
        Bundle.open(spoof.path, trust=trust)
    assert main([*command, "--sign-key", str(tmp_path / "vendor.pem")]) == 0
    assert f"signed with {key.key_id[:12]}" in capsys.readouterr().out
    assert Bundle.open(spoof.path, trust=trust).manifest.thresholds
    (tmp_path / "trust.json").write_text(json.dumps({"keys": [key.public_pem().decode()]}))
    (tmp_path / "trust.json").chmod(0o600)
    monkeypatch.setenv("EDGE_SDK_TRUST", str(tmp_path / "trust.json"))
    before = (spoof.path / "manifest.json").read_bytes()
    assert main(command) == 2, "else this device could not open its bundle any more"
    assert "would have no signature any more" in capsys.readouterr().err
    SigningKey.create(tmp_path / "stranger.pem")
    assert main([*command, "--sign-key", str(tmp_path / "stranger.pem")]) == 2
    assert "no key is trusted here that would sign it" in capsys.readouterr().err
    assert main([*command, "--sign-key", str(tmp_path / "missing.pem")]) == 3
    assert (spoof.path / "manifest.json").read_bytes() == before
    assert main([*command, "--sign-key", str(tmp_path / "stranger.pem"), str(tmp_path / "vendor.pem")]) == 0
    assert Bundle.open(spoof.path)


def test_a_copy_for_this_camera(spoof: Bundle, live: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "mine.edge"
    command = ["calibrate", str(spoof.path), "--live", str(live), "--faces", "cropped", "--engine", "fake"]
    assert main([*command, "--out", str(out), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "", "six people are enough for no warning"
    said = json.loads(printed.out)
    written = Bundle.open(out)
    assert (said["id"], said["previous_bundle"]) == (written.id, spoof.id)
    assert (said["thresholds"]["data"], said["thresholds"]["subjects"]) == ("live", 6)
    assert said["thresholds"]["pictures"] == 60
    (variant,) = said["variants"]
    assert [point["kind"] for point in variant["operating_points"]] == ["bona_fide", "unsupported", "unsupported"]
    assert main([*command, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "fitted to live: 60 live pictures of 6 people, no attacks: APCER unknown" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert lines[lines.index(["operating", "point", "threshold", "BPCER,", "%"]) + 1][0] == "bpcer_1e-1"
    assert main(["inspect", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "fitted again on live: 6 people, live pictures alone, no attacks" in " ".join(shown.split())
    assert "camera           60 live pictures; no density to fit" in shown


def test_few_people_are_a_warning(spoof: Bundle, live: Path, tmp_path: Path, capsys: Capture) -> None:
    settings = ["--faces", "cropped", "--engine", "fake", "--out", str(tmp_path / "mine"), "--json"]
    for k in range(60):
        assert cv2.imwrite(str(live / "p0" / f"more{k}.png"), face(100 + k))
    assert main(["calibrate", str(spoof.path), "--live", str(live / "p0"), *settings]) == 0
    assert "hold for this person alone" in capsys.readouterr().err
    assert main(["calibrate", str(spoof.path), "--live", *(str(live / f"p{k}") for k in range(4)), *settings]) == 0
    assert "4 people say little of others" in capsys.readouterr().err


def test_a_camera(spoof: Bundle, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def camera(number: int) -> Iterator[tuple[float, np.ndarray | None]]:
        assert number == 3
        for k in range(1000):
            taken.append(k)
            yield k / 10, None if k % 7 == 0 else face(k)

    monkeypatch.setattr(sources, "camera", camera)
    command = ["calibrate", str(spoof.path), "--camera", "3", "--pictures", "55", "--faces", "cropped"]
    assert main([*command, "--engine", "fake", "--out", str(tmp_path / "mine"), "--json"]) == 0
    printed = capsys.readouterr()
    said = json.loads(printed.out)
    assert (said["thresholds"]["data"], said["thresholds"]["pictures"]) == ("camera 3", 55)
    assert {tuple(one["reasons"]) for one in said["unusable"]} == {("corrupt",)}
    assert "look into camera 3" in printed.err
    assert len(taken) < 200


def test_nobody_before_the_camera(
    spoof: Bundle, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = ((k / 5, np.zeros((200, 200, 3), np.uint8)) for k in range(10**9))
    monkeypatch.setattr(sources, "camera", lambda number: empty)
    command = ["calibrate", str(spoof.path), "--camera", "0", "--pictures", "50", "--engine", "fake", "--json"]
    assert main([*command, "--faces", "cropped", "--out", str(tmp_path / "mine")]) == 3
    assert "0 usable live pictures of 200" in json.loads(capsys.readouterr().out)["error"]["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--out", "mine"],
        ["--live", "live", "--data", "synthetic:6", "--out", "mine"],
        ["--live", "live", "--camera", "0", "--out", "mine"],
        ["--live", "live", "--subjects-file", "people.txt", "--out", "mine"],
        ["--live", "live", "--pictures", "60", "--out", "mine"],
        ["--camera", "-1", "--out", "mine"],
        ["--camera", "0", "--pictures", "49", "--out", "mine"],
        ["--camera", "0", "--pictures", "1001", "--out", "mine"],
        ["--live", "live", "--in-place", "--leave-out"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(
    arguments: list[str], spoof: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["calibrate", str(spoof.path), *arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "UsageError"
    assert not (tmp_path / "mine").exists()


def test_a_foreign_folder_to_write_into_is_refused_before_any_picture(
    spoof: Bundle, live: Path, tmp_path: Path, capsys: Capture
) -> None:
    few = str(live / "p0")  # which would be an error by itself
    settings = ["--faces", "cropped", "--engine", "fake", "--out", str(live / "p1"), "--json"]
    assert main(["calibrate", str(spoof.path), "--live", few, *settings]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["type"], "exists and is no bundle" in error["message"]) == ("BundleError", True)
    assert len(list((live / "p1").iterdir())) == 10


def test_too_few_pictures_are_an_error(spoof: Bundle, live: Path, tmp_path: Path, capsys: Capture) -> None:
    settings = ["--faces", "cropped", "--engine", "fake", "--out", str(tmp_path / "mine"), "--json"]
    assert main(["calibrate", str(spoof.path), "--live", str(live / "p0"), *settings]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == "DatasetError"
    assert "10 usable live pictures" in error["message"]
    assert not (tmp_path / "mine").exists()


def test_it_needs_nothing_of_the_workstation(live: Path, tmp_path: Path) -> None:
    """A shipped bundle, where PyTorch and all that comes with it cannot be imported."""
    blocked = (
        "torch",
        "onnx",
        "onnxscript",
        "sklearn",
        "lightning_fabric",
        "safetensors",
        "matplotlib",
        "rich",
        "kornia",
    )
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked})); "
        "from edge_sdk.cli import main; raise SystemExit(main(sys.argv[1:]))"
    )
    arguments = ["calibrate", "ganomaly_lite", "--live", str(live), "--faces", "cropped", "--precision", "fp32.onnx"]
    command = [sys.executable, "-c", code, *arguments, "--out", str(tmp_path / "mine.edge"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["variants"][0]["id"] == "fp32.onnx"
