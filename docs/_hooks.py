"""Tables of the site that are made from the code, in place of a comment in the Markdown."""

from __future__ import annotations

from typing import Any

from edge_sdk.export.data import catalogue

MARK = "<!-- table of data sets -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for each page."""
    return markdown.replace(MARK, data_sets()) if MARK in markdown else markdown


def data_sets() -> str:
    """Every data set and prefix, a row each."""
    lines = ["| specification | modality | layout | licence | commercial use |", "|---|---|---|---|---|"]
    for row in catalogue.rows():
        allowed = "yes" if row.commercial_use else "no"
        lines.append(f"| `{row.specification}` | {row.modality} | {row.description} | {row.licence} | {allowed} |")
    lines += ["", "| prefix | modality | makes |", "|---|---|---|"]
    lines += [f"| `{name}` | {modality} | {made} |" for name, modality, made in catalogue.prefixes()]
    return "\n".join(lines)
