"""``keygen``: keys that ``enroll`` and ``verify`` take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_sdk.cli import main
from edge_sdk.runtime.template_keys import TemplateKey


def test_a_key_for_templates(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, template = str(tmp_path / "device.key"), str(tmp_path / "person")
    assert main(["keygen", "template", key, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["key"], said["key_id"]) == (key, TemplateKey.named(key).id)
    assert main(["enroll", pictures[0], "-o", template, "--key", key, "--bundle", bundle]) == 0
    assert main(["verify", template, pictures[0], "--key", key, "--bundle", bundle]) == 0
    capsys.readouterr()
    assert main(["keygen", "template", key]) == 3
    assert "is there already" in capsys.readouterr().err
    assert main(["verify", template, pictures[0], "--key", key, "--bundle", bundle]) == 0


def test_wrong_usage(tmp_path: Path) -> None:
    assert main(["keygen", "nonesuch", str(tmp_path / "key")]) == 2
    assert main(["keygen", "template"]) == 2
    assert list(tmp_path.iterdir()) == []
