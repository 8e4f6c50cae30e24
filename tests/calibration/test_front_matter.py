"""The front matter of model cards is YAML, says what the manifest says, and is replaced rather than repeated."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.calibration.front_matter import with_front_matter
from edge_sdk.calibration.rewriting import CARD
from edge_sdk.manifest import DataLicense, Manifest, UnsupportedPoint
from edge_sdk.slicing import keep_variants

yaml = pytest.importorskip("yaml", reason="edge-sdk[docs]")


def card(name: str) -> str:
    bundle = Bundle.open(name)
    (entry,) = (one for one in bundle.manifest.auxiliary if one.path == CARD)
    return bundle.read(entry).decode()


def metadata(text: str) -> dict[str, Any]:
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert found
    return dict(yaml.safe_load(found[1]))


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_card_has_that_of_its_manifest(name: str) -> None:
    manifest, text = Bundle.open(name).manifest, card(name)
    assert with_front_matter(text, manifest) == text
    said = metadata(text)
    assert (said["license"], said["license_name"], said["library_name"]) == ("other", "no-commercial-use", "edge-sdk")
    assert {manifest.modality, *(one.format for one in manifest.variants)} <= set(said["tags"])
    assert text.partition("\n---\n\n")[2].startswith(f"# {name} {manifest.version}\n")


def test_the_hub_s_name_of_a_task_is_that_of_pictures() -> None:
    bundles = ("deepsign", "liveness", "face_locator", "gait")
    names = {name: metadata(card(name)).get("pipeline_tag") for name in bundles}
    assert names == {
        "deepsign": "image-feature-extraction",
        "liveness": "image-classification",
        "face_locator": "object-detection",
        "gait": None,
    }


def test_the_results_are_rates_at_the_point_that_decides() -> None:
    manifest = Bundle.open("liveness").manifest
    (point,) = (one for one in manifest.variant("int8.onnx").operating_points if one.name == manifest.default_point)
    assert not isinstance(point, UnsupportedPoint)
    (index,) = metadata(card("liveness"))["model-index"]
    (result,) = index["results"]
    assert (index["name"], result["dataset"]["name"]) == ("liveness", point.data)
    assert [(one["type"], one["value"]) for one in result["metrics"]] == [
        (name.lower(), pytest.approx(rate.value, abs=1e-6)) for name, rate in point.rates.items()
    ]


def test_each_number_of_references_has_its_rates() -> None:
    (index,) = metadata(card("deepsign"))["model-index"]
    names = [one["name"] for result in index["results"] for one in result["metrics"]]
    for count in (1, 3, 5, 10):
        assert sum(f", {count} references," in name for name in names) == 2


def test_it_is_replaced_and_put_before_a_card_without() -> None:
    manifest = Bundle.open("liveness").manifest
    free: Manifest = msgspec.structs.replace(
        manifest, data_license=DataLicense(commercial_use=True, statement="made by hand")
    )
    changed = with_front_matter(card("liveness"), free)
    assert metadata(changed)["license_name"] == "terms-of-the-training-data"
    assert changed.count("\n---\n") == 1
    assert changed.endswith(card("liveness").partition("\n---\n")[2])
    assert with_front_matter("# old\n", manifest).endswith("---\n\n# old\n")
    assert with_front_matter("---\n# under a rule\n", manifest).endswith("---\n\n---\n# under a rule\n")


@pytest.mark.parametrize("text", ['a "quoted" name', "key: value", "# no comment", "- no list", "é\\n", "null"])
def test_texts_of_a_manifest_stay_texts(text: str) -> None:
    manifest = keep_variants(Bundle.open("liveness").manifest, ["int8.onnx"])
    (variant,) = manifest.variants
    points = tuple(msgspec.structs.replace(one, data=text) for one in variant.operating_points)
    variant = msgspec.structs.replace(variant, operating_points=points)
    said = metadata(with_front_matter("", msgspec.structs.replace(manifest, variants=(variant,))))
    assert said["model-index"][0]["results"][0]["dataset"]["name"] == text


@pytest.mark.parametrize("name", shipped())
def test_the_hub_s_own_library_reads_it(name: str) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="edge-sdk[tflite-export]")
    data = hub.ModelCard(card(name)).data
    (index,) = metadata(card(name))["model-index"]
    stated = [metric for result in index["results"] for metric in result["metrics"]]
    assert data.model_name == name
    assert [(one.metric_type, one.metric_value, one.metric_name) for one in data.eval_results] == [
        (metric["type"], metric["value"], metric["name"]) for metric in stated
    ]
