"""One HTML page that needs nothing beside it: its style, tables and pictures; and the same tables for a terminal."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2

from edge_sdk import files, images
from edge_sdk.calibration.metrics.verification import Interval
from edge_sdk.errors import InputError
from edge_sdk.manifest import Rate
from edge_sdk.preprocess import Image

JSON_NAME, HTML_NAME = "evaluation.json", "report.html"

Head = tuple[str, ...]
Rows = list[tuple[str, ...]]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 90rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th { border-bottom: 2px solid #888; font-weight: 600 } td.text, th.text { text-align: left }
.scroll { overflow-x: auto } .muted { color: #666; font-size: 13px }
.plots { margin-top: 1rem } .plots svg { max-width: 100%; height: auto }
.stages td, .stages th { text-align: center; vertical-align: middle; white-space: normal }
.stages img { display: block; margin: auto; border: 1px solid #ddd }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem }
.pairs figure { margin: 0; border: 1px solid #ddd; border-radius: 4px; padding: .5rem; background: #fff }
.pairs img { width: 49%; height: 7.5rem; object-fit: contain } .pairs figcaption { font-size: 12.5px; color: #444 }
.faces { display: flex; flex-wrap: wrap; gap: .8rem } h3 { font-size: 1rem; margin: 1rem 0 .3rem }
.faces figure { margin: 0 } .faces img { height: 8rem; margin-right: 2px }
.faces figcaption { font-size: 12.5px; color: #444 }
"""


def document(title: str, parts: Iterable[str]) -> str:
    """The page of these pieces of HTML."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>' + "\n".join(parts) + "</body></html>\n"


def write(facts: dict[str, Any], html: str, folder: Path) -> tuple[Path, Path]:
    """Write ``evaluation.json`` and ``report.html`` into `folder`, which is made; return their paths."""
    paths = folder / JSON_NAME, folder / HTML_NAME
    files.write_text(paths[0], json.dumps(facts, indent=1, allow_nan=False) + "\n")
    files.write_text(paths[1], html)
    return paths


def table(head: Head, rows: Iterable[Sequence[str]], text: Collection[str]) -> str:
    """A table whose columns of these names are aligned as text, the others as numbers."""

    def line(tag: str, cells: Sequence[str]) -> str:
        classes = [" class=text" if name in text else "" for name in head]
        return "<tr>" + "".join(f"<{tag}{c}>{escape(x)}</{tag}>" for c, x in zip(classes, cells, strict=True)) + "</tr>"

    body = "".join(line("td", cells) for cells in rows)
    return f"<div class=scroll><table>{line('th', head)}{body}</table></div>"


def plain(head: Head, rows: Rows) -> str:
    """A table for a terminal."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in (head, *rows))


def percent(share: float) -> str:
    """``0.05`` as ``5 %``."""
    return f"{100 * share:.3g} %"


def interval(value: Interval | Rate) -> str:
    """A share with its 95 % interval, in percent."""
    return f"{100 * value.value:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}] %"


def unit_interval(value: Interval) -> str:
    """A number in [0, 1] with its 95 % interval, such as an AUROC."""
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def short_name(path: str | Path) -> str:
    """A file's name with the two folders above, which say whose it is."""
    return "/".join(Path(path).parts[-3:])


def thumbnail(picture: Image, side: int, description: str) -> str:
    """An image element of at most `side` pixels a side, with the picture inside; small ones stay as they are.

    Args:
        picture: ``uint8``, ``(H, W)`` gray or ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA.
    """
    scale = min(1.0, side / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    data = base64.b64encode(cv2.imencode(".png", small)[1].tobytes()).decode()
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{data}">'


def file_thumbnail(path: str | Path, side: int) -> str:
    """The same of a file; why not, where it has gone since it was scored."""
    try:
        return thumbnail(images.load(path), side, Path(path).name)
    except (InputError, OSError) as error:
        return f"<p class=muted>{escape(str(error))}</p>"
