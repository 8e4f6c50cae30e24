"""The losses of pictures under a variational autoencoder, and how they tell live faces from attacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edge_sdk.calibration.metrics import presentation_attack
from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.calibration.metrics.resampling import Interval, bootstrap, bootstrap_difference
from edge_sdk.calibration.metrics.verification import Curves, Floats
from edge_sdk.export.recipes import Preset
from edge_sdk.export.reproduction.thesis.experiments import Experiment, ThesisPictures
from edge_sdk.export.reproduction.thesis.networks import ThesisNetwork, measure

KL, REC, ELBO = "L_KL", "L_rec", "L_ELBO"
LOW_RECALL = 0.1
"""Where figure 4.2's "small threshold values" are looked at."""


@dataclass(frozen=True, eq=False)
class VariationalLosses:
    """The losses of the tested pictures under one network.

    Attributes:
        losses: :data:`KL`, :data:`REC` and :data:`ELBO`, ``(N,)`` each.
        latents: ``(N, D)``.
    """

    experiment: Experiment
    preset: Preset
    pictures: ThesisPictures
    losses: Mapping[str, Floats]
    latents: Floats

    @classmethod
    def of(
        cls, experiment: Experiment, trained: ThesisNetwork, pictures: ThesisPictures, out: Path
    ) -> VariationalLosses:
        """Measure them; the reconstruction's is what is left of the sum of both."""
        found = measure(trained, pictures, ("kl", "elbo"), out)
        kl, elbo = found.losses["kl"], found.losses["elbo"]
        return cls(experiment, trained.preset, pictures, {KL: kl, REC: elbo - kl, ELBO: elbo}, found.latents)

    def mean(self, loss: str, subset: str) -> float:
        return float(self._of(loss, subset).mean())

    def deviation(self, loss: str, subset: str) -> float:
        return float(self._of(loss, subset).std())

    def auroc(self, loss: str, *, new: bool = False) -> Interval:
        """Of all tested pictures, or of those of new people, with a 95 % interval by bootstrap over people."""
        return bootstrap(self._scores(loss, new=new).presented, Curves.auroc)

    def gain(self, other: VariationalLosses, loss: str) -> Interval:
        """AUROC of all tested pictures, minus that under another network."""
        first, second = self._scores(loss).presented, other._scores(loss).presented
        return bootstrap_difference(first, second, Curves.auroc)

    def precision(self, loss: str) -> float:
        """Of finding attacks among all tested pictures, at the least recall of :data:`LOW_RECALL` or more."""
        curve = presentation_attack.precision_recall(self._scores(loss))
        return float(curve.precision[np.searchsorted(curve.recall, LOW_RECALL)])

    @property
    def curves(self) -> dict[str, dict[str, AttackScores]]:
        """Of figure 4.2: each loss, of all tested pictures and of those of new people."""
        return {
            title: {loss: self._scores(loss, new=new) for loss in self.losses}
            for title, new in (("all pictures, as in the thesis", False), ("people not learned from", True))
        }

    @property
    def facts(self) -> dict[str, object]:
        """For a table's JSON file."""
        losses = {
            loss: {
                "mean": {name: self.mean(loss, name) for name in self.pictures.names},
                "deviation": {name: self.deviation(loss, name) for name in self.pictures.names},
                "auroc": msgspec.to_builtins(self.auroc(loss)),
                "auroc_new_people": msgspec.to_builtins(self.auroc(loss, new=True)),
                "precision_at_low_recall": self.precision(loss),
            }
            for loss in self.losses
        }
        return {"steps": self.preset.steps, "losses": losses}

    def _of(self, loss: str, subset: str) -> Floats:
        return self.losses[loss][self.pictures.subsets == subset]

    def _scores(self, loss: str, *, new: bool = False) -> AttackScores:
        return self.pictures.scores(self.losses[loss], self.pictures.new if new else None)
