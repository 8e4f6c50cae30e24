"""An evaluation of a locator as text, as JSON, and as one HTML file that needs nothing beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_sdk import images
from edge_sdk.export.evaluation.html import CaptionedPictures, interval, render, short_name, thumbnail
from edge_sdk.export.evaluation.html import write as write_report
from edge_sdk.export.evaluation.locate.evaluate import LocateEvaluation, LocateReport
from edge_sdk.export.evaluation.locate.samples import SearchedPicture
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image, ToColor
from edge_sdk.tables import Table

_NONE = "-"
_TEXT = ("data", "point", "file", "reason")
SHOWN = 24
"""Mistakes that are drawn, of different people first."""
SIDE = 240
TRUE, FOUND = (0, 160, 255), (0, 220, 0)


def write(evaluation: LocateEvaluation, folder: Path) -> tuple[Path, Path]:
    """Write ``evaluation.json`` and ``report.html`` into `folder`, which is made; return their paths."""
    return write_report(evaluation.report.as_dict(), html(evaluation), folder)


def text(report: LocateReport) -> str:
    """The tables for a terminal."""
    blocks = [f"{_title(report)}; 95 % intervals over people", _data(report).plain()]
    return "\n\n".join([*blocks, *(table.plain() for table in (_points(report),) if table)])


def html(evaluation: LocateEvaluation) -> str:
    """Tables, and the pictures of the mistakes."""
    report = evaluation.report
    settings = (
        f"{_title(report)}; 95 % intervals from {report.replicates} bootstrap resamples of people, seed {report.seed}"
    )
    unreadable = Table(("file", "reason"), list(report.unreadable.items()), text=_TEXT)
    return render(
        "locate",
        report=report,
        settings=settings,
        data=_data(report),
        points=_points(report),
        mistakes=_drawn_mistakes(evaluation),
        unreadable=unreadable,
    )


def _title(report: LocateReport) -> str:
    default = "none" if report.threshold is None else f"{report.threshold:.4g} ({report.operating_point})"
    return f"{report.bundle_id}, variant {report.artifact}, engine {report.engine}; default threshold {default}"


def _data(report: LocateReport) -> Table:
    rows = [
        (
            *(one.name, str(one.subjects), str(one.pictures), str(one.faces)),
            _NONE if one.point_error is None else f"{one.point_error:.3f}",
        )
        for one in report.data
    ]
    note = (
        "Faces at least a fifth as large as the picture's shorter side. Point error: median of the mean distance of a "
    )
    note += "face's five points, as a share of its box's side."
    return Table(("data", "people", "pictures", "faces", "point error"), rows, text=_TEXT, note=note)


def _points(report: LocateReport) -> Table:
    rows = [
        (
            *(one.data, one.point, f"{one.threshold:.4g}"),
            _NONE if one.missed is None else interval(one.missed),
            interval(one.pictures_with_false_box),
            str(one.false_boxes),
        )
        for one in report.points
    ]
    head = ("data", "point", "threshold", "missed faces", "pictures with a false box", "false boxes")
    return Table(head, rows, text=_TEXT)


def _drawn_mistakes(evaluation: LocateEvaluation) -> list[CaptionedPictures]:
    """Pictures with true boxes and those found, of people as different as can be."""
    searched = {str(picture.sample.path): picture for picture in evaluation.pictures}
    seen: dict[str, int] = {}
    ranked = []
    for mistake in evaluation.report.mistakes:
        seen[mistake.subject] = seen.get(mistake.subject, 0) + 1
        ranked.append((seen[mistake.subject], mistake))
    shown = [mistake for _, mistake in sorted(ranked, key=lambda one: one[0])][:SHOWN]
    threshold = evaluation.report.threshold or 0.0
    return [
        CaptionedPictures(
            (thumbnail(_drawn(searched[one.path], threshold), SIDE, short_name(one.path)),),
            (short_name(one.path), f"missed {one.missed}, false {one.false}"),
        )
        for one in shown
    ]


def _drawn(picture: SearchedPicture, threshold: float) -> Image:
    shown = ToColor(order="bgr")(images.load(picture.sample.path)).copy()
    found = [face for face in picture.faces if face.confidence >= threshold]
    for faces, color in ((picture.sample.faces or (), TRUE), (found, FOUND)):
        for face in faces:
            corner = face.left + face.width, face.top + face.height
            cv2.rectangle(shown, (face.left, face.top), corner, color, max(1, min(shown.shape[:2]) // 120))
    return np.asarray(shown, np.uint8)
