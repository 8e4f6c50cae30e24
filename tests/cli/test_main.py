"""What holds for every command: exit codes, errors as JSON, help, a closed pipe."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk import __version__, cli
from edge_sdk.cli import main
from edge_sdk.cli.command import Parser
from edge_sdk.runtime import Verifier

from ..paths import ROOT


@pytest.mark.parametrize(
    "arguments", [[], ["nonesuch"], ["verify"], ["verify", "one.png"], ["enroll"], ["verify", "--nonesuch"]]
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--json"],
        ["verify", "one.png", "two.png", "--threads", "many", "--json"],
        ["slice", "deepsign", "--json"],
        ["train", "nonesuch", "--data", "synthetic:1", "--out", "run", "--json"],
        ["bundles", "--jso", "--nonesuch"],
        ["nonesuch", "--json"],
    ],
    ids=" ".join,
)
def test_wrong_usage_with_json_is_one_object(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["error"]["type"] == "UsageError"
    assert said["error"]["message"]
    assert not any(tmp_path.iterdir())


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


COMMANDS = tuple(name for names in cli.GROUPS.values() for name in names)
BEFORE = ("verify", "enroll", "spoof", "inspect", "selftest", "tune", "profile", "slice", "train", "distill", "export")
BEFORE += ("evaluate", "reproduce", "demo")


def test_every_command_ever_is_still_there() -> None:
    assert set(BEFORE) <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_a_command_does_and_what_each_argument_is(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"edge_sdk.cli.{command.replace('-', '_')}")
    assert module.SUMMARY.endswith(".")
    assert main([command, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert module.SUMMARY in shown
    assert main(["--help"]) == 0
    assert module.SUMMARY in " ".join(capsys.readouterr().out.split())
    parser = Parser()
    module.add_arguments(parser)
    assert [action.dest for action in parser._actions if not action.help] == []
    assert "json" in {action.dest for action in parser._actions}


def test_help_of_data_lists_what_the_loader_takes(capsys: pytest.CaptureFixture[str]) -> None:
    from edge_sdk.export.data import catalogue

    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    known = {source.specification for source in catalogue.rows()}
    assert {"cedar:PATH", "genuine:PATH", "synthetic:N[@SEED]", "lfw:PATH", "spoof:PATH"} <= known
    for specification in known:
        assert f"    {specification}" in shown
    for prefix in ("photo", "print", "screen", "camera", "crop"):
        assert f"    {prefix}+KIND:PATH" in shown


@pytest.mark.parametrize(
    "command",
    [
        ["train", "deepsign", "--data", "synthetic:1", "--out", "run"],
        ["distill", "deepsign", "--teacher", "run", "--data", "synthetic:1", "--out", "student"],
        ["export", "run", "--out", "bundle"],
        ["evaluate", "deepsign", "--data", "synthetic:1"],
        ["demo"],
        ["reproduce", "deepsign-table4", "--out", "tables"],
        ["recipes"],
    ],
    ids=lambda command: command[0],
)
def test_without_the_extra_a_command_names_package_and_extra(command: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(torch=None, matplotlib=None); from edge_sdk.cli import main; sys.exit(main())"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    package = "matplotlib" if command[0] == "evaluate" else "torch"
    assert f'MissingToolError: {package} is not installed; install edge-sdk with the extra "export"' in done.stderr


def test_help_needs_no_torch() -> None:
    code = "import sys; from edge_sdk.cli import main; main(['--help']); print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False"
    assert all(
        f"    {command} " in done.stdout for command in ("train", "distill", "export", "evaluate", "demo", "verify")
    )
