"""A liveness evaluation as text, as JSON, and as one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

import numpy as np

from edge_sdk.calibration.metrics.verification import Interval
from edge_sdk.export.evaluation import html
from edge_sdk.export.evaluation.html import Head, Rows, interval, percent, plain, unit_interval
from edge_sdk.export.evaluation.spoof import plots, samples
from edge_sdk.export.evaluation.spoof.evaluate import Evaluation, Report
from edge_sdk.export.evaluation.spoof.measurements import APCER_TARGETS
from edge_sdk.export.evaluation.spoof.projection import layout
from edge_sdk.export.evaluation.spoof.sessions import Outcome
from edge_sdk.manifest import Rate

_NONE = "-"
_TEXT = {"data", "species", "class", "point", "file", "person", "reason"}


def write(evaluation: Evaluation, folder: Path) -> tuple[Path, Path]:
    """Write ``evaluation.json`` and ``report.html`` into `folder`, which is made; return their paths."""
    return html.write(evaluation.report.as_dict(), page_of(evaluation), folder)


def text(report: Report) -> str:
    """The tables for a terminal."""
    tables = [_data_table(report), _separation_table(report), _point_table(report), _outcome_table(report)]
    title = f"{report.bundle_id}, {report.artifact}, engine {report.engine}; default {_default(report)}"
    notes = [f"* {_OWN_THRESHOLD}"] if report.separations else []
    notes += [f"not measured: {s.data}, {s.species}: {s.reason}" for s in report.skipped]
    return "\n\n".join(
        [f"{title}; 95 % intervals over people", *(plain(*table) for table in tables if table[1]), *notes]
    )


def page_of(evaluation: Evaluation) -> str:
    """The page: tables, curves, distributions, decisions over time, latents, reconstructions and mistakes."""
    report = evaluation.report
    settings = (
        f"artifact {report.artifact}, engine {report.engine}; default {_default(report)}; pictures are "
        f"{'crops of faces' if report.faces == 'cropped' else f'full frames, faces found by {report.faces}'}; 95 % "
        f"intervals from {report.replicates} bootstrap resamples of people, seed {report.seed}"
    )
    parts = [
        f"<h1>{escape(report.bundle_id)}</h1>",
        _note(settings),
        "<h2>Data</h2>",
        _note("BPNRR, APNRR: live faces and attacks without a response, listed below; no other rate counts them."),
        _table(_data_table(report)),
        *_separations(evaluation),
        *_points(report),
        "<h2>Scores</h2>",
        _plot(plots.histograms(evaluation)),
        *_subsets(evaluation),
        *_decisions(report),
        *_latents(evaluation),
        *samples.reconstructions(evaluation),
        *samples.mistakes(evaluation),
        *samples.stages(evaluation),
        *_non_responses(report),
    ]
    return html.document(report.bundle_id, parts)


# --- sections -----------------------------------------------------------------------------------------------------

_OWN_THRESHOLD = "the threshold of BPCER at an APCER is set on these very data: what the scores allow, no device's rate"


def _separations(evaluation: Evaluation) -> Iterable[str]:
    report = evaluation.report
    yield "<h2>Live faces against attacks</h2>"
    if report.separations:
        yield _note(f"AP: average precision of finding attacks; guessing achieves their share. *: {_OWN_THRESHOLD}.")
        yield _table(_separation_table(report))
    for entry in report.skipped:
        yield _note(f"Not measured: {entry.data}, {entry.species} species: {entry.reason}")
    if report.separations:
        yield _plot(plots.curves(evaluation))


def _points(report: Report) -> Iterable[str]:
    yield "<h2>At the bundle's thresholds</h2>"
    if report.points:
        yield _note("APCER is that of the worst species; ACER = (APCER + BPCER) / 2.")
        yield _table(_point_table(report))
    for name, reason in report.unsupported.items():
        yield _note(f"No threshold {name}: {reason}")
    if not report.points:
        yield _note("The artifact has none.")


def _subsets(evaluation: Evaluation) -> Iterable[str]:
    if drawn := plots.subsets(evaluation):
        yield "<h2>Scores by session and pose</h2>"
        yield _note("Median, middle half and middle 90 % of the scores; in brackets the number of pictures.")
        yield _plot(drawn)


def _decisions(report: Report) -> Iterable[str]:
    yield "<h2>Decisions over time</h2>"
    rule, limits = report.rule, report.limits
    if rule is None or not report.sessions:
        yield _note("None: " + ("the data name no sessions." if rule else "the artifact has no threshold."))
        return
    short = sum(session.frames < rule.live for session in report.sessions)
    yield _note(
        f"Each session as a stream of {report.frame_rate:g} frames a second: LIVE with {rule.live} of the last "
        f"{rule.window} scores at the {_default(report)} or above, SPOOF with {rule.spoof} below; deadline "
        f"{limits.deadline_s:g} s, cooldown {limits.cooldown_s:g} s. The decision is the first LIVE or SPOOF. A "
        "session without one is never counted as LIVE: it is an error of live people (BPCER), none of attacks "
        f"(APCER). {short} sessions have fewer than {rule.live} frames. Latency: frames, and seconds since the first, "
        "until the decision."
    )
    yield _table(_outcome_table(report))
    yield _plot(plots.latency(report.sessions))


def _latents(evaluation: Evaluation) -> Iterable[str]:
    yield "<h2>Latents</h2>"
    drawn = [picture for picture in evaluation.seen if picture.scored and picture.point is not None]
    if evaluation.space is None:
        yield _note("Left out: the artifact puts out neither latents nor features nor a reconstruction.")
        return
    found = layout(np.stack([p.point for p in drawn if p.point is not None]), evaluation.report.seed) if drawn else None
    if found is None:
        yield _note(
            f"Left out: {len(drawn)} pictures are too few for a layout, or all the same to {evaluation.space.title}."
        )
        return
    yield _note(
        f"{len(drawn)} pictures, drawn by the seed, compared by {evaluation.space.title}. t-SNE keeps neighbours "
        "together; its distances between groups mean nothing."
    )
    yield _plot(plots.latents(found, drawn))


def _non_responses(report: Report) -> Iterable[str]:
    if report.non_responses:
        yield "<h2>Pictures without a response</h2>"
        rows: Rows = [
            (entry.path, entry.subject, entry.attack or plots.LIVE, ", ".join(entry.reasons))
            for entry in report.non_responses
        ]
        yield _table((("file", "person", "class", "reason"), rows))


def _default(report: Report) -> str:
    return "none" if report.threshold is None else f"threshold {report.threshold:.4g} ({report.operating_point})"


def _note(words: str) -> str:
    return f"<p class=muted>{escape(words)}</p>"


def _plot(drawn: str) -> str:
    return f"<div class=plots>{drawn}</div>"


def _table(head_and_rows: tuple[Head, Rows]) -> str:
    return html.table(*head_and_rows, text=_TEXT)


# --- tables -------------------------------------------------------------------------------------------------------


def _data_table(report: Report) -> tuple[Head, Rows]:
    rows: Rows = []
    for data in report.data:
        attacks = ", ".join(f"{count} {kind}" for kind, count in data.attacks.items())
        missing = ", ".join(f"{_missing(rate)} {kind}" for kind, rate in data.apnrr.items())
        rows.append(
            (data.name, str(data.subjects), str(data.live), _missing(data.bpnrr), attacks or _NONE, missing or _NONE)
        )
    return ("data", "people", "live", "BPNRR", "attacks", "APNRR"), rows


def _separation_table(report: Report) -> tuple[Head, Rows]:
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
    return head, rows


def _point_table(report: Report) -> tuple[Head, Rows]:
    kinds = sorted({kind for entry in report.points for kind in entry.species})
    head = ("data", "point", "threshold", *(f"APCER {kind}" for kind in kinds), "APCER", "BPCER", "ACER")
    rows = [
        (
            *(entry.data, entry.point, f"{entry.threshold:.4g}"),
            *map(_optional, (*(entry.species.get(kind) for kind in kinds), entry.apcer, entry.bpcer, entry.acer)),
        )
        for entry in report.points
    ]
    return head, rows


def _outcome_table(report: Report) -> tuple[Head, Rows]:
    head = ("data", "class", "people", "sessions", "LIVE", "SPOOF", "undecided", "LIVE at any time")
    rows = [
        (
            *(entry.data, entry.attack or plots.LIVE, str(entry.subjects), str(entry.sessions)),
            *map(str, (entry.live, entry.spoof, entry.undecided, entry.ever_live)),
            *((interval(entry.error), _NONE) if entry.attack else (_NONE, interval(entry.error))),
            *_latency(entry),
        )
        for entry in report.outcomes
    ]
    return (*head, "APCER", "BPCER", "median latency", "90 %"), rows


def _latency(entry: Outcome) -> tuple[str, str]:
    found = entry.latency
    if found is None:
        return _NONE, _NONE
    return f"{found.median_frames:g} ({found.median_s:.2f} s)", f"{found.p90_frames:g} ({found.p90_s:.2f} s)"


def _optional(value: Interval | Rate | None) -> str:
    return _NONE if value is None else interval(value)


def _missing(rate: Rate | None) -> str:
    return _NONE if rate is None else f"{rate.errors} ({percent(rate.value)})"
