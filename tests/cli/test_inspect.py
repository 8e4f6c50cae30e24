"""``inspect``: the manifest, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.cli import main
from edge_sdk.manifest import Familiarity, UnsupportedPoint
from edge_sdk.runtime import Template

from ..conftest import points


def test_inspect(bundle: str, tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["id"] == tiny_bundle.id
    assert said["manifest"] == json.loads((tiny_bundle.path / "manifest.json").read_bytes())
    assert main(["inspect", bundle]) == 0
    text = capsys.readouterr().out
    for words in (tiny_bundle.id, "int8.onnx", " 0.9000 ", "100 impostor trials", "commercial use   allowed"):
        assert words in text


@pytest.mark.parametrize("name", shipped())
def test_the_text_fits_a_terminal_of_80_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if len(line) > 80 and not line.startswith(("path", "sha256"))]
    manifest = Bundle.open(name).manifest
    for variant in manifest.variants:
        for point in variant.operating_points:
            assert any(line.split()[:1] == [point.name] for line in lines)


def test_of_many_data_sets_the_first_ones_are_named(
    make_bundle: Callable[..., Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    data = "+".join(f"set{number}" for number in range(100)) + ", thresholds people"
    point, *_ = points()
    point = msgspec.structs.replace(point, data=data)
    bundle = make_bundle(operating_points={"fp32": (point,), "int8": (point,)})
    assert main(["inspect", str(bundle.path)]) == 0
    text = capsys.readouterr().out
    assert "  measured on set0+set1+set2+set3+set4+set5+set6+set7+..., thresholds people\n" in text
    assert main(["inspect", str(bundle.path), "--json"]) == 0
    assert data in capsys.readouterr().out


def test_layers_in_float_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The stem, both layers of the first block and the depthwise one of the second, of the symmetric variant alone."""
    assert main(["inspect", "mobilenetv2"]) == 0
    *before, symmetric = capsys.readouterr().out.split("\nint8-sym.onnx")
    assert not any("in float" in text for text in before)
    assert "  in float: node_conv2d_4, node_conv2d_6, node_conv2d_2, node_conv2d_3\n" in symmetric


def test_a_one_class_bundle_says_so_and_what_it_is_worth_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "ganomaly_lite"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("one-class        learned live samples alone") for line in lines)
    found = [line for line in lines if line.startswith("other camera")]
    told = [(one.data, one.density, one.auroc) for one in Bundle.open("ganomaly_lite").manifest.cameras]
    assert len(found) == len(told) == 4
    for line, (data, density, auroc) in zip(found, told, strict=True):
        assert f"{data}, density {density}: AUROC {auroc:.3f} [" in line
    assert main(["inspect", "liveness"]) == 0
    assert "one-class" not in capsys.readouterr().out


