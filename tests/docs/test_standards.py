"""The page of standards names nothing that is not there: commands, parts of the API, files, targets of make."""

from __future__ import annotations

import inspect
import re

import pytest

import edge_sdk
from edge_sdk import bundle, errors, manifest
from edge_sdk.bundle import shipped

from ..paths import ROOT
from .pages import inline

PAGE = ROOT / "docs" / "standards.md"
CODE = sorted({" ".join(code.split()) for code in inline(PAGE)})
HOMES = (edge_sdk, bundle, manifest, errors)
ELSEWHERE = {"BiometricPrompt", "MODEL_CARD.md", "cryptography"}
"""A class of Android, a file of every bundle, a package."""
API = re.compile(r"(?P<name>[A-Z]\w*)(?:\.(?P<part>\w+))?(?:\((?P<argument>\w+)=[^)]*\))?")
RUN_BY_TEST_PAGES = ("edge-sdk ", "--")


def named(code: str) -> re.Match[str] | None:
    return API.fullmatch(code) if code not in ELSEWHERE and not (ROOT / code).exists() else None


@pytest.mark.parametrize("code", [code for code in CODE if named(code)])
def test_the_api_has_it(code: str) -> None:
    name, part, argument = named(code).group("name", "part", "argument")
    found = next((getattr(home, name) for home in HOMES if hasattr(home, name)), None)
    assert found is not None, name
    if part:
        assert hasattr(found, part) or part in inspect.get_annotations(found), f"{name} has no {part}"
        found = getattr(found, part, found)
    if argument:
        assert argument in inspect.signature(found).parameters


def test_every_other_word_of_code_is_a_command_a_file_a_bundle_or_of_others() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    rest = [
        code
        for code in CODE
        if not (
            named(code)
            or code.startswith(RUN_BY_TEST_PAGES)
            or code in ELSEWHERE
            or code in shipped()
            or code.removeprefix("make ") in targets
            or (ROOT / code).exists()
        )
    ]
    assert rest == []


def test_options_on_their_own_are_those_of_a_command() -> None:
    help_texts = "".join(path.read_text() for path in (ROOT / "edge_sdk" / "cli").glob("*.py"))
    assert [code for code in CODE if code.startswith("--") and f'"{code}"' not in help_texts] == []


def test_each_standard_that_a_product_is_asked_for_has_a_part() -> None:
    parts = re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE)
    wanted = ("30107-3", "19795-1", "24745", "Android", "FIDO", "Euro NCAP", "R155", "R156")
    assert [any(one in part for part in parts) for one in wanted] == [True] * len(wanted)
