"""A liveness evaluation as text, as JSON, and as one HTML file that needs nothing beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.export.evaluation.html import interval, percent, render, unit_interval
from edge_sdk.export.evaluation.html import write as write_report
from edge_sdk.export.evaluation.spoof import pictures, plots
from edge_sdk.export.evaluation.spoof.evaluate import SpoofEvaluation, SpoofReport
from edge_sdk.export.evaluation.spoof.measurements import APCER_TARGETS
from edge_sdk.export.evaluation.spoof.projection import project
from edge_sdk.export.evaluation.spoof.sessions import SessionSummary
from edge_sdk.manifest import Rate
from edge_sdk.markup import Html
from edge_sdk.tables import Table

_NONE = "-"
_TEXT = ("data", "species", "class", "point", "file", "person", "reason")
"""Columns of words."""
_OWN_THRESHOLD = "the threshold of BPCER at an APCER is set on these very data: what the scores allow, no device's rate"


@dataclass(frozen=True)
class LatentPlot:
    """The projections of latents, if there are any, and what has to be said of them."""

    note: str
    plot: Html | None = None


def write(evaluation: SpoofEvaluation, folder: Path) -> tuple[Path, Path]:
    """Write ``evaluation.json`` and ``report.html`` into `folder`, which is made; return their paths."""
    return write_report(evaluation.report.as_dict(), html(evaluation), folder)


def text(report: SpoofReport) -> str:
    """The tables for a terminal."""
    tables = (_data(report), _separations(report), _points(report), _sessions(report))
    title = f"{report.bundle_id}, {report.artifact}, engine {report.engine}; default {_default(report)}"
    blocks = [f"{title}; 95 % intervals over people", *(table.plain() for table in tables if table)]
    blocks += [f"not measured: {s.data}, {s.species}: {s.reason}" for s in report.skipped]
    return "\n\n".join(blocks)


def html(evaluation: SpoofEvaluation) -> str:
    """Tables, curves, distributions, decisions over time, latents, reconstructions and mistakes."""
    report = evaluation.report
    settings = (
        f"variant {report.artifact}, engine {report.engine}; default {_default(report)}; pictures are "
        f"{'crops of faces' if report.faces == 'cropped' else f'full frames, faces found by {report.faces}'}; 95 % "
        f"intervals from {report.replicates} bootstrap resamples of people, seed {report.seed}"
    )
    return render(
        "spoof",
        report=report,
        settings=settings,
        data=_data(report),
        separations=_separations(report),
        curves=plots.curves(evaluation) if report.separations else Html(),
        points=_points(report),
        histograms=plots.histograms(evaluation),
        subsets=plots.subsets(evaluation),
        sessions=_sessions(report),
        latency=plots.latency(report.sessions) if report.sessions else Html(),
        latents=_latents(evaluation),
        reconstructions=pictures.reconstructions(evaluation),
        full_difference=pictures.FULL_DIFFERENCE,
        wrong=pictures.mistakes(evaluation),
        stages=pictures.stages(evaluation),
        non_responses=_non_responses(report),
    )


def _latents(evaluation: SpoofEvaluation) -> LatentPlot:
    compared, samples = evaluation.compared, [s for s in evaluation.samples if s.scored and s.point is not None]
    if compared is None:
        return LatentPlot("Left out: the model puts out neither latents nor features nor a reconstruction.")
    points = [sample.point for sample in samples if sample.point is not None]
    found = project(np.stack(points), evaluation.report.seed) if points else None
    if found is None:
        return LatentPlot(f"Left out: {len(points)} pictures are too few, or all the same to {compared.title}.")
    note = (
        f"{len(points)} pictures, drawn by the seed, compared by {compared.title}. t-SNE keeps neighbours together; "
        "its distances between groups mean nothing."
    )
    return LatentPlot(note, plots.latents(found, samples))


def _data(report: SpoofReport) -> Table:
    rows = []
    for data in report.data:
        attacks = ", ".join(f"{count} {kind}" for kind, count in data.attacks.items())
        missing = ", ".join(f"{_missing(rate)} {kind}" for kind, rate in data.apnrr.items())
        rows.append(
            (data.name, str(data.subjects), str(data.live), _missing(data.bpnrr), attacks or _NONE, missing or _NONE)
        )
    note = "BPNRR, APNRR: live faces and attacks without a response; no other rate counts them."
    return Table(("data", "people", "live", "BPNRR", "attacks", "APNRR"), rows, text=_TEXT, note=note)


def _separations(report: SpoofReport) -> Table:
    targets = (f"BPCER@APCER {percent(target)}*" for target in APCER_TARGETS)
    head = ("data", "species", "people", "live", "attacks", "AUROC", "EER", "AP", "share of attacks", *targets)
    rows = [
        (
            *(m.data, m.species, str(m.subjects), str(m.live), str(m.attacks)),
            unit_interval(m.auroc),
            interval(m.eer),
            unit_interval(m.average_precision),
            percent(m.ratio),
            *(interval(entry.bpcer) if entry.bpcer else "too few" for entry in m.bpcer_at_apcer),
        )
        for m in report.separations
    ]
    note = f"AP: average precision of finding attacks; guessing achieves their share. *: {_OWN_THRESHOLD}."
    return Table(head, rows, text=_TEXT, note=note)


def _points(report: SpoofReport) -> Table:
    kinds = sorted({kind for entry in report.points for kind in entry.species})
    head = ("data", "point", "threshold", *(f"APCER {kind}" for kind in kinds), "APCER", "BPCER", "ACER")
    rows = [
        (
            *(entry.data, entry.point, f"{entry.threshold:.4g}"),
            *map(_optional, (*(entry.species.get(kind) for kind in kinds), entry.apcer, entry.bpcer, entry.acer)),
        )
        for entry in report.points
    ]
    return Table(head, rows, text=_TEXT, note="APCER is that of the worst species; ACER = (APCER + BPCER) / 2.")


def _sessions(report: SpoofReport) -> Table:
    head = ("data", "class", "people", "sessions", "LIVE", "SPOOF", "undecided", "LIVE at any time")
    rows = [
        (
            *(entry.data, entry.attack or plots.LIVE, str(entry.subjects), str(entry.sessions)),
            *map(str, (entry.live, entry.spoof, entry.undecided, entry.ever_live)),
            *((interval(entry.error), _NONE) if entry.attack else (_NONE, interval(entry.error))),
            *_latency(entry),
        )
        for entry in report.session_summaries
    ]
    columns = (*head, "APCER", "BPCER", "median latency", "90 %")
    return Table(columns, rows, text=_TEXT, note=_session_note(report))


def _session_note(report: SpoofReport) -> str:
    rule, limits = report.rule, report.limits
    if rule is None:
        return ""
    return (
        f"Each session as a stream of {report.frame_rate:g} frames a second: {rule}; deadline {limits.deadline_s:g} s, "
        f"cooldown {limits.cooldown_s:g} s. The decision is the first LIVE or SPOOF. A session without one is an error "
        "of live people (BPCER), none of attacks; an attack is one if it is LIVE at any time (APCER). Latency: frames, "
        "and seconds since the first, until the decision."
    )


def _non_responses(report: SpoofReport) -> Table:
    rows = [(e.path, e.subject, e.attack or plots.LIVE, ", ".join(e.reasons)) for e in report.non_responses]
    return Table(("file", "person", "class", "reason"), rows, text=_TEXT)


def _default(report: SpoofReport) -> str:
    if report.leave_one_out:
        return "none: densities are fitted anew, each person's without that person"
    return "none" if report.threshold is None else f"threshold {report.threshold:.4g} ({report.operating_point})"


def _latency(entry: SessionSummary) -> tuple[str, str]:
    found = entry.latency
    if found is None:
        return _NONE, _NONE
    return f"{found.median_frames:g} ({found.median_s:.2f} s)", f"{found.p90_frames:g} ({found.p90_s:.2f} s)"


def _optional(value: Interval | Rate | None) -> str:
    return _NONE if value is None else interval(value)


def _missing(rate: Rate | None) -> str:
    return _NONE if rate is None else f"{rate.errors} ({percent(rate.value)})"
