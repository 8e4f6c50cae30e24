"""``enroll``: templates that ``verify`` takes, and those that it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.cli import main
from edge_sdk.runtime import Template, revocation, template_keys


def test_enroll_then_verify(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = str(tmp_path / "person.template")
    assert main(["enroll", *pictures, "--output", template, "--bundle", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["count"], said["template"], said["variant_id"]) == (2, template, "int8.onnx")
    assert said["replaced"] is False
    one = str(tmp_path / "one.template")
    assert main(["enroll", pictures[0], "--output", one, "--bundle", bundle]) == 0
    assert capsys.readouterr().out == f"{one}: 1 reference, int8.onnx, id {Template.load(one).template_id}\n"
    assert main(["enroll", pictures[1], "--output", one, "--bundle", bundle]) == 0
    known = Template.load(one).template_id
    assert capsys.readouterr().out == f"{one}: 1 reference, int8.onnx, id {known}, in place of what was there\n"
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


def test_a_sample_is_not_overwritten_by_its_template(
    pictures: tuple[str, str], bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(pictures[1]).read_bytes()
    assert main(["enroll", *pictures, "-o", pictures[1], "--bundle", bundle]) == 2
    assert f"{pictures[1]} is one of the samples" in capsys.readouterr().err
    assert Path(pictures[1]).read_bytes() == before


def test_a_template_of_another_id_is_refused(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = str(tmp_path / "person.template")
    assert main(["enroll", pictures[0], "-o", template, "--bundle", bundle, "--json"]) == 0
    own = json.loads(capsys.readouterr().out)["template_id"]
    asked = ["verify", template, pictures[0], "--bundle", bundle, "--template-id"]
    assert main([*asked, own, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["template_id"] == own
    assert main([*asked, "0" * 32]) == 3
    assert f"template has the id {own}, not {'0' * 32}" in capsys.readouterr().err
    assert main([*asked, ""]) == 3


def test_no_file_that_is_named_otherwise_is_overwritten_by_the_template(
    pictures: tuple[str, str],
    bundle: str,
    tmp_path: Path,
    template_key: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    revoked, audit, key = str(tmp_path / "revoked.txt"), str(tmp_path / "audit.jsonl"), str(tmp_path / "own.key")
    revocation.revoke(revoked)
    template_keys.create(key)
    linked = tmp_path / "link"
    linked.hardlink_to(key)
    for output, options, what in (
        (key, ["--key", key], "the key"),
        (str(linked), ["--key", key], "the key"),
        (str(template_key), ["--plain"], "the key"),
        (revoked, ["--revoked", revoked], "the list of revoked templates"),
        (audit, ["--audit", audit], "the audit"),
    ):
        before = Path(output).read_bytes() if Path(output).exists() else None
        assert main(["enroll", pictures[0], "-o", output, "--bundle", bundle, *options]) == 2
        assert f"{output} is {what}: name another file" in capsys.readouterr().err
        assert before == (Path(output).read_bytes() if Path(output).exists() else None)
    monkeypatch.setenv("HOME", str(template_key.parent))
    monkeypatch.setenv(template_keys.VARIABLE, "~/device.key")
    assert main(["enroll", pictures[0], "-o", str(template_key), "--bundle", bundle]) == 2
    words = ["verify", pictures[0], pictures[0], "--bundle", bundle, "--audit", revoked]
    assert main(["enroll", pictures[0], "-o", str(tmp_path / "t"), *words[3:], "--revoked", revoked]) == 2
    assert Path(revoked).read_bytes() == b""
    revocation.revoke(revoked, "0" * 32)
    assert main(words) == 3, "a file of something else than audit lines"
    assert Path(revoked).read_text() == "0" * 32 + "\n"


def test_a_sample_counts_once(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, output = tmp_path / "copy.png", tmp_path / "person.template"
    copy.write_bytes(Path(pictures[0]).read_bytes())
    for again in (pictures[0], str(copy)):
        for words in (["enroll", *pictures, again, "-o", str(output)], ["verify", *pictures, again, pictures[0]]):
            assert main([*words, "--bundle", bundle]) == 2
            assert f"{again} is the same sample as {pictures[0]}: give each once" in capsys.readouterr().err
    assert not output.exists()
    assert main(["verify", *pictures, pictures[0], "--bundle", bundle]) in (0, 1), "the query is no reference"


def test_no_file_of_something_else_is_replaced_by_the_template(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("vendor.pem", "app.edge", "revoked.txt", "audit.jsonl"):
        (tmp_path / name).write_text("mine")
        assert main(["enroll", pictures[0], "-o", str(tmp_path / name), "--bundle", bundle]) == 2
        assert f"{name} exists and is no template: not replaced" in capsys.readouterr().err
        assert (tmp_path / name).read_text() == "mine"


# --- updates ---


@pytest.fixture
def similar(tmp_path: Path, signer: Callable[..., np.ndarray]) -> str:
    """A further picture of the first person, which any template of that person accepts surely."""
    path = tmp_path / "similar.png"
    assert cv2.imwrite(str(path), signer(1, height=400))
    return str(path)


def test_an_accepted_sample_joins_a_template(
    pictures: tuple[str, str], similar: str, bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template, other = str(tmp_path / "person.template"), str(tmp_path / "other.template")
    assert main(["enroll", pictures[0], "-o", template, "--bundle", bundle]) == 0
    before = Path(template).read_bytes()
    capsys.readouterr()
    assert main(["enroll", similar, "--update", template, "-o", other, "--bundle", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["template"], said["count"], said["added"]) == (other, 2, 1)
    assert Path(template).read_bytes() == before, "another file was written"
    assert main(["enroll", similar, "--update", template, "--bundle", bundle]) == 0
    known = Template.load(template).template_id
    assert capsys.readouterr().out == f"{template}: 2 references, 1 of them added, int8.onnx, id {known}\n"
    assert Template.load(template) == Template.load(other)
    assert Template.load(template).enrolled == 1


def test_what_a_template_does_not_accept_is_not_written(
    pictures: tuple[str, str], similar: str, bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = tmp_path / "person.template"
    main(["enroll", pictures[0], "-o", str(template), "--bundle", bundle])
    before = template.read_bytes()
    capsys.readouterr()
    asked = ["--update", str(template), "--bundle", bundle]
    assert main(["enroll", similar, pictures[1], *asked]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("REJECTED   sample 2 of 2 is not accepted surely enough")
    assert main(["enroll", pictures[0], *asked, "--json"]) == 1
    assert "in the template already" in json.loads(capsys.readouterr().out)["rejected"]
    assert main(["enroll", str(tmp_path / "none.png"), *asked]) == 3
    assert main(["enroll", similar, *asked, "--precision", "fp32"]) == 3
    assert "made by int8.onnx" in capsys.readouterr().err
    assert template.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "person.template", "similar.png", "two.png"]


def test_wrong_usage_of_updates(
    pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enroll", pictures[0], "--bundle", bundle]) == 2
    assert "-o FILE" in capsys.readouterr().err
    for path in (tmp_path / "none.template", pictures[0]):
        assert main(["enroll", pictures[0], "--update", str(path), "--bundle", bundle]) == 3
        assert "TemplateError" in capsys.readouterr().err
