"""``contract_version``: first in every object of every command's ``--json``; while it stays, so do the keys.

``contract.json`` holds the keys of the device's commands, with the kinds of their values. A new key may join it. Where
one goes or changes, ``output.CONTRACT_VERSION`` rises, the file with it, and the changelog says which.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_sdk import cli
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main, output

COMMANDS = tuple(name for names in cli.GROUPS.values() for name in names)
CONTRACT = json.loads(Path(__file__).with_name("contract.json").read_bytes())

SIGNATURES, FACE, FRAME = (Bundle.open(name).path / "golden" for name in ("deepsign", "liveness", "face_locator"))
ONE, TWO = str(SIGNATURES / "reference.png"), str(SIGNATURES / "query.png")
RUNS = {
    "keygen template": ["keygen", "template", "device.key"],
    "keygen signing": ["keygen", "signing", "vendor.pem"],
    "enroll": ["enroll", ONE, "-o", "person.template", "--key", "device.key"],
    "renew": ["renew", "person.template", "--key", "device.key"],
    "revoke": ["revoke", "0" * 32, "--list", "revoked.json"],
    "verify": ["verify", ONE, TWO],
    "identify": ["identify", TWO, "person.template", "--key", "device.key"],
    "spoof": ["spoof", str(FACE / "plain.png")],
    "locate": ["locate", str(FRAME / "landscape.png")],
    "bundles": ["bundles"],
    "inspect": ["inspect", "deepsign"],
    "inspect template": ["inspect", "person.template", "--key", "device.key"],
    "selftest": ["selftest", "deepsign", "--engine", "onnxruntime"],
    "slice": ["slice", "deepsign", "--precision", "fp32", "--format", "onnx", "--out", "small.edge"],
    "sign": ["sign", "small.edge", "--key", "vendor.pem"],
    "verify-signature": ["verify-signature", "small.edge", "--key", "vendor.pub.pem"],
    "tune": ["tune", "small.edge", "--seconds", "0.05"],
    "profile": ["profile", "small.edge", "--seconds", "0.05", "--engine", "onnxruntime"],
    "bom": ["bom", "small.edge", "--out", "small.cdx.json"],
    "recipes": ["recipes"],
}
"""A run of each command that needs no training data, in an order in which each finds what it reads."""


def keys(value: Any, path: str = "", depth: int = 3) -> Iterator[tuple[str, str]]:
    """Each key down to the third level, ``faces[].left``, and the kind of its value; a manifest has its own version."""
    if path:
        yield path, _KINDS[type(value)]
    if isinstance(value, dict) and depth and path != "manifest":
        for name, inner in value.items():
            yield from keys(inner, f"{path}.{name}".lstrip("."), depth - 1)
    if isinstance(value, list) and value:
        yield from keys(value[0], f"{path}[]", depth)


_KINDS = {bool: "truth", int: "number", float: "number", str: "text", list: "list", dict: "object", type(None): "null"}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each of the runs prints, by lines."""
    folder, found = tmp_path_factory.mktemp("contract"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("EDGE_SDK_CONFIG", str(folder / "config"))
        for name, words in RUNS.items():
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                code = main([*words, "--json"])
            found[name] = stream.getvalue().splitlines()
            assert code in {cli.ACCEPTED, cli.REJECTED}, found[name]
    return found


@pytest.mark.parametrize("name", RUNS)
def test_the_keys_of_a_version_stay(printed: dict[str, list[str]], name: str) -> None:
    found: dict[str, str] = {}
    for line in printed[name]:
        said = json.loads(line)
        assert next(iter(said)) == "contract_version"
        found |= keys(said)
    for path, kind in CONTRACT["keys"][name].items():
        assert path in found, f"{name} does not print {path} any more: raise CONTRACT_VERSION"
        assert "null" in (kind, found[path]) or found[path] == kind, f"{name}: {path} is no {kind} any more"


def test_the_keys_are_those_of_this_version() -> None:
    assert (CONTRACT["contract_version"], set(CONTRACT["keys"])) == (output.CONTRACT_VERSION, set(RUNS))
    assert {words[0] for words in RUNS.values()} >= set(cli.GROUPS["on the device"])


@pytest.mark.parametrize("command", COMMANDS)
def test_an_error_of_any_command_begins_with_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--nonesuch", "--json"]) == cli.USAGE
    (line,) = capsys.readouterr().out.splitlines()
    assert next(iter(json.loads(line).items())) == ("contract_version", output.CONTRACT_VERSION)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_writes_json_past_it(command: str) -> None:
    """What any of them prints goes through ``output.show_json``; ``search`` writes the same values into a file."""
    path = importlib.import_module(f"edge_sdk.cli.{command.replace('-', '_')}").__file__
    assert path
    calls = [node.func for node in ast.walk(ast.parse(Path(path).read_bytes())) if isinstance(node, ast.Call)]
    dumped = [call for call in calls if isinstance(call, ast.Attribute) and call.attr in {"dumps", "encode"}]
    assert len(dumped) == (command == "search")
