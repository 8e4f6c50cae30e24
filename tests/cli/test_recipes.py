"""``recipes``: what can be trained."""

from __future__ import annotations

import json

import pytest

from edge_sdk.cli import main
from edge_sdk.export import recipes


def test_the_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "--json"]) == 0
    listed = {recipe["name"]: recipe for recipe in json.loads(capsys.readouterr().out)["recipes"]}
    assert list(listed) == list(recipes.names())
    for name, described in listed.items():
        recipe = recipes.get(name)
        assert described["modality"] == recipe.modality
        assert [preset["name"] for preset in described["presets"]] == list(recipe.presets)
        assert all(preset["steps"] == recipe.presets[preset["name"]].steps for preset in described["presets"])
    assert listed["ganomaly"]["scores"] == list(recipes.get("ganomaly").scores)
    assert listed["deepsign"]["scores"] == ["person_model", "embedding_distance"]
    assert (listed["deepsign"]["task"], listed["ganomaly"]["task"]) == ("verify", "spoof")
    sizes = {(name, one["name"]): one["parameters"] for name in listed for one in listed[name]["presets"]}
    assert sizes["deepsign", "paper"] == 256_992  # 0.257 million (tests/export/recipes count them with torch)
    assert main(["recipes"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in listed)
