"""A profile for people: tables for a terminal, and one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable

from edge_sdk.markup import Html, element, join
from edge_sdk.runtime.profile.records import (
    FailedJob,
    Machine,
    MeasuredJob,
    ProfiledJob,
    ProfileReport,
    Quantile,
    Stage,
)
from edge_sdk.runtime.profile.svg import STYLES, Axis, Line, legend, plot
from edge_sdk.tables import Table

UNAVAILABLE = "unavailable"
_NODES_SHOWN = 12
_EXPLANATION = (
    "From a golden input's bytes to the decision; references, if any, are a template, and faces are cut out already: "
    "finding them is not in these times. Milliseconds, nothing clipped. "
    "In brackets 95 % intervals that assume no distribution; ? where the calls are too few."
)
_KEY = ("engine", "variant", "threads")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th { border-bottom: 2px solid #888; font-weight: 600 }
.text { text-align: left } .scroll { overflow-x: auto } .muted { color: #666; font-size: 13px }
"""
_STAGES = "Milliseconds of each stage: p50 / p90 / p99 / max of the same calls."
_COST = (
    "Init: reading, importing and loading, and building where an engine builds on first use; again: the same in a "
    "process that has done it. A ratio of throughputs well below 1 means that the device throttles."
)

_TEXT = ("engine", "variant", "kind", "where", "version", "power")
"""Columns of words."""


def text(report: ProfileReport) -> str:
    """The tables for a terminal; the nodes are in the JSON and the HTML."""
    blocks = [report.bundle_id + rule(report), machine(report.machine)]
    blocks += [table.plain() for table in (latency(report), stages(report), cost(report)) if table]
    blocks += [f"{label}: {message}" for label, message in _failures(report)]
    return "\n\n".join(blocks)


def html(report: ProfileReport) -> str:
    """One file: machine, tables, plots, nodes, failures. It needs no package that a device does not have."""
    return page(
        report.bundle_id,
        report.machine,
        element("h2", f"Latency{rule(report)}"),
        latency(report),
        *_plots(report),
        element("h2", "Stages"),
        stages(report),
        element("h2", "Start, memory, heat, power"),
        cost(report),
        element("h2", "Which nodes ran where"),
        *_nodes(report),
        *(join([element("h2", label), element("p", message)]) for label, message in _failures(report)),
    )


def page(title: str, found: Machine, *parts: object) -> str:
    """A whole page below its title and the machine that it was measured on."""
    head = element("head", element("meta", charset="utf-8"), element("title", title), element("style", Html(_STYLE)))
    body = element("body", element("h1", title), note(machine(found)), *parts)
    return f"<!doctype html>{element('html', head, body, lang='en')}\n"


# --- tables -------------------------------------------------------------------------------------------------------


def rule(report: ProfileReport) -> str:
    """What is said of the rule the runs kept."""
    return "; MLPerf single-stream rule, its figure is p90" if report.single_stream else ""


def machine(found: Machine) -> str:
    """The device in one line."""
    load = UNAVAILABLE if found.load_average is None else f"{found.load_average:.1f}"
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    return (
        f"{found.processor}; {found.cores or UNAVAILABLE} cores; "
        f"{found.instruction_set}; governor {found.governor or UNAVAILABLE}; "
        f"load at the start {load}; {found.system}; {versions}"
    )


def latency(report: ProfileReport) -> Table:
    """Quantiles of the whole call."""
    head = (*_KEY, "calls", "p50", "p90", "p99", "max")
    rows = []
    for run, measured in _measured(report):
        total = measured.stage("total")
        rows.append((*_key(run), str(measured.calls), *map(_interval, total.quantiles), f"{total.max_ms:.2f}"))
    return Table(head, rows, text=_TEXT, note=_EXPLANATION)


def stages(report: ProfileReport) -> Table:
    """p50 / p90 / p99 / max of each stage."""
    head = (*_KEY, "decode", "pre-processing", "engine pass", "post-processing")
    rows = [
        (*_key(run), *(_stage(measured.stage(name)) for name in ("decode", "preprocess", "inference", "postprocess")))
        for run, measured in _measured(report)
    ]
    return Table(head, rows, text=_TEXT, note=_STAGES)


