"""The anti-spoofing thesis' GANomaly: section 4.4, figures 4.16 to 4.18.

Each set is the live pictures and the attacks of one species: *seen* of people whose live pictures are learned from,
*unseen* of others. The thesis shows its two seen sets, and the best epoch; here it is the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics import presentation_attack
from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.calibration.metrics.resampling import Interval, bootstrap_all
from edge_sdk.calibration.metrics.verification import Curves
from edge_sdk.export.evaluation.plots import save_png
from edge_sdk.export.reproduction.tables import NONE, PAPER, ResultTable, shown_interval
from edge_sdk.export.reproduction.thesis import figures
from edge_sdk.export.reproduction.thesis.experiments import (
    GANOMALY,
    NEW_LIVE,
    TRAINING,
    Say,
    ThesisPictures,
    ThesisRequest,
)
from edge_sdk.export.reproduction.thesis.networks import measure, train
from edge_sdk.export.reproduction.thesis.statements import statement, verdict_of
from edge_sdk.export.reproduction.thesis.variational import LOW_RECALL
from edge_sdk.tables import Table

NAME = "thesis-ganomaly"
FALSE_ALARMS = 0.1
"""Share of live pictures taken for attacks at which figure 4.18's "low FPR" is looked at."""
PAPER_SET = "seen print"
"""The thesis' test set *seen paper*; its *seen mask* has no counterpart here but the other species."""


@dataclass(frozen=True, eq=False)
class SetMeasurement:
    """How well one set's attacks are found by the error of their reconstruction.

    Attributes:
        auroc, eer: With 95 % intervals by bootstrap over people.
        precision: At the least recall of :data:`LOW_RECALL` or more, as if half of the pictures were attacks.
        found: Share of attacks that are found where :data:`FALSE_ALARMS` of the live pictures are taken for such.
    """

    live: int
    attacks: int
    auroc: Interval
    eer: Interval
    precision: float
    found: float

    @classmethod
    def of(cls, scores: AttackScores) -> SetMeasurement:
        auroc, eer = bootstrap_all(scores.presented, [Curves.auroc, Curves.eer])
        live = scores.presented.scores[scores.live]
        curve = presentation_attack.precision_recall(scores, 0.5)
        return cls(
            live=live.size,
            attacks=int((~scores.live).sum()),
            auroc=auroc,
            eer=eer,
            precision=float(curve.precision[np.searchsorted(curve.recall, LOW_RECALL)]),
            found=float((scores.presented.scores[~scores.live] < np.quantile(live, FALSE_ALARMS)).mean()),
        )


def reproduce(request: ThesisRequest, say: Say = print) -> ResultTable:
    """Train the network, unless that is done, draw its figures into ``out``, and give the table.

    Without ``data`` it has the thesis' line alone. Raises as :func:`~edge_sdk.export.reproduction.thesis.losses
    .reproduce`.
    """
    if not request.data:
        return table({}, {}, request)
    pictures = ThesisPictures.of(request)
    trained = train(GANOMALY, pictures, request, say)
    error = measure(trained, pictures, ("reconstruction",), request.out).losses["reconstruction"]
    sets = {name: pictures.scores(error, chosen) for name, chosen in masks(pictures).items()}
    title = "Finding attacks by the error of the reconstruction: GANomaly"
    for kind, figure in {
        "precision-recall": figures.precision_recall(f"{title}\n(thesis, figure 4.16)", {"each set": sets}),
        "reconstructions": figures.reconstructions(
            "Pictures, reconstructions and their errors: GANomaly (thesis, figure 4.17)", trained, pictures, error
        ),
        "roc": figures.roc(f"{title}\n(thesis, figure 4.18)", sets),
    }.items():
        path = request.out / f"thesis-ganomaly-{kind}.png"
        save_png(figure, path)
        say(f"drawn: {path}")
    medians = {name: float(np.median(error[pictures.subsets == name])) for name in pictures.names}
    return table({name: SetMeasurement.of(scores) for name, scores in sets.items()}, medians, request, pictures)


def masks(pictures: ThesisPictures) -> dict[str, NDArray[np.bool_]]:
    """Which of the tested pictures each set has: attacks, and the live pictures of those people or of the others."""
    found = {}
    for name in pictures.names:
        if name not in (TRAINING, NEW_LIVE):
            live = TRAINING if name.startswith("seen") else NEW_LIVE
            found[name] = np.isin(pictures.subsets, [name, live])
    return found


def table(
    measured: Mapping[str, SetMeasurement],
    medians: Mapping[str, float],
    request: ThesisRequest,
    pictures: ThesisPictures | None = None,
) -> ResultTable:
    """The settings that the thesis prints above what each set gave."""
    tail = (f"precision at a recall of {LOW_RECALL:g}", f"attacks found, {FALSE_ALARMS:.0%} of live ones flagged")
    head = ("set", "who", "steps", "width", "live", "attacks", "AUROC", "EER %", *tail)
    lines: list[tuple[str, ...]] = [
        ("test seen paper, test seen mask", PAPER, f"{GANOMALY.settings.steps}", "1", *[NONE] * 6)
    ]
    steps = request.steps or GANOMALY.steps
    for name, one in measured.items():
        counts = f"{steps}", f"{request.width:g}", f"{one.live}", f"{one.attacks}"
        areas = shown_interval(one.auroc, 1, 3), shown_interval(one.eer, 100, 1)
        lines.append((name, "ours", *counts, *areas, f"{one.precision:.3f}", f"{one.found:.3f}"))
    notes = [f"ganomaly, {GANOMALY.printed}: steps of {GANOMALY.images} pictures."]
    if pictures:
        explained = "In brackets 95 % intervals by bootstrap over people. Precision: as if half of all were attacks."
        notes += [pictures.summary, explained, *statements(measured, medians)]
    return ResultTable(
        NAME,
        "Finding attacks by GANomaly's reconstruction (document 001, section 4.4)",
        Table(head, lines, text=("set", "who")),
        tuple(notes),
        {"sets": msgspec.to_builtins(measured), "median_error": dict(medians)},
    )


def statements(measured: Mapping[str, SetMeasurement], medians: Mapping[str, float]) -> tuple[str, ...]:
    """What the thesis says of its figures, and what was measured of that."""
    live = max(medians[name] for name in medians if name in (TRAINING, NEW_LIVE))
    attacks = {name: value for name, value in medians.items() if name not in (TRAINING, NEW_LIVE)}
    found = [
        statement(
            "Section 5.2",
            "the reconstruction of spoofs will have a higher median error",
            "the median is " + ", ".join(f"{value:.4g} for {name}" for name, value in medians.items()),
            verdict_of(min(attacks.values()) > live),
        )
    ]
    seen = {name: one for name, one in measured.items() if name.startswith("seen")}
    if PAPER_SET in seen and len(seen) > 1:
        precisions = {name: one.precision for name, one in seen.items()}
        shares = {name: one.found for name, one in seen.items()}
        found += [
            statement(where, quoted, "it is " + ", ".join(f"{x:.3f} for {name}" for name, x in of.items()), _first(of))
            for where, quoted, of in (
                ("Figure 4.16", "The paper spoofs have a higher precision for lower recall", precisions),
                ("Figure 4.18", "the paper dataset shows higher TPR for low FPR", shares),
            )
        ]
    return tuple(found)


def _first(values: Mapping[str, float]) -> str:
    return verdict_of(all(values[PAPER_SET] > value for name, value in values.items() if name != PAPER_SET))
