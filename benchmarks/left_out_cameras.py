"""How liveness carries over: experts that never saw a camera, tested on that camera.

    python benchmarks/left_out_cameras.py --data SPEC... --split FILE --cameras NAME... --train spoof_lbp:varied
        [--run runs/lite] [--steps N] [--folds 3] [--abstain SHARE] --out DIR

A camera is a data set (``lfw``), a day of its recordings (``nuaa day 01``) or a kind of rendering camera (``webcam``).
For each, ``--train`` trains its recipes anew without any picture by it, below ``--out``, where finished trainings are
taken up again; a run of ``--run`` is taken as it is, and must have left the camera out. The fusion (``lowest``) is
fitted on validation people, the threshold on the thresholds people, for an APCER of 5 %, both without the camera.
Tested are the split's test people before it; where they are fewer than 30, all people who have both live pictures and
attacks by it, dealt to ``--folds`` trainings that each leave its own part out; of the rest one validates, one is
for the threshold and the others train.

``--abstain`` gives each expert its domain, as in ``edge-sdk export``. Pictures that all abstain from are counted, and
take no part in the rates.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.calibration.metrics.presentation_attack import AttackScores, bootstrap, threshold_at_apcer
from edge_sdk.calibration.thresholds import rate
from edge_sdk.export import recipes
from edge_sdk.export.data.cache import expanded, prepared
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.sampling import cameras_of, kept
from edge_sdk.export.data.splits import Split
from edge_sdk.export.packaging.domains import learned
from edge_sdk.export.packaging.fusion import fit
from edge_sdk.export.training import checkpoint
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture
from edge_sdk.tables import Table

APCER = 0.05
FEW = 30
"""Test people, below which all people of a camera are tested."""


@dataclass(frozen=True)
class FittedExpert:
    """A run with the odds of "live" that it gives, and what it knows."""

    run: FinishedRun
    weight: float
    bias: float
    density: GaussianMixture | None
    least: float

    def odds(self, samples: Sequence[Sample]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """``(N,)`` each: odds, and whether the sample is known."""
        logits, looks = outputs(self.run, samples)
        known = np.ones(len(samples), np.bool_)
        if self.density is not None:
            known = self.density.log_likelihood(looks) >= self.least
        return self.weight * logits + self.bias, known


@torch.no_grad()
def outputs(run: FinishedRun, samples: Sequence[Sample]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits ``(N,)``, and looks ``(N, K)`` where the network has them."""
    pictures = prepared(samples, run.preset.preprocessing)
    network = run.network.eval()
    logits: list[NDArray[np.float64]] = []
    looks: list[NDArray[np.float64]] = []
    for start in range(0, len(pictures), 64):
        made = network(torch.from_numpy(expanded(pictures[start : start + 64])))
        logit, *look = made if isinstance(made, tuple) else (made,)
        logits.append(logit[:, 0].double().numpy())
        looks.extend(one.double().numpy() for one in look)
    return np.concatenate(logits), np.concatenate(looks) if looks else np.zeros((len(samples), 0))


def trained(name: str, camera: str, data: Dataset, split: Split, *, folder: Path, steps: int | None) -> FinishedRun:
    """``RECIPE:PRESET`` trained without a camera, or taken up again."""
    recipe_name, _, preset_name = name.partition(":")
    recipe = recipes.get(recipe_name)
    preset = recipe.preset(preset_name)
    without = tuple(dict.fromkeys((*preset.objective.without, camera)))
    preset = replace(preset, objective=replace(preset.objective, without=without))  # type: ignore[type-var]
    recipe = replace(recipe, presets={preset_name: preset})
    run = TrainingRun(recipe, preset_name, folder, data.select(split.train), data.select(split.validation), steps=steps)
    result = train(run, quiet=True)
    network = recipe.network(**preset.network)
    checkpoint.load_network(result.checkpoint, network)
    return FinishedRun(recipe, preset_name, network, data, split, seed=0, steps=result.steps)


def fitted(run: FinishedRun, camera: str, abstain: float | None) -> FittedExpert:
    """The odds, and the domain, of what validation people have without a camera."""
    density, least = None, -np.inf
    if abstain is not None:
        expert = learned(run, abstain)
        density, least = expert.density, expert.domain.least
    objective = run.preset.objective
    validation = run.people("validation").samples
    known = kept(validation, objective.attacks, (*objective.without, camera))
    samples = [sample for sample, one in zip(validation, known, strict=True) if one]
    logits, _ = outputs(run, samples)
    (weight,), bias = fit(logits[:, None], [sample.genuine for sample in samples])
    return FittedExpert(run, float(weight), bias, density, least)


