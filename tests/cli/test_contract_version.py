"""Every object of every command's ``--json`` begins with the version of what it promises."""

from __future__ import annotations

import ast
import importlib
import json
from pathlib import Path

import pytest

from edge_sdk import cli
from edge_sdk.cli import main, output

COMMANDS = tuple(name for names in cli.GROUPS.values() for name in names)


def versions(printed: str) -> list[int]:
    """What each object begins with."""
    objects = [json.loads(line, object_pairs_hook=list) for line in printed.splitlines()]
    assert {pairs[0][0] for pairs in objects} == {"contract_version"}
    return [pairs[0][1] for pairs in objects]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_error_of_any_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--nonesuch", "--json"]) == cli.USAGE
    assert versions(capsys.readouterr().out) == [output.CONTRACT_VERSION]


@pytest.mark.parametrize(
    "command",
    [
        ["verify", "ONE", "TWO", "--bundle", "BUNDLE"],
        ["enroll", "ONE", "-o", "person.template", "--bundle", "BUNDLE"],
        ["spoof", "ONE", "TWO"],
        ["locate", "ONE"],
        ["bundles"],
        ["inspect", "BUNDLE"],
        ["selftest", "BUNDLE"],
        ["slice", "BUNDLE", "--precision", "fp32", "--out", "small.edge"],
        ["recipes"],
    ],
    ids=lambda command: command[0],
)
def test_a_result(
    command: list[str],
    pictures: tuple[str, str],
    bundle: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    named = {"ONE": pictures[0], "TWO": pictures[1], "BUNDLE": bundle}
    assert main([*(named.get(word, word) for word in command), "--json"]) in {cli.ACCEPTED, cli.REJECTED}
    assert set(versions(capsys.readouterr().out)) == {output.CONTRACT_VERSION}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_writes_json_past_it(command: str) -> None:
    """What any of them prints goes through ``output.show_json``; ``search`` writes the same values into a file."""
    path = importlib.import_module(f"edge_sdk.cli.{command.replace('-', '_')}").__file__
    assert path
    calls = [node.func for node in ast.walk(ast.parse(Path(path).read_bytes())) if isinstance(node, ast.Call)]
    dumped = [call for call in calls if isinstance(call, ast.Attribute) and call.attr in {"dumps", "encode"}]
    assert len(dumped) == (command == "search")
