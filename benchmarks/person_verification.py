"""Train and test rows of document 004's table with all pictures on one GPU, in minutes.

    python benchmarks/person_verification.py cfp:PATH --out DIR [--weights FILE] [--rows NAME ...] [--seconds 60]

Networks, pairs, losses, optimiser and rate are those of the presets; flips and rotations are drawn on the device, and a
GPU computes in bfloat16. Each row trains for its epochs or for --seconds, whichever ends first; the steps that it took
are noted. Results go to DIR/measured as ``edge-sdk reproduce`` writes them, which then prints the table:

    edge-sdk reproduce person_verification --out DIR

Give --weights, a state dict of torchvision or timm, for the rows that the document calls pretrained, and none for the
others. --rows: presets of ``person_verification`` and ``person_embedding``; default: those of MobileNetV2.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.export import recipes
from edge_sdk.export.data.cache import prepared
from edge_sdk.export.data.pair_lists import PairList, load_pairs
from edge_sdk.export.losses.pair_tasks import probabilities
from edge_sdk.export.losses.pairs import PairCosine, PairDecision
from edge_sdk.export.networks.network import Network
from edge_sdk.export.networks.pretrained import load_pretrained
from edge_sdk.export.recipes.person_verification import INPUT, OURS, ROWS, TRAINED, Row
from edge_sdk.export.reproduction.person_verification import FOLDS, MeasuredRow
from edge_sdk.export.training.optimization import build_optimizer

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DEGREES = 20


@dataclass(frozen=True)
class Data:
    """Every picture of the pairs on the device, ``uint8 (N, 3, 224, 224)``."""

    pairs: PairList
    images: torch.Tensor

    @classmethod
    def read(cls, pairs: PairList) -> Data:
        """Prepare the pictures, unless that is done, and take them to the device."""
        return cls(pairs, torch.from_numpy(prepared(pairs.data.samples, INPUT)).to(DEVICE))

    def of(self, part: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The pairs of some folds: both pictures of each, and whether they are of one person."""
        chosen = np.isin(self.pairs.folds, FOLDS[part])
        parts = (self.pairs.first[chosen], self.pairs.second[chosen], self.pairs.mated[chosen])
        first, second, mated = (torch.from_numpy(array).to(DEVICE) for array in parts)
        return first, second, mated

    def batch(self, places: torch.Tensor) -> torch.Tensor:
        """Some of the pictures in [0, 1]."""
        return (self.images[places].float() / 255).contiguous(memory_format=torch.channels_last)


def changed(images: torch.Tensor) -> torch.Tensor:
    """Half of them mirrored, each turned by up to :data:`DEGREES` about its middle, bilinear, black outside."""
    angle = torch.empty(len(images), device=DEVICE).uniform_(-DEGREES, DEGREES) * math.pi / 180
    side = torch.randint(0, 2, (len(images),), device=DEVICE) * 2 - 1
    rows = [[angle.cos() * side, -angle.sin()], [angle.sin() * side, angle.cos()]]
    turn = torch.stack([torch.stack([*row, torch.zeros_like(angle)], dim=1) for row in rows], dim=1)
    grid = functional.affine_grid(turn, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False).contiguous(memory_format=torch.channels_last)


def autocast() -> torch.autocast:
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda")


@torch.no_grad()
def scored(row: Row, network: Network, data: Data, part: str) -> tuple[ScoreSet, float]:
    """The scores of a part's pairs, and their loss where embeddings are compared (else 0)."""
    network.eval()
    first, second, mated = data.of(part)
    used, place = torch.unique(torch.cat([first, second]), return_inverse=True)
    made = []
    for places in used.split(256):
        with autocast():
            made.append(network(data.batch(places)).float())
    templates, (a, b) = torch.cat(made), place.split(len(first))
    flags = mated.cpu().numpy()
    if row.loss == "cosine":
        both = torch.stack([templates[a], templates[b]], dim=1)
        objective = row.preset.objective
        assert isinstance(objective, (PairDecision, PairCosine))
        loss = float(objective.loss(both.flatten(0, 1), mated))
        return ScoreSet(both.prod(dim=1).sum(dim=1).double().cpu().numpy(), flags, a.cpu().numpy()), loss
    part_of = data.pairs.of(FOLDS[part]).comparisons
    made_here = templates.cpu().numpy()
    scores = probabilities(network, made_here, type(part_of)(a.cpu().numpy()[:, None], b.cpu().numpy(), flags))
    return ScoreSet(scores, flags, a.cpu().numpy()), 0.0


def trained(row: Row, data: Data, weights: Path | None, seconds: float) -> MeasuredRow:
    """Train a row, keep the epoch that validation chooses, and test that."""
    torch.manual_seed(0)
    preset, objective = row.preset, row.preset.objective
    assert isinstance(objective, (PairDecision, PairCosine))
    network = recipes.get(row.recipe).network(**preset.network)
    if weights:
        load_pretrained(network, weights)
    network.to(DEVICE).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_optimizer(preset, [one for one in network.parameters() if one.requires_grad])
    for group in optimizer.param_groups:
        group["lr"] = row.rate
    first, second, mated = data.of("train")
    started, epoch, best, kept = time.monotonic(), 0, -math.inf, None
    while epoch < row.epochs and (kept is None or time.monotonic() - started < seconds * epoch / (epoch + 1)):
        network.train()
        for places in torch.randperm(len(first), device=DEVICE).split(row.pairs):  # type: ignore[no-untyped-call]
            images = data.batch(torch.stack([first[places], second[places]], dim=1).flatten())
            with autocast():
                made = network(changed(images) if row.augmented else images)
            torch.autograd.backward([objective.loss(made, mated[places])])
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        epoch += 1
        validation, loss = scored(row, network, data, "validation")
        accuracy = float(np.mean((validation.scores >= 0.5) == validation.mated))
        rank = -loss if row.loss == "cosine" else accuracy
        if rank > best:
            best, kept = rank, (epoch, validation, scored(row, network, data, "test")[0])
        print(
            f"{row.name}: epoch {epoch}, {'loss' if row.loss == 'cosine' else 'accuracy'} {abs(rank):.4f}", flush=True
        )
    assert kept
    steps = TRAINED // row.pairs
    return MeasuredRow.of(
        row, pretrained=bool(weights), steps=epoch * steps, best_step=kept[0] * steps, validation=kept[1], test=kept[2]
    )


def main() -> None:
    """Train the rows in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="cfp:PATH")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--rows", nargs="+", default=[row.name for row in OURS])
    parser.add_argument("--seconds", type=float, default=math.inf, help="of a row at most; default: all of its epochs")
    arguments = parser.parse_args()
    rows = {row.name: row for row in (*ROWS, *OURS)}
    data = Data.read(load_pairs("cfp-pooled:" + arguments.data.removeprefix("cfp:")))
    for name in arguments.rows:
        found = trained(rows[name], data, arguments.weights, arguments.seconds)
        found.write(arguments.out)
        print(found, flush=True)


if __name__ == "__main__":
    main()
