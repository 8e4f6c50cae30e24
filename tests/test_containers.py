"""The container recipes copy what is there, run as nobody in particular, and watch themselves. None is built here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edge_sdk import cli

from .paths import ROOT

RECIPES = sorted((ROOT / "containers").glob("*.Dockerfile"))


def instructions(recipe: Path) -> list[tuple[str, str]]:
    """Each instruction with its arguments, comments gone and continued lines joined."""
    lines = "\n".join(line for line in recipe.read_text().splitlines() if not line.startswith("#"))
    found = [line.split(maxsplit=1) for line in lines.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, rest in found]


def test_there_are_two() -> None:
    assert [recipe.stem for recipe in RECIPES] == ["jetson", "x86"]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
class TestRecipe:
    def test_what_it_copies_is_in_the_checkout(self, recipe: Path) -> None:
        for name, rest in instructions(recipe):
            if name == "COPY" and not rest.startswith("--from="):
                *sources, _ = rest.split()
                assert [one for one in sources if not (ROOT / one).exists()] == []

    def test_it_copies_what_a_wheel_is_built_of(self, recipe: Path) -> None:
        copied = {word for name, rest in instructions(recipe) if name == "COPY" for word in rest.split()[:-1]}
        assert {"pyproject.toml", "README.md", "LICENSE", "sboms", "edge_sdk"} <= copied

    def test_the_last_stage_takes_the_environment_alone_and_has_another_user_than_root(self, recipe: Path) -> None:
        found = instructions(recipe)
        last = found[max(number for number, (name, _) in enumerate(found) if name == "FROM") :]
        assert [rest for name, rest in last if name == "COPY"] == ["--from=build /opt/edge-sdk /opt/edge-sdk"]
        (user,) = (rest for name, rest in last if name == "USER")
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)

    def test_its_commands_are_accepted(self, recipe: Path) -> None:
        """The health check, what runs by default, and the examples at its top."""
        found = dict(instructions(recipe))
        assert json.loads(found["ENTRYPOINT"]) == ["edge-sdk"]
        program, *check = json.loads(found["HEALTHCHECK"].partition("CMD ")[2])
        assert (program, check[0]) == ("edge-sdk", "selftest")
        example = re.sub(r"\\\n#\s+", "", recipe.read_text())
        (run,) = re.findall(r"docker run .* edge-sdk(?:-jetson)? (.*)", example)
        for words in (check, json.loads(found["CMD"]), run.split()):
            cli._parser(words[0]).parse_args(words)

    def test_what_edge_sdk_writes_has_a_place_that_is_kept(self, recipe: Path) -> None:
        """Compiled models are worth nothing without their key, which lies in the folder for settings."""
        found = instructions(recipe)
        (environment,) = (rest for name, rest in found if name == "ENV")
        folders = dict(word.split("=") for word in environment.split())
        (volume,) = (rest for name, rest in found if name == "VOLUME")
        assert {Path(folders[name]).parent for name in ("EDGE_SDK_CACHE", "EDGE_SDK_CONFIG")} == {Path(volume)}
        made = [rest for name, rest in found if name == "RUN" and rest.endswith(f"--mode 700 {volume}")]
        assert len(made) == 1, "by the user who runs"
