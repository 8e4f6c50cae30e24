"""What the anti-spoofing thesis reports of its settings in words: loss weights, numbers of filters and of Gaussians.

Each study changes one setting of the baseline (table 4.2) and leaves all others, the learning rate too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import msgspec

from edge_sdk.calibration.metrics.resampling import bootstrap
from edge_sdk.calibration.metrics.verification import Curves
from edge_sdk.export.losses.one_class import Elbo, OneClass
from edge_sdk.export.networks import gaussian_mixture
from edge_sdk.export.recipes import Preset
from edge_sdk.export.reproduction.tables import ResultTable, shown_interval
from edge_sdk.export.reproduction.thesis.experiments import (
    BASELINE,
    NEW_LIVE,
    TRAINING,
    Say,
    ThesisPictures,
    ThesisRequest,
)
from edge_sdk.export.reproduction.thesis.networks import train
from edge_sdk.export.reproduction.thesis.statements import statement, verdict_of
from edge_sdk.export.reproduction.thesis.variational import KL, REC, VariationalLosses
from edge_sdk.tables import Table

WEIGHTS, FILTERS, MIXTURES = "thesis-weights", "thesis-filters", "thesis-mixtures"
STUDIED = replace(BASELINE, steps=100)
"""Shorter than the baseline itself, for there are several."""
KL_WEIGHTS = (0.1, 1.0, 10.0)
SHARES = (0.25, 0.5, 1.0)
"""Of the filters that are asked for."""


def weights(request: ThesisRequest, say: Say = print) -> ResultTable:
    """Train with each of :data:`KL_WEIGHTS`, unless that is done.

    Raises as :func:`~edge_sdk.export.reproduction.thesis.losses.reproduce`.
    """
    found = _trained(request, {weight: partial(_weighted, weight) for weight in KL_WEIGHTS}, "weight", say)
    notes: tuple[str, ...] = ()
    if found:
        first, last = found[min(found)], found[max(found)]
        learned = [one.mean(REC, TRAINING) for one in (first, last)]
        gaps = [one.mean(REC, NEW_LIVE) - one.mean(REC, TRAINING) for one in (first, last)]
        notes = (
            statement(
                "Section 3.6.4",
                "A higher weight on the L_rec makes the reconstructions better",
                f"{REC} of {TRAINING} is {learned[0]:.1f} with the least w_KL and {learned[1]:.1f} with the largest",
                verdict_of(learned[0] < learned[1]),
            ),
            statement(
                "Section 3.6.4",
                "a higher weight on the L_KL makes the network better at generalizing",
                f"{REC} of {NEW_LIVE} is {gaps[0]:+.1f} beside {TRAINING} with the least w_KL and {gaps[1]:+.1f} with "
                "the largest",
                verdict_of(gaps[1] < gaps[0]),
            ),
        )
    return _table(WEIGHTS, "The weight w_KL of the divergence (document 001, section 3.6.4)", found, request, notes)


def filters(request: ThesisRequest, say: Say = print) -> ResultTable:
    """Train with each of :data:`SHARES`, unless that is done. Raises as :func:`weights`."""
    shares = {request.width * share: partial(_narrowed, request.width * share) for share in SHARES}
    found = _trained(request, shares, "width", say)
    notes: tuple[str, ...] = ()
    if found:
        values = [found[width].mean(REC, NEW_LIVE) for width in sorted(found)]
        ours = f"{REC} of {NEW_LIVE} is {', '.join(f'{value:.1f}' for value in values)} from few filters to many"
        better = verdict_of(values == sorted(values, reverse=True))
        notes = (
            statement("Section 5.2", "generally it we got better reconstructions with more filters", ours, better),
        )
    return _table(FILTERS, "The number of filters (document 001, section 5.2)", found, request, notes)


def mixtures(request: ThesisRequest, say: Say = print) -> ResultTable:
    """Fit mixtures of 1 to 128 Gaussians on the latents of the baseline. Raises as :func:`weights`."""
    names: tuple[str, ...] = ()
    lines: list[tuple[str, ...]] = []
    facts: list[dict[str, object]] = []
    areas: list[float] = []
    notes = ["Mixtures are fitted on the latents of live pictures of the people learned from (section 3.7)."]
    if request.data:
        pictures = ThesisPictures.of(request)
        base = VariationalLosses.of(BASELINE, train(BASELINE, pictures, request, say), pictures, request.out)
        names = pictures.names
        training = base.latents[pictures.subsets == TRAINING]
        for modes in (modes for modes in gaussian_mixture.MODES if 2 * modes <= len(training)):
            likelihood = gaussian_mixture.fit(training, modes, seed=request.seed).log_likelihood(base.latents)
            means = {name: float(likelihood[pictures.subsets == name].mean()) for name in names}
            everybody, new = (
                bootstrap(pictures.scores(-likelihood, chosen).presented, Curves.auroc)
                for chosen in (None, pictures.new)
            )
            areas.append(everybody.value)
            cells = (f"{mean:.1f}" for mean in means.values())
            lines.append((f"{modes}", *cells, *(shown_interval(one, 1, 3) for one in (everybody, new))))
            facts.append({"modes": modes, "log_likelihood": means, "auroc": msgspec.to_builtins(everybody)})
        quoted = "All GMM we tried looked very similar in their ability to differentiate live from spoof"
        ours = f"the AUROC is from {min(areas):.3f} to {max(areas):.3f}"
        notes += [pictures.summary, statement("Figure 4.4", quoted, ours)]
    head = ("Gaussians", *names, "AUROC", "AUROC, new people")
    title = "Mean log-likelihood under mixtures on the latents (document 001, figure 4.4)"
    return ResultTable(MIXTURES, title, Table(head, lines), tuple(notes), {"rows": facts})


COMMANDS: Mapping[str, Callable[[ThesisRequest, Say], ResultTable]] = {
    WEIGHTS: weights,
    FILTERS: filters,
    MIXTURES: mixtures,
}


def _trained(
    request: ThesisRequest, changes: Mapping[float, Callable[[Preset], Preset]], what: str, say: Say
) -> dict[float, VariationalLosses]:
    """Networks by the value of what is varied; the one that changes nothing is the baseline of all studies."""
    if not request.data:
        return {}
    pictures = ThesisPictures.of(request)
    found = {}
    for value, change in changes.items():
        if value == (request.width if what == "width" else 1):
            trained = train(STUDIED, pictures, request, say)
        else:
            trained = train(STUDIED, pictures, request, say, name=f"{what}-{value:g}", change=change)
        found[value] = VariationalLosses.of(STUDIED, trained, pictures, request.out)
    return found


def _weighted(weight: float, preset: Preset) -> Preset:
    objective = preset.objective
    assert isinstance(objective, OneClass), "the baseline learns live pictures alone"
    return replace(preset, objective=replace(objective, criterion=Elbo(w_rec=1, w_kl=weight)))


def _narrowed(width: float, preset: Preset) -> Preset:
    return replace(preset, network={"width": width})


def _table(
    name: str, title: str, found: Mapping[float, VariationalLosses], request: ThesisRequest, notes: Sequence[str]
) -> ResultTable:
    """A line for each value of what is varied, which the command is named after."""
    varied = "w_KL" if name == WEIGHTS else "width"
    losses = (KL, REC)
    head = (varied, *(f"{loss}, {subset}" for loss in losses for subset in (TRAINING, NEW_LIVE)))
    head += tuple(f"AUROC, {loss}" for loss in losses)
    lines = [
        (
            f"{value:g}",
            *(f"{one.mean(loss, subset):.1f}" for loss in losses for subset in (TRAINING, NEW_LIVE)),
            *(shown_interval(one.auroc(loss), 1, 3) for loss in losses),
        )
        for value, one in found.items()
    ]
    rows = [{varied: value, **one.facts} for value, one in found.items()]
    settings = f"Ours: {request.steps or STUDIED.steps} steps each; the thesis gives words, and no numbers."
    auroc = "AUROC: of all pictures, in brackets 95 % intervals by bootstrap over people."
    summaries = [one.pictures.summary for one in found.values()][:1]
    return ResultTable(name, title, Table(head, lines), (settings, auroc, *summaries, *notes), {"rows": rows})
