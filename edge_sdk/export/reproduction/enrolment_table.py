"""Rows of enrolments as a table, and as a figure of the EER by the number of references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from matplotlib.figure import Figure

from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.export.evaluation.plots import COLORS
from edge_sdk.export.reproduction.enrolment import ARTIFACTS, KINDS, EnrolmentRequest, EnrolmentRow
from edge_sdk.export.reproduction.enrolment_rules import DRAWS, ELSEWHERE, NEW, OLD, RULES
from edge_sdk.export.reproduction.fold_runs import INT8_METHOD
from edge_sdk.export.reproduction.protocols import TableProtocol
from edge_sdk.export.reproduction.tables import NONE, ResultTable, shown_interval
from edge_sdk.tables import Table

SUFFIX = "-references"
"""Behind the protocol's name, in the names of the files."""


def enrolment_table(protocol: TableProtocol, request: EnrolmentRequest, rows: Sequence[EnrolmentRow]) -> ResultTable:
    """Every row, with one threshold for all people and with each person's own."""
    rules = [rule for rule in RULES if any(rule in row.rates for row in rows)]
    head = (
        *("test", "model", "preset", "steps", "variant", "forgeries", "references", "people", "comparisons"),
        *_columns("EER %", rules),
        *_columns("own threshold", rules),
    )
    lines = [
        (
            *(row.test, row.model, row.preset, str(row.steps), row.artifact, row.forgeries, str(row.references)),
            *(str(row.subjects), f"{row.mated} + {row.impostors}"),
            *_cells([(rates.eer, rates.eer_change) if rates else None for rates in map(row.rates.get, rules)]),
            *_cells([(rates.own, rates.own_change) if rates else None for rates in map(row.rates.get, rules)]),
        )
        for row in rows
    ]
    text = ("test", "model", "preset", "variant", "forgeries")
    notes = (
        "EER with one threshold for all people of the row; in brackets the 95 % interval, by bootstrap over people.",
        "Own threshold: the EER of each person's comparisons, whatever enrolment they are of; the mean over people.",
        "Such a threshold is set on the very forgeries that it is measured on, so no device can have it.",
        f"One reference: every pair of genuine signatures. More: {DRAWS} enrolments a person, drawn at random.",
        "Random forgeries are other people's genuine signatures, of the same data set and fold.",
        "Change: against the mean score, in points, of the same people resampled.",
        f"{NEW}: everybody is the training people of the fold; {ELSEWHERE}: those of no data set that is tested.",
        f"int8: calibrated on training people by the method {INT8_METHOD}.",
    )
    facts = {
        "seed": request.trainings.seed,
        "runs": [run.name for run in request.runs],
        "rows": msgspec.to_builtins(rows),
    }
    title = f"{protocol.title}, by number of references"
    return ResultTable(protocol.name + SUFFIX, title, Table(head, lines, text=text), notes, facts)


def _columns(what: str, rules: Sequence[str]) -> Iterator[str]:
    for rule in rules:
        yield f"{what}: {rule}"
        if rule != OLD:
            yield "change"


def _cells(found: Sequence[tuple[Interval, Interval | None] | None]) -> Iterator[str]:
    """Of each rule in the order of :data:`RULES`, of which the first has no change."""
    for number, rates in enumerate(found):
        value, change = rates or (None, None)
        yield shown_interval(value, 100, 1) if value else NONE
        if number:
            yield shown_interval(change, 100, 1) if change else NONE


def figure(rows: Sequence[EnrolmentRow]) -> Figure:
    """EER of int8 by the number of references: a panel for each data set, a colour for each rule."""
    shown = [row for row in rows if row.artifact == ARTIFACTS[0]]
    tests = list(dict.fromkeys(row.test for row in shown))
    drawn = Figure(figsize=(3.2 * len(tests), 3.4), layout="constrained")
    panels = drawn.subplots(1, len(tests), sharey=True, squeeze=False)[0]
    for axes, test in zip(panels, tests, strict=True):
        for kind, line in zip(KINDS, ("-", "--"), strict=True):
            points = [row for row in shown if (row.test, row.forgeries) == (test, kind)]
            counts = [row.references for row in points]
            for rule, color in zip((OLD, NEW), COLORS, strict=False):
                found = [row.rates[rule].eer for row in points]
                axes.plot(
                    counts,
                    [100 * each.value for each in found],
                    line,
                    marker=".",
                    color=color,
                    label=f"{rule}, {kind} forgeries",
                )
                low, high = [100 * each.low for each in found], [100 * each.high for each in found]
                axes.fill_between(counts, low, high, color=color, alpha=0.12, linewidth=0)
        axes.set_title(test, fontsize=10)
        axes.set_xlabel("references")
        axes.set_xticks(sorted({row.references for row in shown}))
        axes.grid(visible=True, color="#eee", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("EER, %")
    panels[0].set_ylim(bottom=0)
    panels[-1].legend(fontsize=7)
    return drawn
