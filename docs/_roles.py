"""Show docstrings as they are meant: Sphinx roles become code, ``::`` before an indented block becomes a fence."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|meth|func|data|attr|mod|exc|obj):`~?([^`]+)`")
_BLOCK = re.compile(r"::[ ]*\n((?:[ ]*\n)+)((?:(?:[ ]+[^\n]*|[ ]*)(?:\n|$))+)")


class Roles(griffe.Extension):
    """Rewrites each docstring once, when its object is found."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    """The docstring in Markdown.

    >>> markdown("See :func:`~edge_sdk.images.load`.")
    'See `edge_sdk.images.load`.'
    """

    def fence(match: re.Match[str]) -> str:
        colon = ":" if match.start() and text[match.start() - 1] != "\n" else ""  # "::" may be a line of its own
        return f"{colon}\n\n```python\n{textwrap.dedent(match[2]).strip()}\n```\n\n"

    return _ROLE.sub(r"`\1`", _BLOCK.sub(fence, text))
