"""Standard output holds results alone, they are never lost without an error, and names cannot forge any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.cli import main, output

from ..paths import ROOT

PROGRAM = "import sys; from edge_sdk.cli import main; sys.exit(main())"
NOISY = """
import ctypes, os
from edge_sdk.runtime import Verifier

quiet = Verifier.verify


def verify(self, *pictures):
    print("noise")
    os.write(1, b"noise")
    ctypes.CDLL(None).puts(b"noise, held back until the process ends")
    return quiet(self, *pictures)


Verifier.verify = verify
"""


def run(
    *arguments: str, code: str = "", starter: tuple[str, ...] = (), **settings: Any
) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | settings.pop("env", {})
    command = [*starter, sys.executable, "-c", code + PROGRAM, *arguments]
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
    return subprocess.run(command, env=environment, check=False, timeout=120, **settings)


@pytest.fixture
def accepted(pictures: tuple[str, str], bundle: str) -> tuple[str, ...]:
    return "verify", pictures[0], pictures[0], "--bundle", bundle


def test_what_libraries_print_is_no_part_of_the_result(accepted: tuple[str, ...]) -> None:
    done = run(*accepted, "--json", code=NOISY)
    assert done.returncode == 0
    assert json.loads(done.stdout)["decision"] is True
    assert done.stderr.count(b"noise") == 3


def test_an_application_keeps_its_standard_output(accepted: tuple[str, ...]) -> None:
    code = f"{NOISY}\nprint('before')\nfrom edge_sdk.cli import main\nmain({list(accepted)!r})\nprint('after')\n0/0\n"
    done = run(code=code)
    lines = done.stdout.splitlines()
    assert (lines[0], lines[1][:8], lines[-1]) == (b"before", b"ACCEPTED", b"after")
    assert b"noise" not in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
def test_a_result_that_cannot_be_written_is_3(accepted: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        for arguments in (accepted, (*accepted, "--json"), ("bundles",), ("--help",), ("--version",)):
            done = run(*arguments, stdout=full)
            assert done.returncode == 3
            assert b"the result cannot be written to standard output" in done.stderr
        assert run(*accepted, stderr=full).returncode == 0, "nothing had to be said there"
        assert run("verify", "one.png", "two.png", stdout=full, stderr=full).returncode == 3


def test_a_slow_reader_loses_nothing() -> None:
    """Of a pipe that does not block, as some programs leave it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    code = "from edge_sdk.cli import output\nwith output.results_alone(to_the_end=True): output.show('a' * 300_000)\n"
    with (
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=writer, env=os.environ | {"PYTHONPATH": str(ROOT)}
        ) as process,
        os.fdopen(reader, "rb") as file,
    ):
        os.close(writer)
        assert file.read() == b"a" * 300_000 + os.linesep.encode()
    assert process.returncode == 0


@pytest.mark.parametrize(("closed", "code"), [((0,), 0), ((1,), 3), ((2,), 0), ((0, 1, 2), 3)])
def test_closed_standard_streams(closed: tuple[int, ...], code: int, accepted: tuple[str, ...], tmp_path: Path) -> None:
    # By a shell: Python would fork this process, which libraries of other tests may have threads in.
    closing = ("sh", "-c", " ".join(['exec "$@"', *(f"{number}>&-" for number in closed)]), "sh")
    assert run(*accepted, code=NOISY, starter=closing).returncode == code
    template = tmp_path / "template"
    run("enroll", accepted[1], "-o", str(template), *accepted[3:], code=NOISY, starter=closing)
    assert run("verify", str(template), *accepted[2:]).returncode == 0, "no library's line is in the template"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_names_that_the_encoding_lacks(encoding: str, accepted: tuple[str, ...], tmp_path: Path) -> None:
    template = tmp_path / "Łukasz.template"
    done = run("enroll", accepted[1], "-o", str(template), *accepted[3:], env={"PYTHONIOENCODING": encoding})
    shown = done.stdout.decode(encoding)
    assert done.returncode == 0
    assert ("Łukasz" if encoding == "utf-8" else "\\u0141ukasz") in shown


def test_names_make_no_lines_and_move_no_cursor(
    bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a\nACCEPTED   score 1.0\r\x1b[2J\x9b\u202e\udcff.png"
    shown = "a\n    " + r"ACCEPTED   score 1.0\r\x1b[2J\x9b\u202e\udcff.png"
    assert main(["verify", str(tmp_path / name), "b.png", "--bundle", bundle]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"edge-sdk: ImageNotFoundError: {tmp_path}/{shown}: no such file\n"
    assert main(["verify", str(tmp_path / name), "b.png", "--bundle", bundle, "--json"]) == 3
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert message == f"{tmp_path}/{name}: no such file".replace("\udcff", r"\udcff")


def test_what_is_printable() -> None:
    assert output.printable("Zażółć 写真 😀.png") == "Zażółć 写真 😀.png"
    assert output.printable("a\tb\u2028c\x7f") == r"a\tb\u2028c\x7f"


def test_a_library_that_ends_the_process_accepts_nothing(
    accepted: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Panic(BaseException):
        """What Rust's libraries raise."""

    for error in (SystemExit(0), Panic("gone")):

        def fail(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("edge_sdk.runtime.Verifier.verify", fail)
        assert main(list(accepted)) == 3
    assert "Panic: gone" in capsys.readouterr().err
