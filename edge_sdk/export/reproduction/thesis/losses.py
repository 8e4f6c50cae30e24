"""The anti-spoofing thesis' variational autoencoders: sections 4.1 to 4.3, figures 4.1 to 4.15.

The thesis prints no number of these results, but draws them and says what it sees. So its lines here are the settings
of its trainings, and its statements, each with what was measured of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from edge_sdk.errors import UsageError
from edge_sdk.export.evaluation.plots import save_png
from edge_sdk.export.networks import gaussian_mixture
from edge_sdk.export.reproduction.tables import NONE, PAPER, ResultTable, shown_interval
from edge_sdk.export.reproduction.thesis import figures
from edge_sdk.export.reproduction.thesis.experiments import (
    EXPERIMENTS,
    TRAINING,
    Experiment,
    Say,
    ThesisPictures,
    ThesisRequest,
)
from edge_sdk.export.reproduction.thesis.networks import ThesisNetwork, train
from edge_sdk.export.reproduction.thesis.statements import of_losses
from edge_sdk.export.reproduction.thesis.variational import LOW_RECALL, REC, VariationalLosses
from edge_sdk.tables import Table

NAME = "thesis-losses"
MODES = 8
"""Figure 4.4."""
NUMBERS: Mapping[str, Mapping[str, str]] = {
    "baseline": {"losses": "4.1", "precision-recall": "4.2", "latents": "4.3", "mixture": "4.4"},
    "filtered": {"losses": "4.5", "precision-recall": "4.6", "latents": "4.7"},
    "augmented": {"latents": "4.8"},
    "resvae": {"losses": "4.9", "latents": "4.10"},
}
"""The thesis' figures. Its reconstructions, 4.11 to 4.15, are of several experiments."""


def reproduce(request: ThesisRequest, say: Say = print) -> ResultTable:
    """Train the requested experiments, unless that is done, draw their figures into ``out``, and give the table.

    Without ``data`` it has the thesis' lines alone.

    Raises:
        UsageError: No such experiment.
        DatasetError: There are no attacks of new people, or too few people.
        TrainingError: ``out`` holds another training of this name.
    """
    if unknown := [name for name in request.experiments if name not in EXPERIMENTS]:
        raise UsageError(f"no experiment {', '.join(unknown)}; choose from {', '.join(EXPERIMENTS)}")
    chosen = [one for name, one in EXPERIMENTS.items() if name in (request.experiments or EXPERIMENTS)]
    if not request.data:
        return table((), chosen, request)
    pictures = ThesisPictures.of(request)
    found = []
    for experiment in chosen:
        trained = train(experiment, pictures, request, say)
        measured = VariationalLosses.of(experiment, trained, pictures, request.out)
        for kind, figure in drawn(measured, trained, request.seed).items():
            path = request.out / f"thesis-{experiment.name}-{kind}.png"
            save_png(figure, path)
            say(f"drawn: {path}")
        found.append(measured)
    return table(found, chosen, request)


def drawn(measured: VariationalLosses, trained: ThesisNetwork, seed: int) -> dict[str, Figure]:
    """The figures of one experiment, by kind."""
    pictures, name = measured.pictures, measured.experiment.name
    numbers = NUMBERS[name]

    def title(kind: str, what: str) -> str:
        return f"{what}: {name}" + (f"\n(thesis, figure {numbers[kind]})" if kind in numbers else "")

    training = measured.latents[pictures.subsets == TRAINING]
    mixture = gaussian_mixture.fit(training, min(MODES, len(training) // 2), seed=seed)
    likelihood = {"log-likelihood": mixture.log_likelihood(measured.latents)}
    found = {
        "losses": figures.distributions(title("losses", "Losses"), measured.losses, pictures),
        "precision-recall": figures.precision_recall(title("precision-recall", "Finding attacks"), measured.curves),
        "latents": figures.latents(title("latents", "Latents"), measured.latents, pictures, seed),
        "mixture": figures.distributions(
            title("mixture", f"Mixture of {len(mixture.weights)} Gaussians on the latents"), likelihood, pictures
        ),
        "reconstructions": figures.reconstructions(
            f"Pictures and their reconstructions, {REC}: {name} (thesis, figures 4.11 to 4.15)",
            trained,
            pictures,
            measured.losses[REC],
        ),
    }
    return {kind: figure for kind, figure in found.items() if figure is not None}


def table(measured: Sequence[VariationalLosses], chosen: Sequence[Experiment], request: ThesisRequest) -> ResultTable:
    """The settings that the thesis prints above ours, and the losses of each subset."""
    subsets = measured[0].pictures.names if measured else ()
    tail = ("AUROC", "AUROC, new people", f"precision at a recall of {LOW_RECALL:g}")
    head = ("experiment", "who", "steps", "pictures", "width", "loss", *subsets, *tail)
    lines: list[tuple[str, ...]] = []
    for experiment in chosen:
        printed = experiment.settings
        paper = (experiment.name, PAPER, f"{printed.steps}", f"{experiment.images}", "1")
        lines.append(paper + (NONE,) * (len(head) - len(paper)))
        for one in (one for one in measured if one.experiment is experiment):
            ours = (experiment.name, "ours", f"{one.preset.steps}", f"{experiment.images}", f"{request.width:g}")
            lines += [(*ours, loss, *_cells(one, loss)) for loss in one.losses]
    return ResultTable(
        NAME,
        "Losses of variational autoencoders (document 001, sections 4.1 and 4.2)",
        Table(head, lines, text=("experiment", "who", "loss")),
        (*_notes(measured, chosen), *of_losses(measured)),
        {
            "rows": [{"experiment": one.experiment.name, **one.facts} for one in measured],
            "document": {one.name: {"printed": one.printed, "steps": one.settings.steps} for one in chosen},
        },
    )


def _notes(measured: Sequence[VariationalLosses], chosen: Sequence[Experiment]) -> list[str]:
    notes = [f"{one.name}: {one.recipe}, {one.printed}." for one in chosen]
    if not measured:
        return notes
    scale = (
        f"Losses: mean +- standard deviation. {REC} is a sum over pixels, as the losses of up to 10,000 are that "
        "section 5.2 reports; even of a perfect reconstruction it is the entropy of the gray levels, not 0."
    )
    auroc = (
        "AUROC: a smaller loss is more live; all pictures, those learned from too, as in the thesis; in brackets 95 % "
        "intervals by bootstrap over people."
    )
    return [*notes, measured[0].pictures.summary, scale, auroc]


def _cells(one: VariationalLosses, loss: str) -> tuple[str, ...]:
    return (
        *(f"{one.mean(loss, name):.1f} +- {one.deviation(loss, name):.1f}" for name in one.pictures.names),
        *(shown_interval(one.auroc(loss, new=new), 1, 3) for new in (False, True)),
        f"{one.precision(loss):.3f}",
    )
