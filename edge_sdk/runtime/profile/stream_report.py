"""The profile of a stream for people: a few lines and a table for a terminal, and one HTML file."""

from __future__ import annotations

from edge_sdk.markup import Html, element
from edge_sdk.runtime.profile.records import MeasuredStream, StreamProfile
from edge_sdk.runtime.profile.report import UNAVAILABLE, machine, note, page
from edge_sdk.runtime.profile.svg import STYLES, Axis, Line, legend, plot
from edge_sdk.tables import Table

_NAMES = {
    "wait": "wait in the buffer",
    "decode": "decode the film",
    "locate": "find the face",
    "preprocess": "pre-process",
    "inference": "network",
    "rest": "rest",
    "latency": "latency: all of these",
    "work": "work: without the wait",
    "age": "age of the decision",
}
_EXPLANATION = (
    "Milliseconds of each frame taken, nothing clipped. Latency is from a frame's arrival to its result; the age of "
    "the decision is how old the frame of the newest result had become when the next result came."
)


def text(report: StreamProfile) -> str:
    """For a terminal."""
    return "\n\n".join([_title(report), machine(report.machine), "\n".join(_said(report)), stages(report).plain()])


def html(report: StreamProfile) -> str:
    """One file, which needs no package that a device does not have."""
    return page(
        _title(report),
        report.machine,
        *(element("p", line) for line in _said(report)),
        element("h2", "Stages"),
        stages(report),
        *_plots(report),
    )


def stages(report: StreamProfile) -> Table:
    """Quantiles and maximum of each stage."""
    head = ("", *(f"p{100 * found.p:g}" for found in report.measured.stages[0].quantiles), "max")
    rows = [
        (_NAMES[found.name], *(f"{one.ms:.2f}" for one in found.quantiles), f"{found.max_ms:.2f}")
        for found in report.measured.stages
    ]
    return Table(head, rows, text=("",), note=_EXPLANATION)


def _title(report: StreamProfile) -> str:
    return f"{report.bundle_id}: {report.film} at {report.fps:g} frames a second"


def _said(report: StreamProfile) -> list[str]:
    found = report.measured
    plays = "" if found.plays == 1 else f", played {found.plays} times"
    decisions = ", ".join(f"{name.upper()} {count}" for name, count in found.decisions.items())
    dropped = _share(found.dropped, found.frames + found.dropped)
    late, scored = _share(found.late, found.frames), _share(found.scored, found.frames)
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    return [
        *(["Interrupted: of what had been played until then."] if found.interrupted else []),
        _verdict(report),
        f"{found.frames + found.dropped} frames in {found.seconds:.1f} s{plays}: {dropped} dropped",
        f"of {found.frames} taken, {late} were late, after the next frame had come; the network scored {scored}",
        f"{decisions}; {_first(found)}; {found.deadlines} times no decision by the deadline",
        f"{report.engine} {report.variant}, {threads}, faces: {report.faces}; opened in {report.init_ms:.0f} ms",
        f"memory: {_memory(found)}",
    ]


def _verdict(report: StreamProfile) -> str:
    found = report.measured
    if found.held is None:
        return "No frame had a score, so the network never ran: of the frame rate this says nothing."
    p50, _, p99, _ = found.stage("work").quantiles
    verdict = f"{report.fps:g} frames a second {'hold' if found.held else 'do not hold'}"
    work = f"work takes up to {p50.ms:.1f} ms for half of the frames, {p99.ms:.1f} for 99 in 100"
    return f"{verdict}: of {1e3 / report.fps:.1f} ms a frame, {work}"


def _share(count: int, of: int) -> str:
    return f"{count} ({count / of:.1%})"


def _first(found: MeasuredStream) -> str:
    known = [seconds for seconds in found.first_decision_s if seconds is not None]
    if not known:
        return "never LIVE or SPOOF"
    missing = len(found.first_decision_s) - len(known)
    return f"first LIVE or SPOOF after {max(known):.2f} s" + (f", in {missing} plays never" if missing else "")


def _memory(found: MeasuredStream) -> str:
    if found.peak_bytes is None:
        return UNAVAILABLE
    grown = UNAVAILABLE if found.grown_bytes is None else f"{found.grown_bytes / 1e6:.1f} MB"
    return f"peak {found.peak_bytes / 1e6:.0f} MB; added in the second half of the run: {grown}"


def _plots(report: StreamProfile) -> list[Html]:
    found, interval = report.measured, 1e3 / report.fps
    low, high = min(found.curve[0][0], interval) * 0.95, max(found.curve[-1][0], interval) * 1.05
    curve, limit = (
        Line(found.curve, *STYLES[0], "latency"),
        Line([(interval, 0), (interval, 1)], *STYLES[1], "next frame"),
    )
    end = found.moments[-1].at_s
    course = [
        Line([(0, interval), (end, interval)], *STYLES[1]),
        Line([(moment.at_s, moment.max_ms) for moment in found.moments], *STYLES[0], faint=True),
        Line([(moment.at_s, moment.median_ms) for moment in found.moments], *STYLES[0]),
    ]
    return [
        element("h2", "Distribution"),
        legend([curve, limit]),
        plot(
            [curve, limit],
            Axis("ms, from the frame's arrival to its result", low, high, log=True),
            Axis("share of frames", 0, 1),
            "share of frames that took at most so long",
        ),
        element("h2", "Over time"),
        note("Median and (faint) maximum of each hundredth of the frames."),
        plot(
            course,
            Axis("seconds since the first frame", 0, end),
            Axis("ms", low, high, log=True),
            "median and maximum latency in each hundredth of the frames",
        ),
    ]
