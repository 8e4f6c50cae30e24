"""Gait: the temporal networks of the paper (document 000), whose features a density models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from edge_sdk import preprocess
from edge_sdk.errors import UsageError
from edge_sdk.export.data.gait.augmentation import CycleAugmentation
from edge_sdk.export.data.gait.derived import DerivedWalkers
from edge_sdk.export.losses.people import PeopleClassification
from edge_sdk.export.networks.likelihood import LikelihoodSettings
from edge_sdk.export.networks.people_classifier import FEATURES, PeopleClassifier
from edge_sdk.export.networks.temporal import FeedForward, Recurrent, TemporalConvolutions
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.manifest import LogLikelihoodRatio

KINDS: Mapping[str, Callable[..., TemporalConvolutions | FeedForward | Recurrent]] = {
    "cnn": TemporalConvolutions,
    "mlp": FeedForward,
    "rnn": Recurrent,
}
PEOPLE = 1000
"""The paper's."""


def network(*, kind: str = "cnn", width: float = 1.0, people: int = PEOPLE, **options: float) -> PeopleClassifier:
    """A row of table 1, with its classifier.

    Args:
        kind: A key of :data:`KINDS`.
        width: Share of the channels and cells.
        people: The most that it can learn to tell apart.
        options: Of this kind of network.
    """
    if kind not in KINDS:
        raise UsageError(f'no kind of network "{kind}"; choose from {", ".join(KINDS)}')
    features = KINDS[kind](width=width, **options)
    return PeopleClassifier(features, features.size, people=people)


def tiny(*, kind: str = "cnn", width: float = 1.0, **options: float) -> PeopleClassifier:
    """About 17,000 parameters, at a ``width`` of 1."""
    return network(kind=kind, width=width / 16, people=256, **options)


# Section 5.1: Adam, batch 1,024, cosine annealing with restarts. Rate and period are not given: the rate is Keras'
# default, the periods are 10, 20, 40, 80 and 160 steps.
PAPER = Preset(
    preprocessing=(preprocess.GaitCycles(),),
    objective=PeopleClassification(rows=1024),
    steps=310,
    learning_rate=1e-3,
    optimizer="adam",
    schedule="warm_restarts",
    period=10,
    period_growth=2,
    keep="last",
    validate_every=155,
)

# Two dozen people are few to tell apart, so that four are made of each.
BEST = Preset(
    preprocessing=(preprocess.GaitCycles(axes="gravity"),),
    objective=PeopleClassification(rows=256, smoothing=0.1),
    network={"dropout": 0.3},
    augmentation=CycleAugmentation(shift=0.5),
    derived=DerivedWalkers(),
    steps=1000,
    learning_rate=2e-3,
    weight_decay=1e-2,
    schedule="one_cycle",
    keep="last",
    validate_every=250,
)

RECIPE = Recipe(
    name="gait",
    task="verify",
    modality="gait",
    network=network,
    tiny=tiny,
    score=LogLikelihoodRatio(
        output=FEATURES,
        background="background.npy",
        prior="prior.npy",
        relevance=4.0,
        clip=20.0,
        adapts="means",
        normalised=True,
    ),
    likelihood=LikelihoodSettings(),
    presets={
        "best": BEST,
        "paper": PAPER,
        "mlp": replace(PAPER, network={"kind": "mlp"}),
        # oneDNN has no LSTM in bfloat16 for processors whose widest vectors are AVX2.
        "rnn": replace(PAPER, network={"kind": "rnn"}, precision="32-true"),
    },
)
