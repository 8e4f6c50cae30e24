"""What stands in the Markdown pages: code, commands, links, headings."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..paths import ROOT

README = ROOT / "README.md"
PAGES = (
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    ROOT / "examples" / "README.md",
    ROOT / "findings" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Code:
    """A block of code; ``language`` is empty for an indented one."""

    language: str
    text: str


def name(page: Path) -> str:
    """For test ids and messages."""
    return page.relative_to(ROOT).as_posix()


@cache
def blocks(page: Path) -> tuple[Code, ...]:
    """Fenced and indented code, in the order of each kind."""
    text = page.read_text()
    fenced = [Code(language, body) for language, body in _FENCE.findall(text)]
    rest = _FENCE.sub("", text)
    return (*fenced, *(Code("", re.sub("^    ", "", body, flags=re.MULTILINE)) for body in _INDENTED.findall(rest)))


def commands(page: Path) -> list[list[str]]:
    """Each ``edge-sdk`` command line of the page's blocks, as words without the program."""
    found = []
    for block in blocks(page):
        for line in block.text.replace("\\\n", " ").splitlines():
            words = line.removeprefix("$ ").removeprefix(".venv/bin/")
            if ".venv/bin/edge-sdk " in words:  # behind another program, such as torchrun
                words = words[words.index(".venv/bin/edge-sdk ") :].removeprefix(".venv/bin/")
            if words.startswith("edge-sdk "):
                found.append(shlex.split(words, comments=True)[1:])
    return found


def inline_commands(page: Path) -> list[list[str]]:
    """The same of code within a line of text."""
    found = [" ".join(code.split()) for code in inline(page)]
    return [shlex.split(code)[1:] for code in found if code.startswith("edge-sdk ")]


def inline(page: Path) -> list[str]:
    """All code within lines of text."""
    return _INLINE.findall(_INDENTED.sub("", _FENCE.sub("", page.read_text())))


def links(page: Path) -> list[str]:
    """Targets of links."""
    return _LINK.findall(_INDENTED.sub("", _FENCE.sub("", page.read_text())))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings of a page as links name them."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return frozenset(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles)
