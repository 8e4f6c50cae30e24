"""``enroll``: templates that ``verify`` takes, and those that it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_sdk.cli import main
from edge_sdk.runtime import Template


def test_enroll_then_verify(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = str(tmp_path / "person.template")
    assert main(["enroll", *pictures, "--output", template, "--bundle", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["count"], said["template"], said["variant_id"]) == (2, template, "int8.onnx")
    one = str(tmp_path / "one.template")
    assert main(["enroll", pictures[0], "--output", one, "--bundle", bundle]) == 0
    assert capsys.readouterr().out == f"{one}: 1 reference, int8.onnx\n"
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
    assert f"{template} is a template: name it first" in capsys.readouterr().err
    assert main(["verify", str(template), pictures[0], "--bundle", bundle, "--precision", "fp32"]) == 3
    template.write_bytes(template.read_bytes()[:-1])
    capsys.readouterr()
    assert main(["verify", str(template), pictures[0], "--bundle", bundle, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "TemplateError"


def test_a_template_that_is_named_as_a_folder_is_not_written(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enroll", pictures[0], "-o", f"{tmp_path}/person/", "--bundle", bundle]) == 3
    assert "name a file" in capsys.readouterr().err
    assert not (tmp_path / "person").exists()


def test_templates_go_into_new_folders_but_not_below_files(
    pictures: tuple[str, str], bundle: str, tmp_path: Path
) -> None:
    new = tmp_path / "new" / "person"
    assert main(["enroll", pictures[0], "-o", str(new), "--bundle", bundle]) == 0
    assert Template.load(new).count == 1
    assert main(["enroll", pictures[0], "-o", str(new / "person"), "--bundle", bundle]) == 3
