"""HTML and SVG elements whose text and attributes are always escaped, for pages that a device writes.

What the workstation writes is made of jinja2 templates, which take a :class:`Html` as it is and escape all else.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = {"br", "img", "meta"}


class Html(str):
    """HTML, to be put into a page as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        """What jinja2 puts in the place of ``{{ value }}``."""
        return self


def text(value: object) -> str:
    """Escape a value for HTML; one that is :class:`Html`, or has such a form as a table has, stays as it is."""
    form = getattr(value, "__html__", None)
    return str(form()) if form else escape(str(value))


def join(parts: Iterable[object], separator: object = "") -> Html:
    """Put parts one after another."""
    return Html(text(separator).join(map(text, parts)))


def element(tag: str, *children: object, **attributes: object) -> Html:
    """Make an element; of an attribute's name ``_`` stands for ``-``, at the end for nothing.

    ::

        >>> element("p", "1 < 2", element("br"), class_="muted")
        '<p class="muted">1 &lt; 2<br></p>'
    """
    named = ((name.rstrip("_").replace("_", "-"), str(value)) for name, value in attributes.items())
    settings = "".join(f' {name}="{escape(value)}"' for name, value in named)
    if tag in _VOID:
        return Html(f"<{tag}{settings}>")
    return Html(f"<{tag}{settings}>{join(children)}</{tag}>")
