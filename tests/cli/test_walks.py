"""Walks on the command line: files, and standard input as it comes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from edge_sdk import Template, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.runtime.template import GaussianMixtureTemplate

from ..runtime.walked import csv, gait_bundle


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that says what its golden walks score."""
    folder = tmp_path_factory.mktemp("gait")
    with Verifier(gait_bundle(folder / "first")) as verifier:
        score = verifier.verify(csv(1, 0), csv(1, 1)).score
    return gait_bundle(folder / "walkers", golden=score)


@pytest.fixture
def options(made: Bundle) -> list[str]:
    return ["--bundle", str(made.path)]


@pytest.fixture
def walks(tmp_path: Path) -> dict[tuple[int, int], str]:
    """Three walks each of two people."""
    paths = {}
    for person in (1, 2):
        for number in range(3):
            path = tmp_path / f"{person}-{number}.csv"
            path.write_bytes(csv(person, number))
            paths[person, number] = str(path)
    return paths


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> io.BytesIO:
    """Let standard input hold this."""
    stream = io.BytesIO(data)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
    return stream


def test_walks_are_enrolled_verified_and_identified(
    walks: dict[tuple[int, int], str],
    options: list[str],
    made: Bundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["verify", walks[1, 0], walks[1, 1], *options]) == 0
    assert capsys.readouterr().out.startswith("ACCEPTED")
    assert main(["verify", walks[1, 0], walks[2, 1], *options, "--json"]) == 1
    templates = {person: str(tmp_path / f"{person}.template") for person in (1, 2)}
    for person, path in templates.items():
        assert main(["enroll", walks[person, 0], walks[person, 1], "-o", path, *options]) == 0
    with Verifier(made) as verifier:
        expected = verifier.enroll([csv(2, 0), csv(2, 1)])
    loaded = Template.load(templates[2])
    assert msgspec.structs.replace(loaded, template_id=expected.template_id) == expected
    assert f"{templates[2]}: {expected.count} gait cycles, fp32.onnx" in capsys.readouterr().out
    assert main(["verify", templates[1], walks[1, 2], *options]) == 0
    assert main(["verify", templates[1], walks[2, 2], *options]) == 1
    capsys.readouterr()
    assert main(["identify", walks[2, 2], *templates.values(), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["identity"] == templates[2]


def test_enrolment_from_a_stream_stops_when_it_is_enough(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    template = tmp_path / "person"
    stream = give(monkeypatch, csv(1, 0) + csv(1, 1))
    assert main(["enroll", "-", "-o", str(template), *options, "--json"]) == 0
    printed = capsys.readouterr()
    found = Template.load(template)
    assert isinstance(found, GaussianMixtureTemplate)
    assert 10 <= found.count < 18
    assert stream.tell() < len(csv(1, 0)), "the rest is left unread"
    assert json.loads(printed.out)["count"] == found.count
    said = printed.err.splitlines()
    assert said[0].endswith("of 10 cycles")
    assert said[-1] == f"{found.count} of 10 cycles"
    give(monkeypatch, csv(1, 0))
    assert main(["enroll", "-", "-o", str(template), *options, "--cycles", "18"]) == 0
    assert Template.load(template).count == 17, "the end of the walk came first"
    assert "the walk has ended with 17 of 18 cycles" in capsys.readouterr().err
    give(monkeypatch, csv(1, 2))
    assert main(["verify", str(template), "-", *options]) == 0
    assert "of 5 cycles" in capsys.readouterr().err
    give(monkeypatch, csv(1, 2))
    assert main(["identify", "-", str(template), *options]) == 0


def test_a_stream_that_ends_too_soon_or_holds_something_else(
    options: list[str],
    tmp_path: Path,
    walks: dict[tuple[int, int], str],
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    template = tmp_path / "person"
    standing = "".join(f"{40 * k},0,9.81,{0.01 * (k % 2)}\n" for k in range(500)).encode()
    for data, code, message in (
        (b"", 3, "standard input: empty, no rows"),
        (b"\n\n", 3, "empty, no rows"),
        (csv(1, 0, 8.0), 3, "needed: record a longer walk"),
        (standing, 3, "no_walk"),
        (b"1,2,3\n", 3, "line 1: 3 field(s); expected 4"),
        (b"time,x,y,z\n", 3, "line 1: expected a time stamp"),
        (b"0," * 600 + b"\n", 3, "line 1: expected a time stamp"),
        (b"\xff\xfe\n", 3, "line 1: expected a time stamp"),
        (b"0,nan,0,9.81\n" * 40, 3, "NaN or infinity"),
        (csv(1, 0).replace(b",", b" "), 3, "line 1: expected a time stamp"),
    ):
        give(monkeypatch, data)
        assert main(["enroll", "-", "-o", str(template), *options]) == code, message
        assert message in capsys.readouterr().err
        assert not template.exists()
    for words in (
        ["enroll", "-", "-", "-o", str(template), *options],
        ["verify", "-", "-", *options],
        ["enroll", "-", "-o", str(template), *options, "--cycles", "3"],
        ["enroll", "-", "-o", str(template), "--bundle", bundle],
        ["verify", walks[1, 0], walks[1, 1], *options, "--cycles", "12"],
    ):
        give(monkeypatch, csv(1, 0))
        assert main(words) == 2, words
    assert main(["verify", walks[1, 0], walks[1, 1], "--bundle", bundle]) == 2
    assert "takes samples of signature; name a bundle of gait with --bundle" in capsys.readouterr().err
    assert main(["verify", "a.png", "b.png", *options]) == 2
    assert "name a bundle of signature or face" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["verify", walks[1, 0], "-", *options]) == 2


def test_lines_are_taken_as_they_come(options: list[str], tmp_path: Path) -> None:
    """The writer keeps the pipe open: who waits for its end would wait for ever."""
    template = tmp_path / "person"
    command = [sys.executable, "-m", "edge_sdk", "enroll", "-", "-o", str(template), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(csv(1, 0))
        process.stdin.flush()
        assert b"of 10 cycles" in process.stderr.readline()
        assert process.wait(timeout=120) == 0
    assert Template.load(template).count >= 10


def test_a_bundle_of_gait_is_inspected_replayed_tuned_and_profiled(
    made: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(made.path)
    assert main(["inspect", path]) == 0
    said = capsys.readouterr().out
    assert "sensor_stream: gait_cycles" in said
    assert "score            llr" in said
    assert "enrols           from 10 rows on" in said
    assert main(["selftest", path, "--json"]) == 0
    capsys.readouterr()
    assert main(["tune", path, "--seconds", "0.2", "--json"]) == 0
    capsys.readouterr()
    assert main(["profile", path, "--engine", "onnxruntime", "--seconds", "0.5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"]
    assert main(["slice", path, "--precision", "fp32", "--out", str(tmp_path / "sliced.edge")]) == 0
    assert main(["selftest", str(tmp_path / "sliced.edge")]) == 0, "its density is there, too"
