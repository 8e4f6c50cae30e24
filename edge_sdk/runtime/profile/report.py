"""A profile for people: tables for a terminal, and one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

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

UNAVAILABLE = "unavailable"
_NODES_SHOWN = 12
_EXPLANATION = (
    "From one picture's bytes to the decision, people being compared with a template; milliseconds, nothing clipped. "
    "In brackets 95 % intervals that assume no distribution; ? where the calls are too few."
)
_KEY = ("engine", "artifact", "threads")
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

Row = tuple[str, ...]
Table = tuple[Row, list[Row]]


def text(report: ProfileReport) -> str:
    """The tables for a terminal; the nodes are in the JSON and the page."""
    blocks = [report.bundle_id + rule(report), machine(report.machine)]
    tables = ((_EXPLANATION, latency(report)), (_STAGES, stages(report)), (_COST, cost(report)))
    blocks += [f"{caption}\n{_plain(table)}" for caption, table in tables if table[1]]
    blocks += [f"{label}: {message}" for label, message in _failures(report)]
    return "\n\n".join(blocks)


def html(report: ProfileReport) -> str:
    """The page: machine, tables, plots, nodes, failures."""
    parts = [
        f"<h1>{escape(report.bundle_id)}</h1>",
        f"<p class=muted>{escape(machine(report.machine))}</p>",
        f"<h2>Latency{escape(rule(report))}</h2>",
        f"<p class=muted>{_EXPLANATION}</p>",
        _html(latency(report)),
        *_plots(report),
        "<h2>Stages</h2>",
        f"<p class=muted>{_STAGES}</p>",
        _html(stages(report)),
        "<h2>Start, memory, heat, power</h2>",
        f"<p class=muted>{_COST}</p>",
        _html(cost(report)),
        *_nodes(report),
        *(f"<h2>{escape(label)}</h2><p>{escape(message)}</p>" for label, message in _failures(report)),
    ]
    head = f'<meta charset="utf-8"><title>{escape(report.bundle_id)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>' + "\n".join(parts) + "</body></html>\n"


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
    return head, rows


def stages(report: ProfileReport) -> Table:
    """p50 / p90 / p99 / max of each stage."""
    head = (*_KEY, "decode", "pre-processing", "engine pass", "post-processing")
    rows = [
        (*_key(run), *(_stage(measured.stage(name)) for name in ("decode", "preprocess", "inference", "postprocess")))
        for run, measured in _measured(report)
    ]
    return head, rows


def cost(report: ProfileReport) -> Table:
    """Start, memory, throughput at both ends of the run, power."""
    head: Row = (*_KEY, "version", "init ms", "again ms", "first ms", "peak MB", "calls/s first, last, ratio", "power")
    rows: list[Row] = []
    for run, m in _measured(report):
        kept = f"{m.last_per_s / m.first_per_s:.2f}" if m.first_per_s else "?"
        ratio = f"{m.first_per_s:.1f}, {m.last_per_s:.1f}, {kept} ({m.window_s:.0f} s each)"
        peak = UNAVAILABLE if m.peak_bytes is None else f"{m.peak_bytes / 1e6:.0f}"
        power = f"{run.power.mean_w:.1f} W, max {run.power.max_w:.1f} ({run.power.mode})" if run.power else UNAVAILABLE
        times = (f"{m.init_ms:.0f}", f"{m.reload_ms:.0f}", f"{m.first_ms:.1f}")
        rows.append((*_key(run), m.engine_version, *times, peak, ratio, power))
    return head, rows


def _measured(report: ProfileReport) -> list[tuple[ProfiledJob, MeasuredJob]]:
    return [(run, run.outcome) for run in report.runs if isinstance(run.outcome, MeasuredJob)]


def _failures(report: ProfileReport) -> list[tuple[str, str]]:
    failed = [(run.job.label, run.outcome) for run in report.runs if isinstance(run.outcome, FailedJob)]
    return [(label, f"{outcome.error}: {outcome.message}") for label, outcome in failed]


def _key(run: ProfiledJob) -> tuple[str, str, str]:
    return run.job.engine, run.job.artifact, str(run.job.threads)


def _interval(found: Quantile) -> str:
    low, high = ("?" if bound is None else f"{bound:.2f}" for bound in (found.low, found.high))
    return f"{found.ms:.2f} [{low}, {high}]"


def _stage(found: Stage) -> str:
    return " / ".join(f"{value:.2f}" for value in (*(q.ms for q in found.quantiles), found.max_ms))


def _plain(table: Table) -> str:
    head, rows = table
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in (head, *rows))


def _html(table: Table) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        classes = [" class=text" if name in ("engine", "artifact", "kind", "where") else "" for name in table[0]]
        joined = zip(classes, cells, strict=True)
        return "<tr>" + "".join(f"<{tag}{c}>{escape(cell)}</{tag}>" for c, cell in joined) + "</tr>"

    body = "".join(line("td", cells) for cells in table[1])
    return f"<div class=scroll><table>{line('th', table[0])}{body}</table></div>"


def _nodes(report: ProfileReport) -> list[str]:
    parts = ["<h2>Which nodes ran where</h2>"]
    for run, measured in _measured(report):
        parts.append(f"<h3>{escape(run.job.label)}</h3>")
        if measured.nodes is None:
            parts.append(f"<p class=muted>{UNAVAILABLE}: the engine does not tell</p>")
            continue
        shares = [UNAVAILABLE if n.share is None else f"{100 * n.share:.1f} %" for n in measured.nodes]
        rows: list[Row] = [
            (n.kind, n.where, str(n.count), share) for n, share in zip(measured.nodes, shares, strict=True)
        ]
        parts.append(_html((("kind", "where", "nodes", "share of their time"), rows[:_NODES_SHOWN])))
        if len(rows) > _NODES_SHOWN:
            parts.append(f"<p class=muted>and {len(rows) - _NODES_SHOWN} kinds of less time</p>")
    return parts


# --- plots --------------------------------------------------------------------------------------------------------


def _plots(report: ProfileReport) -> list[str]:
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
        "<h2>Distribution</h2>",
        legend(curves),
        distribution,
        "<h2>Over time</h2>",
        "<p class=muted>Median and (faint) maximum of each hundredth of the calls: a device that gets hot climbs.</p>",
        course,
    ]
