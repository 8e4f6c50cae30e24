"""One way to print a table: plain text, Markdown and HTML, each with its cells escaped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from edge_sdk.markup import Html, element, join

_MARKDOWN = str.maketrans({"&": "&amp;", "<": "&lt;", "\\": "\\\\", "|": "\\|", "*": "\\*", "`": "\\`", "[": "\\["})


@dataclass(frozen=True)
class Table:
    """Rows of text under a head.

    Attributes:
        head: The columns' names.
        rows: Each with a cell for every column.
        text: Names of the columns that hold words and are aligned left. The others hold numbers, aligned right.
        note: What has to be known to read the table; stands above it.

    ::

        >>> print(Table(("name", "MB"), [("deepsign", "0.3")], text=["name"]).plain())
        name       MB
        deepsign  0.3
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: Collection[str] = ()
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"a row of {len(row)} cells in a table of {len(self.head)} columns: {row}")

    def __len__(self) -> int:
        return len(self.rows)

    def plain(self) -> str:
        """Return text for a terminal; characters that cannot be printed become spaces."""
        lines = [[_printable(cell) for cell in row] for row in (self.head, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        pads = [str.ljust if name in self.text else str.rjust for name in self.head]
        rows = (_padded(line, widths, pads) for line in lines)
        return "\n".join([*([_printable(self.note)] if self.note else []), *rows])

    def markdown(self) -> str:
        """Return GitHub's Markdown, ending in a new line."""
        rule = ("---" if name in self.text else "---:" for name in self.head)
        lines = (map(_markdown, self.head), rule, *(map(_markdown, row) for row in self.rows))
        note = f"{_markdown(self.note)}\n\n" if self.note else ""
        return note + "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def html(self) -> Html:
        """Return an element that scrolls by itself where it is too wide; columns of words have the class ``text``."""
        classes = [{"class_": "text"} if name in self.text else {} for name in self.head]

        def line(tag: str, cells: Sequence[str]) -> Html:
            return element("tr", *(element(tag, cell, **c) for c, cell in zip(classes, cells, strict=True)))

        table = element("table", line("th", self.head), *(line("td", row) for row in self.rows))
        note = [element("p", self.note, class_="muted")] if self.note else []
        return join([*note, element("div", table, class_="scroll")])

    def __html__(self) -> str:
        """What a jinja2 template puts in the place of ``{{ table }}``."""
        return self.html()


def _padded(line: Sequence[str], widths: Sequence[int], pads: Sequence[Callable[[str, int], str]]) -> str:
    return "  ".join(pad(cell, width) for cell, width, pad in zip(line, widths, pads, strict=True)).rstrip()


def _printable(cell: str) -> str:
    return "".join(character if character.isprintable() else " " for character in cell)


def _markdown(cell: str) -> str:
    return _printable(cell).translate(_MARKDOWN)