def test_a_bundle_says_which_samples_are_familiar(
    make_bundle: Callable[..., Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    known = Familiarity(
        measures=("width",),
        mean=(1.0,),
        whitening=((2.0,),),
        limit=3.25,
        data="made up",
        subjects=9,
        samples=90,
        flagged=0.01,
    )
    assert main(["inspect", str(make_bundle(familiarity=known).path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "unfamiliar       beyond 3.25 in width: 1.0 % of 90 samples of made up, 9 people" in lines


def test_operating_points_stand_in_columns(
    make_bundle: Callable[..., Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("fmr_1e-2", "a_name_that_is_rather_long")
    points = tuple(UnsupportedPoint(name=name, target=0.01, reason="few") for name in names)
    bundle = make_bundle(operating_points={"fp32": points, "int8": points})
    assert main(["inspect", str(bundle.path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "not supported" in line]
    assert len({line.index("not supported") for line in lines}) == 1


def test_no_text_of_a_bundle_makes_a_line_of_its_own(
    make_bundle: Callable[..., Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    point = (UnsupportedPoint(name="fmr_1e-2", target=0.01, reason="none\ncommercial use   allowed\x1b[2J"),)
    bundle = make_bundle(operating_points={"fp32": point, "int8": point})
    assert main(["inspect", str(bundle.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("commercial use") for line in lines) == 1
    assert any(line.endswith(r"not supported: none\ncommercial use   allowed\x1b[2J") for line in lines)


def test_two_opencvs_are_a_warning_beside_the_result(
    bundle: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_sdk.opencv.advice", lambda: "keep one")
    for command in ("inspect", "selftest"):
        main([command, bundle, "--json"])
        printed = capsys.readouterr()
        json.loads(printed.out)
        assert printed.err == "edge-sdk: warning: keep one\n"


# --- templates ---


@pytest.fixture
def template(pictures: tuple[str, str], bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    path = str(tmp_path / "person.template")
    assert main(["enroll", *pictures, "-o", path, "--bundle", bundle]) == 0
    capsys.readouterr()
    return path


def test_a_template(template: str, bundle: str, tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    record = Template.load(template)
    assert main(["inspect", template, "--bundle", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {name: said[name] for name in ("template", "kind", "count", "enrolled", "added", "variant_id")} == {
        "template": template, "kind": "embeddings", "count": 2, "enrolled": 2, "added": 0, "variant_id": "int8.onnx",
    }  # fmt: skip
    assert said["bytes"] == Path(template).stat().st_size
    assert (said["bundle_id"], said["refused"]) == (tiny_bundle.id, None)
    assert said["threshold"]["name"] == "fmr_1e-2"
    assert main(["inspect", template, "--bundle", bundle]) == 0
    text = capsys.readouterr().out
    assert (
        f"bundle           {tiny_bundle.id}, of the same embedding space and variant\naccepted from    0.9000 (fmr_1e-2"
        in text
    )
    updated = record.updated(record.embeddings[:1], lambda rows: rows)
    updated.save(template)
    assert main(["inspect", template, "--bundle", bundle]) == 0
    assert "references       3: 2 enrolled, 1 added by updates" in capsys.readouterr().out


def test_nothing_of_the_person_is_shown(template: str, bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", template, "--bundle", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert "values" not in said
    assert not any(isinstance(value, list) for value in said.values())


def test_the_bundle_of_a_template_need_not_be_at_hand(template: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped one of its name is looked at; this one has none."""
    assert main(["inspect", template, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["bundle_id"], said["threshold"]) == (None, None)
    assert "name it with --bundle" in said["refused"]
    assert main(["inspect", template]) == 0
    assert "bundle           not at hand" in capsys.readouterr().out


def test_a_bundle_that_would_refuse_the_template_says_why(
    template: str, make_bundle: Callable[..., Bundle], tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    space = tiny_bundle.manifest.embedding_space_id
    only_fp32 = make_bundle(models={"fp32": tiny_bundle.read_model("fp32.onnx")}, embedding_space_id=space)
    for bundle, reason in (("deepsign", "of another embedding space"), (str(only_fp32.path), "by another variant")):
        assert main(["inspect", template, "--bundle", bundle]) == 0
        assert reason in capsys.readouterr().out
    shipped = msgspec.structs.replace(Template.load(template), bundle_name="deepsign")
    shipped.save(template)
    assert main(["inspect", template]) == 0
    assert "refuses it: it is of another embedding space" in capsys.readouterr().out


def test_templates_that_cannot_be_inspected(template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(template).write_bytes(Path(template).read_bytes()[:-1])
    assert main(["inspect", template, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "TemplateError"
    assert main(["inspect", str(tmp_path / "none.template")]) == 3
    assert "no bundle at" in capsys.readouterr().err
    assert main(["inspect", "deepsign", "--bundle", "deepsign"]) == 2
    assert "goes with a template" in capsys.readouterr().err


def test_no_text_of_a_template_makes_a_line_of_its_own(template: str, capsys: pytest.CaptureFixture[str]) -> None:
    named = msgspec.structs.replace(Template.load(template), bundle_name="deepsign\nbundle takes it\x1b[2J")
    named.save(template)
    assert main(["inspect", template]) == 0
    assert "deepsign\\nbundle takes it\\x1b[2J" in capsys.readouterr().out
