"""What the anti-spoofing thesis says of its results, and what was measured of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.export.reproduction.tables import shown_interval
from edge_sdk.export.reproduction.thesis.experiments import NEW_LIVE, TRAINING
from edge_sdk.export.reproduction.thesis.variational import ELBO, KL, LOW_RECALL, REC, VariationalLosses


def statement(where: str, quoted: str, ours: str, verdict: str = "") -> str:
    """A line of a table's notes.

    >>> statement("Section 9", "all is well", "it is", verdict_of(True))
    'Section 9: "all is well". Here it is: as in the thesis.'
    """
    return f'{where}: "{quoted}". Here {ours}{f": {verdict}" if verdict else ""}.'


def verdict_of(holds: bool) -> str:
    """In words."""
    return "as in the thesis" if holds else "not as in the thesis"


def of_losses(measured: Sequence[VariationalLosses]) -> tuple[str, ...]:
    """Those on the experiments that were measured."""
    by_name = {one.experiment.name: one for one in measured}
    found = list(_of_the_baseline(by_name["baseline"])) if "baseline" in by_name else []
    if {"filtered", "baseline"} <= by_name.keys():
        gain = by_name["filtered"].gain(by_name["baseline"], REC)
        quoted = "Training on the filtered dataset improved the performance to separate the live and spoof category"
        verdict = "undecided here" if gain.low <= 0 <= gain.high else verdict_of(gain.value > 0)
        found.append(statement("Figure 4.6", quoted, _gained(gain, REC, "filtered", "baseline"), verdict))
    for name, other, where, quoted in (
        ("augmented", "filtered", "Section 4.1.3", "The augmentations did not increase the separation"),
        ("resvae", "augmented", "Section 4.2.1", "The ResVAE did not perform better than the DCVAE"),
    ):
        if {name, other} <= by_name.keys():
            gain = by_name[name].gain(by_name[other], ELBO)
            found.append(statement(where, quoted, _gained(gain, ELBO, name, other), verdict_of(gain.low <= 0)))
    return tuple(found)


def _of_the_baseline(base: VariationalLosses) -> tuple[str, ...]:
    """Of figures 4.1 and 4.2."""
    means = {loss: {name: base.mean(loss, name) for name in base.pictures.names} for loss in base.losses}
    least = sorted(means[ELBO], key=means[ELBO].__getitem__)[:2]
    precisions = {loss: base.precision(loss) for loss in base.losses}
    shown = ", ".join(f"{precision:.3f} by {loss}" for loss, precision in precisions.items())
    return (
        _largest(KL, means[KL], "unseen", f"The mean ... of {KL} of the unseen paper subset is noticeably larger"),
        _largest(REC, means[REC], "seen", f"For {REC} the largest difference is in the seen paper subset"),
        statement(
            "Figure 4.1",
            "the mean loss of the train and unseen live subsets is the smallest",
            f"that of {' and '.join(least)} is",
            verdict_of(set(least) == {TRAINING, NEW_LIVE}),
        ),
        statement(
            "Figure 4.2",
            f"The {KL} seems to perform the best for small threshold values",
            f"the precision at a recall of {LOW_RECALL:g} is {shown}",
            verdict_of(max(precisions, key=precisions.__getitem__) == KL),
        ),
    )


def _largest(loss: str, means: Mapping[str, float], seen: str, quoted: str) -> str:
    name = max(means, key=means.__getitem__)
    ours = f"the largest {loss} is that of {name}, {means[name]:.1f}"
    if name != TRAINING:
        ours += f", and that of {TRAINING} {means[TRAINING]:.1f}"
    return statement("Figure 4.1", quoted, ours, verdict_of(name in {f"{seen} print", f"{seen} rendered print"}))


def _gained(gain: Interval, loss: str, name: str, other: str) -> str:
    return f"the AUROC of {loss}, {name} minus {other}, is {shown_interval(gain, 1, 3)}"
