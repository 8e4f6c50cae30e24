"""Evaluation reports as one HTML file that needs nothing beside it, made of the templates in ``templates/``.

A template escapes all that it is given but :class:`edge_sdk.markup.Html` and tables, which escape their own text.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from edge_sdk import files, images
from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.errors import InputError
from edge_sdk.manifest import Rate
from edge_sdk.markup import Html, element
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image

JSON_NAME, HTML_NAME = "evaluation.json", "report.html"

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class CaptionedPictures:
    """Pictures beside each other, and the lines under them."""

    pictures: Sequence[Html]
    caption: Sequence[str]


def render(template: str, **values: object) -> str:
    """The HTML of ``templates/TEMPLATE.html``; every name in it must be among `values`."""
    return _TEMPLATES.get_template(f"{template}.html").render(**values)


def write(values: dict[str, Any], html: str, folder: Path) -> tuple[Path, Path]:
    """Write ``evaluation.json`` and ``report.html`` into `folder`, which is made; return their paths."""
    paths = folder / JSON_NAME, folder / HTML_NAME
    files.write_text(paths[0], json.dumps(values, indent=1, allow_nan=False) + "\n")
    files.write_text(paths[1], html)
    return paths


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


def thumbnail(picture: Image, side: int, description: str) -> Html:
    """An image element of at most `side` pixels a side, with the picture inside; small ones stay as they are.

    Args:
        picture: ``uint8``, ``(H, W)`` gray or ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA.
    """
    scale = min(1.0, side / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    data = base64.b64encode(cv2.imencode(".png", small)[1].tobytes()).decode()
    return element("img", alt=description, src=f"data:image/png;base64,{data}")


def file_thumbnail(path: str | Path, side: int, read: Callable[[str | Path], Image] = images.load) -> Html:
    """The same of a file, as ``read`` makes a picture of it; the reason, where it has gone since it was scored."""
    try:
        return thumbnail(read(path), side, Path(path).name)
    except (InputError, OSError) as error:
        return element("p", error, class_="muted")