def cost(report: ProfileReport) -> Table:
    """Start, memory, throughput at both ends of the run, power."""
    head = (*_KEY, "version", "init ms", "again ms", "first ms", "peak MB", "calls/s first, last, ratio", "power")
    rows = []
    for run, m in _measured(report):
        kept = f"{m.last_per_s / m.first_per_s:.2f}" if m.first_per_s else "?"
        ratio = f"{m.first_per_s:.1f}, {m.last_per_s:.1f}, {kept} ({m.window_s:.0f} s each)"
        peak = UNAVAILABLE if m.peak_bytes is None else f"{m.peak_bytes / 1e6:.0f}"
        power = f"{run.power.mean_w:.1f} W, max {run.power.max_w:.1f} ({run.power.mode})" if run.power else UNAVAILABLE
        times = (f"{m.init_ms:.0f}", f"{m.reload_ms:.0f}", f"{m.first_ms:.1f}")
        rows.append((*_key(run), m.engine_version, *times, peak, ratio, power))
    return Table(head, rows, text=_TEXT, note=_COST)


def _measured(report: ProfileReport) -> list[tuple[ProfiledJob, MeasuredJob]]:
    return [(run, run.outcome) for run in report.runs if isinstance(run.outcome, MeasuredJob)]


def _failures(report: ProfileReport) -> list[tuple[str, str]]:
    failed = [(run.job.label, run.outcome) for run in report.runs if isinstance(run.outcome, FailedJob)]
    return [(label, f"{outcome.error}: {outcome.message}") for label, outcome in failed]


def _key(run: ProfiledJob) -> tuple[str, str, str]:
    return run.job.engine, run.job.variant, str(run.job.threads)


def _interval(found: Quantile) -> str:
    low, high = ("?" if bound is None else f"{bound:.2f}" for bound in (found.low, found.high))
    return f"{found.ms:.2f} [{low}, {high}]"


def _stage(found: Stage) -> str:
    return " / ".join(f"{value:.2f}" for value in (*(q.ms for q in found.quantiles), found.max_ms))


def note(words: str) -> Html:
    """Words in small print."""
    return element("p", words, class_="muted")


def _nodes(report: ProfileReport) -> Iterable[object]:
    for run, measured in _measured(report):
        yield element("h3", run.job.label)
        if measured.nodes is None:
            yield note(f"{UNAVAILABLE}: the engine does not report it")
            continue
        shares = [UNAVAILABLE if n.share is None else f"{100 * n.share:.1f} %" for n in measured.nodes]
        rows = [(n.kind, n.where, str(n.count), share) for n, share in zip(measured.nodes, shares, strict=True)]
        yield Table(("kind", "where", "nodes", "share of their time"), rows[:_NODES_SHOWN], text=_TEXT)
        if len(rows) > _NODES_SHOWN:
            yield note(f"and {len(rows) - _NODES_SHOWN} kinds of less time")


# --- plots --------------------------------------------------------------------------------------------------------


def _plots(report: ProfileReport) -> list[Html]:
    runs = _measured(report)
    if not runs:
        return []
    styles = [STYLES[number % len(STYLES)] for number in range(len(runs))]
    curves = [Line(m.curve, *style, run.job.label) for style, (run, m) in zip(styles, runs, strict=True)]
    low = min(line.points[0][0] for line in curves)
    high = max(line.points[-1][0] for line in curves)
    distribution = plot(
        curves,
        Axis("ms, from the picture to the decision", low * 0.95, high * 1.05, log=True),
        Axis("share of calls", 0, 1),
        "share of calls that took at most so long",
    )
    over_time = [
        line
        for style, (_, m) in zip(styles, runs, strict=True)
        for line in (
            Line([(moment.at_s, moment.max_ms) for moment in m.moments], *style, faint=True),
            Line([(moment.at_s, moment.median_ms) for moment in m.moments], *style),
        )
    ]
    course = plot(
        over_time,
        Axis("seconds since the first warm call", 0, max(m.seconds for _, m in runs)),
        Axis("ms", low * 0.95, high * 1.05, log=True),
        "median and maximum latency in each hundredth of the calls",
    )
    return [
        element("h2", "Distribution"),
        legend(curves),
        distribution,
        element("h2", "Over time"),
        note("Median and (faint) maximum of each hundredth of the calls: a device that gets hot climbs."),
        course,
    ]
