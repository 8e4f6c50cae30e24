"""Several liveness runs as one model: their networks side by side on one picture, and one score made of theirs.

Or several scores of one run, made into one by the same rules.

By ``sum`` it is the weighted sum, for networks that judge the same attacks by different means. The weights are fitted
to the float scores of the validation people, live against attack: logistic regression on the standardised scores, so
that the sum is the logarithm of the odds of "live" where both are as frequent. No weight is below 0, for all scores are
oriented before anything is measured; one that says nothing beside the others gets 0.

By ``lowest`` it is the lowest of such odds, each score's by itself and against no attacks but those of the kind that
its network was shown: a picture is an attack if any of the experts says so, and what the others were never shown need
not be outweighed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from edge_sdk import preprocess
from edge_sdk.errors import UsageError
from edge_sdk.export.data.sampling import kept, named
from edge_sdk.export.evaluation.spoof.artifacts import SpoofEvaluator
from edge_sdk.export.formats.artifacts import REFERENCE
from edge_sdk.export.formats.float_onnx import INPUT
from edge_sdk.export.networks.network import Network
from edge_sdk.export.packaging.domains import DENSITY, learned
from edge_sdk.export.recipes import Recipe
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.manifest import Domain, Fusion, Lowest
from edge_sdk.scoring.base import Score

Rule = Literal["sum", "lowest"]


@dataclass(frozen=True)
class FusedRuns(FinishedRun):
    """What :func:`read` makes of several; what is said of a training is said of all of theirs."""

    parts: tuple[FinishedRun, ...] = ()

    @property
    def data_names(self) -> tuple[str, ...]:
        return tuple(sorted({name for part in self.parts for name in part.data_names}))

    @property
    def teachers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(teacher for part in self.parts for teacher in part.teachers))

    @property
    def own_data(self) -> frozenset[str]:
        return frozenset[str]().union(*(part.own_data for part in self.parts))

    @property
    def quantisation_aware(self) -> int:
        return sum(part.quantisation_aware for part in self.parts)


class SideBySide(Network):
    """Gives the outputs of all parts for one picture.

    Args:
        order: Of the parts' outputs, numbered part by part.
    """

    def __init__(self, parts: Sequence[nn.Module], order: Sequence[int]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._order = tuple(order)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        made = [part(x) for part in self.parts]
        outputs = [tensor for one in made for tensor in (one if isinstance(one, tuple) else (one,))]
        return tuple(outputs[number] for number in self._order)


def read(
    runs: Sequence[Path],
    rule: Rule = "sum",
    scores: Sequence[str] = (),
    *,
    latents: bool = False,
    abstain: float | None = None,
) -> FinishedRun:
    """Read what a bundle is made of: a run, or several of different liveness recipes and the same people as one.

    Args:
        rule: How several scores become one.
        scores: Of the one run, by their names in its recipe, instead of the recipe's own; several are fused.
        latents: Whether the bundle gives the latents of the one run, for people who look at them.
        abstain: Share of the pictures like its training that each of several runs abstains from, and so from all that
            are less like it; None for runs that never do. By the rule ``lowest`` alone.

    Raises:
        TrainingError, DatasetError: A run is incomplete, or its people lack live pictures or attacks.
        UsageError: No such score, one twice, or no latents; or runs that cannot be one: other people or
            pre-processing, one recipe twice, or no liveness. None of the scores is higher for live pictures, or an
            expert's attacks are missing.
        ScoreError: The people are too few for a score's density.
    """
    if abstain is not None and (rule != "lowest" or len(runs) < 2):
        raise UsageError("experts abstain where the lowest of several runs' scores decides: give several, and lowest")
    if len(runs) > 1:
        if scores or latents:
            raise UsageError("another score, or latents, are those of one run, not of several that are fused")
        return _side_by_side(tuple(map(FinishedRun.read, runs)), rule, abstain)
    trained = FinishedRun.read(runs[0])
    if scores:
        trained = _rescored(trained, scores, rule)
    return replace(trained, recipe=trained.recipe.showing_latents()) if latents else trained


def _side_by_side(parts: Sequence[FinishedRun], rule: Rule, abstain: float | None) -> FusedRuns:
    _require_alike(parts)
    experts = [] if abstain is None else [learned(part, abstain) for part in parts]
    parts = [expert.run for expert in experts] or parts
    first, name = parts[0], "-".join(part.recipe.name for part in parts)
    preset = "-".join(dict.fromkeys(part.preset_name for part in parts))
    score = _fused(parts, [_renamed(part, member) for part in parts for member in part.recipe.score.members], rule)
    densities = {}
    if isinstance(score, Lowest):
        score = msgspec.structs.replace(score, domains=tuple(_renamed(one.run, one.domain) for one in experts))
        densities = {_prefix(one.run) + DENSITY: one.density for one in experts}
    given = [_prefix(part) + output for part in parts for output in part.recipe.outputs]
    network = SideBySide(
        [part.recipe.inference_model(part.network) for part in parts], [given.index(name) for name in score.outputs]
    )
    recipe = Recipe(
        name=name,
        task=first.recipe.task,
        modality=first.recipe.modality,
        network=lambda: network,
        tiny=lambda: network,
        score=score,
        presets={preset: first.preset},
        budget=min(part.recipe.budget for part in parts),
        attack_budget=min(part.recipe.attack_budget for part in parts),
        face=first.recipe.face,
    )
    kept = {field.name: getattr(first, field.name) for field in fields(FinishedRun)}
    changed = {"recipe": recipe, "preset_name": preset, "network": network, "steps": sum(part.steps for part in parts)}
    changed |= {"densities": densities}
    return FusedRuns(**kept | changed, parts=tuple(parts))


def _rescored(trained: FinishedRun, names: Sequence[str], rule: Rule) -> FinishedRun:
    if len(set(names)) < len(names):
        raise UsageError(f"each score is fused once, not {', '.join(names)}")
    chosen: list[Any] = [trained.recipe.named_score(name) for name in names]
    if len(chosen) == 1:
        return trained.scored_by(chosen[0])
    unfitted = Fusion(members=tuple(chosen), weights=(1.0,) * len(chosen))
    return trained.scored_by(_fused([trained.scored_by(unfitted)], chosen, rule))


def fit(scores: NDArray[np.float64], live: ArrayLike) -> tuple[NDArray[np.float64], float]:
    """Weights and bias of the sum that is the logarithm of the odds of "live".

    With z the standardised scores, y 1 for live and -1 for attacks, and c the shares that make both classes count
    alike, minimises ``sum_i c_i log(1 + exp(-y_i (b + w . z_i))) + |w|^2 / 2``. Without the last term separable scores
    would have no best weights. Scores are left out, the most negative weight first, until no weight is negative.

    Args:
        scores: ``(N, K)``, a score a column, higher = more live.
        live: ``(N,)`` booleans, of both kinds.

    Returns:
        ``(K,)`` weights of the scores as they are, and the bias.

    Raises:
        UsageError: No score is higher for live pictures: there is nothing to fuse.
    """
    mean, spread = scores.mean(axis=0), scores.std(axis=0)
    kept = np.flatnonzero(spread)
    while kept.size:
        model = LogisticRegression(class_weight="balanced", tol=1e-8, max_iter=1000)
        model.fit((scores[:, kept] - mean[kept]) / spread[kept], np.asarray(live, np.bool_))
        if (model.coef_ >= 0).all():
            weights = np.zeros(scores.shape[1])
            weights[kept] = model.coef_[0] / spread[kept]
            return weights, float(model.intercept_[0] - weights @ mean)
        kept = np.delete(kept, model.coef_[0].argmin())
    raise UsageError("no score to fuse is higher for the live pictures of the validation people")


def _fused(parts: Sequence[FinishedRun], members: Sequence[Any], rule: Rule) -> Fusion | Lowest:
    """One score of all scores of the parts.

    Args:
        members: These scores, in their order, as the model will name what they are computed from.
    """
    return _lowest(parts, members) if rule == "lowest" else _sum(parts, members)


def _lowest(parts: Sequence[FinishedRun], members: Sequence[Any]) -> Lowest:
    weights, biases = [], []
    for part in parts:
        samples, objective = part.people("validation").samples, part.preset.objective
        known = kept(samples, objective.attacks, objective.without)
        live = np.array([sample.genuine for sample in samples], np.bool_)
        if live[known].all():
            missing = named(objective.attacks)
            raise UsageError(
                f"{part.recipe.name}'s odds are unknown: there are no {missing} among the validation people"
            )
        for scores in _validation_scores(part, [member.in_log_odds() for member in part.recipe.score.members]):
            (weight,), bias = fit(scores[known, None], live[known])
            weights.append(float(weight))
            biases.append(bias)
    fused = tuple(member.in_log_odds() for member in members)
    return Lowest(members=fused, weights=tuple(weights), biases=tuple(biases))


def _sum(parts: Sequence[FinishedRun], members: Sequence[Any]) -> Fusion:
    columns = [scores for part in parts for scores in _validation_scores(part, part.recipe.score.members)]
    live = [sample.genuine for sample in parts[0].people("validation").samples]
    weights, bias = fit(np.stack(columns, axis=1), live)
    return Fusion(members=tuple(members), weights=tuple(weights.tolist()), bias=bias)


def _validation_scores(part: FinishedRun, scored: Sequence[Any]) -> Iterator[NDArray[np.float64]]:
    """``(N,)`` of the validation people by each score of a run, on its float graph."""
    graphs = part.graphs()
    for member in scored:
        yield SpoofEvaluator(part, graphs, member).scores(REFERENCE, graphs.onnx, "validation").presented.scores


def _prefix(part: FinishedRun) -> str:
    """What stands before the names of a part's outputs and files."""
    return f"{part.recipe.name}."


def _renamed(part: FinishedRun, member: Score | Domain) -> Any:
    """The same score of the outputs, and the density, that have the recipe's name in front; the picture is shared."""
    prefix = _prefix(part)
    return member.renamed(
        lambda tensor: tensor if tensor == INPUT else f"{prefix}{tensor}", lambda path: f"{prefix}{path}"
    )


def _require_alike(parts: Sequence[FinishedRun]) -> None:
    for part in parts:
        if part.recipe.task != "spoof":
            raise UsageError(f"{part.recipe.name} does not tell live faces from attacks; only such runs are fused")
    names = [part.recipe.name for part in parts]
    if len(set(names)) < len(names):
        raise UsageError(f"runs of different recipes are fused, not {', '.join(names)}")
    first, *others = parts
    for part in others:
        for what, same in (
            ("people by use: train them with the same --split", part.split == first.split),
            ("data", part.data == first.data),
            (
                "pre-processing",
                preprocess.digest(part.preset.preprocessing) == preprocess.digest(first.preset.preprocessing),
            ),
            ("crop of a face", part.recipe.face == first.recipe.face),
        ):
            if not same:
                raise UsageError(
                    f"{first.recipe.name} and {part.recipe.name} cannot be fused; they differ in their {what}"
                )
