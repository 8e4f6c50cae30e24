"""Every page is true of the code beside it: links lead somewhere, files exist, commands are accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_sdk import cli

from ..paths import ROOT
from .pages import PAGES, README, anchors, blocks, commands, inline, inline_commands, links, name

HISTORY = ROOT / "CHANGELOG.md"  # names commands that are gone
TOP = ("edge_sdk", "tests", "examples", "benchmarks", "findings", "docs", "requirements")

every_page = pytest.mark.parametrize("page", PAGES, ids=name)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    """``edge_sdk/images.py`` and the like; names in capitals stand for something."""
    named = [code for code in inline(page) if re.fullmatch(rf"(?:{'|'.join(TOP)})/[\w./-]+", code)]
    absent = [path for path in named if not re.search(r"\bNAME\b", path) and not (ROOT / path).exists()]
    assert absent == []


def parses(words: list[str]) -> bool:
    try:
        cli._parser().parse_args(words)
    except SystemExit as exc:
        return not exc.code
    return True


@every_page
def test_commands_are_accepted(page: Path) -> None:
    """By the real parser; the values stand for themselves."""
    refused = [" ".join(words) for words in commands(page) if not parses(words)]
    assert refused == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != HISTORY], ids=name)
def test_commands_in_the_text_are_accepted(page: Path) -> None:
    """``edge-sdk tune`` names a command; with more words behind it the whole line is parsed."""
    refused = []
    for words in inline_commands(page):
        fuller = [word.strip("[]").removesuffix("...") for word in words if word != "..."]
        if not parses([fuller[0], "--help"] if len(fuller) == 1 or "..." in words else fuller):
            refused.append(" ".join(words))
    assert refused == []


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 160


def test_every_command_is_on_the_page_of_commands() -> None:
    page = ROOT / "docs" / "cli.md"
    there = {words[0] for words in inline_commands(page)}
    (choices,) = (action.choices for action in cli._parser()._actions if action.choices)
    assert set(choices) <= there


def test_every_python_block_is_python() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                compile(block.text, name(page), "exec")