def fused(experts: Sequence[FittedExpert], samples: Sequence[Sample]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The lowest of the odds of experts that know a sample, ``(N,)``, and whether none does."""
    odds, known = (np.stack(column, axis=1) for column in zip(*(one.odds(samples) for one in experts), strict=True))
    nobody = np.asarray(~known.any(axis=1), np.bool_)
    return np.where(known | nobody[:, None], odds, np.inf).min(axis=1), nobody


def tested(data: Dataset, split: Split, camera: str, folds: int) -> Iterator[tuple[Split, list[str]]]:
    """Splits for training, each with the people to test."""
    before = [sample for sample in data.samples if camera in cameras_of(sample)]
    both = {s.subject for s in before if s.genuine} & {s.subject for s in before if not s.genuine}
    people = sorted(both.intersection(split.test))
    if len(people) >= FEW:
        yield split, people
        return
    for part in range(folds):
        people = sorted(both)[part::folds]
        one, two, *rest = (subject for subject in sorted(both) if subject not in people)
        roles = {role: [s for s in getattr(split, role) if s not in both] for role in Split.__struct_fields__}
        for role, known in (("validation", [one]), ("thresholds", [two]), ("train", rest)):
            roles[role] += known
        yield Split(**{role: tuple(subjects) for role, subjects in roles.items()}), people


def line(camera: str, arguments: argparse.Namespace, data: Dataset, split: Split) -> tuple[str, ...]:
    """The row of one camera."""
    found: list[tuple[Sample, float, bool, bool]] = []
    for number, (drawn, people) in enumerate(tested(data, split, camera, arguments.folds)):
        runs = []
        for path in arguments.run:
            run = FinishedRun.read(path)
            if not {camera, camera.partition(" ")[0]}.intersection(run.preset.objective.without):
                raise SystemExit(f"{path} has seen {camera}")
            runs.append(run)
        for name in arguments.train:
            folder = arguments.out / "-".join([name.replace(":", "-"), *camera.split(), str(number)])
            runs.append(trained(name, camera, data, drawn, folder=folder, steps=arguments.steps))
        experts = [fitted(run, camera, arguments.abstain) for run in runs]
        others = [s for s in data.select(drawn.thresholds).samples if camera not in cameras_of(s)]
        scores, nobody = fused(experts, others)
        species = [None if s.genuine else s.attack or "attack" for s in others]
        threshold = threshold_at_apcer(AttackScores(scores, species, [s.subject for s in others]), APCER)
        judged = [s for s in data.select(people).samples if camera in cameras_of(s)]
        scores, nobody = fused(experts, judged)
        found += zip(
            judged, (scores - threshold).tolist(), (scores >= threshold).tolist(), nobody.tolist(), strict=True
        )
    silent = np.array([nobody for *_, nobody in found])
    spoken = [one for one in found if not one[3]]
    samples = [sample for sample, *_ in spoken]
    margins, passed = np.array([one[1] for one in spoken]), np.array([one[2] for one in spoken])
    live, shown = np.array([s.genuine for s in samples]), np.array([s.subject for s in samples])
    attack = AttackScores(margins, [None if s.genuine else s.attack or "attack" for s in samples], shown)
    (auroc,) = bootstrap(attack, [lambda curves: curves.pooled.auroc()])
    apcer, bpcer = rate(passed[~live], shown[~live]), rate(~passed[live], shown[live])
    return (
        camera,
        str(len(set(shown.tolist()))),
        f"{auroc.value:.3f} [{auroc.low:.3f}, {auroc.high:.3f}]",
        f"{apcer.value:.3f} [{apcer.low:.3f}, {apcer.high:.3f}]",
        f"{bpcer.value:.3f} [{bpcer.low:.3f}, {bpcer.high:.3f}]",
        f"{silent.mean():.3f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="SPEC")
    parser.add_argument("--split", type=Path, required=True, metavar="FILE")
    parser.add_argument("--cameras", nargs="+", required=True, metavar="NAME")
    parser.add_argument("--train", nargs="*", default=[], metavar="RECIPE:PRESET")
    parser.add_argument("--run", nargs="*", type=Path, default=[], metavar="RUN")
    parser.add_argument("--steps", type=int, metavar="N", help="of each training, instead of the preset's")
    parser.add_argument("--folds", type=int, default=3, metavar="N")
    parser.add_argument("--abstain", type=float, metavar="SHARE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    data, split = load(*arguments.data), Split.read(arguments.split)
    data = data.select(split.everybody)
    rows = []
    for camera in arguments.cameras:
        rows.append(line(camera, arguments, data, split))
        print(" | ".join(rows[-1]), flush=True)
    header = ("camera left out", "people", "AUROC", "APCER", "BPCER", "nobody knows")
    print(Table(header, rows, text=("camera left out",)).markdown())


if __name__ == "__main__":
    main()
