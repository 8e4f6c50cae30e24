"""Which samples have quality flags that forbid nothing, and the error rates without those that are unfamiliar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_sdk.errors import ScoreError
from edge_sdk.export.evaluation.verification.comparers import Comparer, VerificationProtocol
from edge_sdk.export.evaluation.verification.measurements import Measurement, measure
from edge_sdk.export.evaluation.verification.samples import EmbeddedSamples
from edge_sdk.manifest import UNFAMILIAR


@dataclass(frozen=True)
class FlaggedSamples:
    """How many of the usable samples of one data set and class have each flag.

    A flag that depends on how a class was recorded shows in the difference of its shares.
    """

    data: str
    genuine: bool
    samples: int
    flags: Mapping[str, int]


def flagged(embedded: EmbeddedSamples, names: Sequence[str]) -> tuple[FlaggedSamples, ...]:
    """Count them; classes without samples are left out."""
    found = []
    for name in names:
        part = embedded.of(name)
        for genuine in (True, False):
            each = {
                one.path: flags for one, flags in zip(part.samples, part.flags, strict=True) if one.genuine is genuine
            }
            if each:
                counts = Counter(flag for flags in each.values() for flag in flags)
                found.append(FlaggedSamples(name, genuine, len(each), dict(sorted(counts.items()))))
    return tuple(found)


def without_unfamiliar(
    embedded: EmbeddedSamples,
    names: Sequence[str],
    comparer: Comparer,
    protocols: Sequence[VerificationProtocol],
    *,
    replicates: int,
    seed: int,
) -> tuple[Measurement, ...]:
    """Measure the familiar samples alone, with as many references as in the first protocol.

    Data sets without others are left out, and so are those that are too few without them.
    """
    found = []
    for compared in protocols:
        for part, name in ((embedded.of(name), name) for name in names):
            familiar = [k for k, flags in enumerate(part.flags) if UNFAMILIAR not in flags]
            if compared.references != protocols[0].references or len(familiar) == len(part.samples):
                continue
            try:
                scores = comparer.scored(part.rows(familiar), compared, seed).scores
                found.append(measure(scores, name, *compared, replicates=replicates, seed=seed))
            except ScoreError:
                continue
    return tuple(found)
