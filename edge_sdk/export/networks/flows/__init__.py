"""Normalising flows of vectors: MAF, Real NVP and Glow, as document 000 compares them with mixtures of Gaussians.

Five blocks each, after the code that the document cites (Kostrikov 2018). It gives no width for features like ours:
128 hidden units are twice the most features, so that each value of a MAF has two units of its degree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from edge_sdk.errors import UsageError
from edge_sdk.export.networks.flows.affine import ActNorm, LULinear, Permutation, VolumeBatchNorm
from edge_sdk.export.networks.flows.autoregressive import Autoregressive
from edge_sdk.export.networks.flows.coupling import Coupling
from edge_sdk.export.networks.flows.graph import OUTPUTS, DensityGraph
from edge_sdk.export.networks.flows.transform import Flow, Transform

__all__ = ["BLOCKS", "FLOWS", "HIDDEN", "OUTPUTS", "DensityGraph", "Flow", "build_flow"]

BLOCKS = 5
HIDDEN = 128


def build_flow(kind: str, features: int, *, hidden: int = HIDDEN, blocks: int = BLOCKS, seed: int = 0) -> Flow:
    """A flow of a kind of :data:`FLOWS` over rows of ``features`` values, with random weights.

    Raises:
        UsageError: There is no such kind, or fewer than 2 features.
    """
    if kind not in FLOWS:
        raise UsageError(f'no flow "{kind}"; choose from {", ".join(FLOWS)}')
    if features < 2:
        raise UsageError(f"a flow is over 2 features or more, not {features}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Flow(features, FLOWS[kind](features, hidden, blocks))


def _maf(features: int, hidden: int, blocks: int) -> list[Transform]:
    """MADE, batch norm, reversal (Papamakarios et al. 2017)."""
    parts: list[Transform] = []
    for _ in range(blocks):
        backwards = Permutation(torch.arange(features).flip(0))
        parts += [Autoregressive(features, hidden), VolumeBatchNorm(features), backwards]
    return parts


def _realnvp(features: int, hidden: int, blocks: int) -> list[Transform]:
    """Coupling, batch norm (Dinh et al. 2016). Every other value changes: they are brought together beforehand."""
    order = torch.arange(features)
    parts: list[Transform] = [Permutation(torch.cat([order[1::2], order[0::2]]))]
    for block in range(blocks):
        parts += [Coupling(features, hidden, first=block % 2 == 1), VolumeBatchNorm(features)]
    return parts


def _glow(features: int, hidden: int, blocks: int) -> list[Transform]:
    """ActNorm, LU-parametrised mixing, coupling (Kingma and Dhariwal 2018).

    The cited code changes the same half in every block; here it alternates.
    """
    parts: list[Transform] = []
    for block in range(blocks):
        parts += [ActNorm(features), LULinear(features), Coupling(features, hidden, first=block % 2 == 1)]
    return parts


FLOWS: Mapping[str, Callable[[int, int, int], list[Transform]]] = {"maf": _maf, "realnvp": _realnvp, "glow": _glow}
"""The kinds of flows."""
