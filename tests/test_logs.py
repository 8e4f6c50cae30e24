"""The library's messages: quiet by itself, heard by whoever asks ``logging``, and by the command line."""

from __future__ import annotations

import ast
import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import cli, logs
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.cli.command import Parser
from edge_sdk.errors import TemplateError
from edge_sdk.runtime import Verifier

from .paths import ROOT

COMMANDS = tuple(name for names in cli.GROUPS.values() for name in names)
SAY = "from edge_sdk.logs import Log; Log('edge_sdk.made.up').warning('the %s', 'words')"


def said(code: str) -> str:
    """What a fresh process prints, on standard output and standard error."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, env=environment, check=True, timeout=120)
    return done.stdout + done.stderr


def test_without_logging_nothing_is_said_and_nothing_imported() -> None:
    assert said(f"{SAY}; import sys; print('logging' in sys.modules)") == "False\n"


def test_an_application_that_configures_nothing_hears_nothing() -> None:
    """Python itself prints warnings that nobody handles; a library's ``NullHandler`` handles them."""
    assert said(f"import logging; {SAY}") == ""


def test_an_application_hears_what_it_asks_for(caplog: pytest.LogCaptureFixture) -> None:
    log = logs.Log("edge_sdk.made.up")
    with caplog.at_level(logging.INFO, "edge_sdk"):
        log.debug("not this")
        log.info("opened %s on %s", "a bundle", "an engine")
        log.warning("100 %")
    assert [(one.levelname, one.name, one.getMessage()) for one in caplog.records] == [
        ("INFO", "edge_sdk.made.up", "opened a bundle on an engine"),
        ("WARNING", "edge_sdk.made.up", "100 %"),
    ]
    assert {(one.funcName, one.filename) for one in caplog.records} == {
        ("test_an_application_hears_what_it_asks_for", "test_logs.py")
    }
    assert [type(handler) for handler in logging.getLogger("edge_sdk").handlers] == [logging.NullHandler]


def test_a_listener_hears_from_its_level_on() -> None:
    heard: list[tuple[int, str]] = []
    log = logs.Log("edge_sdk.made.up")
    with logs.heard(logs.INFO, lambda *message: heard.append(message)):
        for say in (log.debug, log.info, log.warning):
            say("%d of %d", 1, 2)
    log.warning("afterwards")
    assert heard == [(logging.INFO, "1 of 2"), (logging.WARNING, "1 of 2")]


def test_every_module_logs_under_its_own_name() -> None:
    """By :mod:`edge_sdk.logs`, so that no start imports ``logging`` and the command line hears all of it."""
    for path in sorted(Path(ROOT, "edge_sdk").rglob("*.py")):
        tree = ast.parse(path.read_bytes())
        calls = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        made = {call for call in calls if call.startswith(("Log(", "logs.Log("))}
        assert made <= {"Log(__name__)"}, path
        if path.name != "logs.py":
            found = {call for call in calls if call.startswith("logging.getLogger(")}
            assert all("torch" in call for call in found), path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_asked_for_more(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser()
    importlib.import_module(f"edge_sdk.cli.{command.replace('-', '_')}").add_arguments(parser)
    assert not {"-v", "--verbose"} & set(parser._option_string_actions)
    assert main([command, "--help"]) == 0
    assert "-v, --verbose" in capsys.readouterr().out


def test_the_command_line_shows_warnings_and_more_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logs.Log("edge_sdk.made.up")

    def talk(_: object) -> int:
        log.debug("a step")
        log.info("a choice")
        log.warning("two\nlines \x1b[2J")
        return 0

    monkeypatch.setattr("edge_sdk.cli.bundles.run", talk)
    warning, choice, step = (
        "edge-sdk: warning: two\n    lines \\x1b[2J\n",
        "edge-sdk: info: a choice\n",
        "edge-sdk: debug: a step\n",
    )
    for words, expected in (
        ([], warning),
        (["-v"], choice + warning),
        (["--verbose", "--json"], choice + warning),
        (["-vv"], step + choice + warning),
        (["-v", "-v", "-v"], step + choice + warning),
    ):
        assert main(["bundles", *words]) == 0
        assert capsys.readouterr() == ("", expected)


def test_what_an_integrator_asks_about_and_nothing_of_a_person(
    tiny_bundle: Bundle,
    signer: Callable[..., np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "cache"))
    pictures = [tmp_path / f"{name}.png" for name in ("anna", "ben")]
    for seed, path in enumerate(pictures):
        assert cv2.imwrite(str(path), signer(seed))
    verify = ["verify", *map(str, pictures), "--bundle", str(tiny_bundle.path), "--threads", "2", "--json"]
    main([*verify, "--engine", "onnxruntime", "--precision", "fp32", "-v"])
    printed = capsys.readouterr()
    trusted, first, second = printed.err.splitlines()
    assert trusted.startswith("edge-sdk: info: no trust file at ")
    assert first.startswith("edge-sdk: info: no compiled model is kept for onnxruntime: there is no ")
    assert second == f"edge-sdk: info: {tiny_bundle.id}: fp32.onnx runs on onnxruntime, threads 2; fmr_1e-2 decides"

    main([*verify, "-vv"])
    said = capsys.readouterr()
    for words in (
        "is the first by preference; not tuned here",
        "0 rows of 0 were tuned",
        "read model",
        "loads a model",
    ):
        assert words in said.err
    score = json.loads(said.out)["score"]
    assert not [word for word in ("anna", "ben.png", f"{score:.4f}") if word in said.err]


def test_a_refused_template_is_named_by_what_made_it(
    tiny_bundle: Bundle, signer: Callable[..., np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    with Verifier(tiny_bundle, precision="fp32") as verifier:
        template = verifier.enroll([signer(1)])
    with (
        Verifier(tiny_bundle, precision="int8") as verifier,
        caplog.at_level(logging.INFO, "edge_sdk"),
        pytest.raises(TemplateError),
    ):
        verifier.verify(template, signer(1))
    assert "a template is refused: template was made by fp32.onnx, this is int8.onnx" in caplog.text
