"""The thresholds of a bundle fitted again on a user's own people, each variant's by the engine that serves it.

The models stay the same bytes, and so do pre-processing and embedding space: templates stay valid. All operating points
are replaced, for a bundle whose variants decide by thresholds of different people keeps no stated error rate. A rule
for streams goes, too, whose margin was tuned about the old ones (``edge-sdk rule`` tunes one again). A variant
that cannot be measured here is therefore never written with its old thresholds: either nothing is written, or the
variant is left out of the copy.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edge_sdk._version import __version__
from edge_sdk.bundle import SHIPPED, Bundle, BundleWriter
from edge_sdk.errors import BundleError, EngineError, UsageError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation import PACKAGES
from edge_sdk.export.evaluation.fitted import FittedThresholds
from edge_sdk.manifest import Manifest, ThresholdProvenance, UnsupportedPoint
from edge_sdk.runtime.selection import ALL, AUTO, Choice, choose, fits
from edge_sdk.slicing import keep_variants
from edge_sdk.tables import Table

CARD = "MODEL_CARD.md"
_HEADING = "## Thresholds fitted again"

CountByVariant = Callable[[str, int, int], None]
"""Called with the variant, how many of its pictures are scored, and all of them."""


@dataclass(frozen=True)
class LeftOut:
    """A variant that the new bundle lacks, and why it could not be measured here."""

    variant: str
    reason: str


@dataclass(frozen=True)
class Recalibrated:
    """The bundle as it was written, and what was fitted."""

    bundle: Bundle
    previous_bundle: str
    fitted: tuple[FittedThresholds, ...]
    left_out: tuple[LeftOut, ...]


def recalibrate(
    bundle: str | os.PathLike[str] | Bundle,
    data: Dataset,
    destination: Path | None = None,
    *,
    engine: str = AUTO,
    precision: str | None = None,
    threads: int = 1,
    leave_out: bool = False,
    progress: CountByVariant | None = None,
    **options: Any,
) -> Recalibrated:
    """Fit the thresholds of each variant on `data` and write them into a copy, or into the bundle itself.

    Args:
        data: People that the model has not been trained on.
        destination: Folder, or a file ending in ``.edge``; None replaces the bundle itself, atomically.
        engine: Name of an engine for all variants, or ``"auto"``: for each the one that would be chosen for it.
        precision: As that of :class:`edge_sdk.runtime.verifier.Verifier`; only such variants are kept in the copy.
        leave_out: Leave variants that no engine runs here out of the copy; else such a variant is an error.
        options: What the task's ``fit`` takes beside (:mod:`edge_sdk.export.evaluation.spoof.thresholds`).

    Raises:
        UsageError: Variants would be left out of the bundle itself, it is a shipped one, or the destination is it.
        BundleError: No such variant.
        EngineError: A variant cannot be measured here, or an engine fails.
        DatasetError: The people are too few, or there are no impostors among them. Nothing is written then.
    """
    opened = Bundle.open(bundle)
    _check_destination(opened, destination)
    wanted = [one.id for one in opened.manifest.variants if precision is None or fits(one, precision)]
    if not wanted:
        there = ", ".join(one.id for one in opened.manifest.variants)
        raise BundleError(f"{opened.id} has no {precision} variant; it has {there}")
    if destination is None and len(wanted) < len(opened.manifest.variants):
        raise UsageError("a part of the variants would be left with thresholds of other people: write a copy instead")
    choices, left_out = _choices(opened, wanted, engine, threads)
    if left_out and (not leave_out or not choices or destination is None):
        raise EngineError(_refusal(opened, left_out, len(wanted)))
    fit = importlib.import_module(f"edge_sdk.export.evaluation.{PACKAGES[opened.manifest.task]}.thresholds").fit
    fitted: list[FittedThresholds] = []
    for choice in choices:
        variant = choice.variant.id
        report = partial(progress, variant) if progress else None
        fitted.append(fit(opened, variant, data, engine=choice.engine, threads=threads, progress=report, **options))
    return Recalibrated(_write(opened, data, fitted, destination), opened.id, tuple(fitted), left_out)


def _check_destination(bundle: Bundle, destination: Path | None) -> None:
    itself = os.path.realpath(bundle.path)
    if destination is None:
        if Path(itself).parent == Path(os.path.realpath(SHIPPED)):
            raise UsageError(f"{bundle.manifest.name} is a shipped bundle, which stays as it is: write a copy")
    elif os.path.realpath(destination) == itself:
        raise UsageError(f"{destination} is the bundle itself: ask for that in place, or write a copy elsewhere")


def _choices(
    bundle: Bundle, wanted: Sequence[str], engine: str, threads: int
) -> tuple[list[Choice], tuple[LeftOut, ...]]:
    """The engine of each variant, and the variants that none runs here."""
    if engine == ALL:
        raise UsageError("one engine fits the thresholds of a variant: name it, or auto")
    choices, left_out = [], []
    for variant in wanted:
        try:
            choices.append(choose(bundle, engine, variant, threads))
        except (BundleError, EngineError) as error:
            left_out.append(LeftOut(variant, str(error)))
    return choices, tuple(left_out)


def _refusal(bundle: Bundle, left_out: Sequence[LeftOut], count: int) -> str:
    lines = [f"{bundle.id}: {len(left_out)} of {count} variants cannot be measured here:"]
    lines += [f"  {one.variant}: {one.reason}" for one in left_out]
    return "\n".join([*lines, "install what they need, or write a copy without them (--out with --leave-out)"])


def _write(bundle: Bundle, data: Dataset, fitted: Sequence[FittedThresholds], destination: Path | None) -> Bundle:
    points = {one.variant: one.points for one in fitted}
    manifest = keep_variants(bundle.manifest, points)
    first = fitted[0]
    provenance = ThresholdProvenance(
        data=data.name,
        impostors=first.impostors,
        subjects=first.subjects,
        unusable=len(first.unusable),
        previous_bundle=bundle.id,
        version=__version__,
    )
    manifest = msgspec.structs.replace(
        manifest,
        thresholds=provenance,
        over_time=None,
        variants=tuple(msgspec.structs.replace(one, operating_points=points[one.id]) for one in manifest.variants),
    )
    with BundleWriter(bundle.path if destination is None else destination) as writer:
        entries = {}
        for entry in manifest.files:
            content = bundle.read(entry)
            if entry.path == CARD:
                content = _card(content.decode(), manifest, provenance).encode()
            entries[entry.path] = writer.add(entry.path, content)
        auxiliary = tuple(entries[entry.path] for entry in manifest.auxiliary)
        return writer.finish(msgspec.structs.replace(manifest, auxiliary=auxiliary))


def _card(card: str, manifest: Manifest, provenance: ThresholdProvenance) -> str:
    """The model card with the new thresholds at its end."""
    rows = []
    for variant in manifest.variants:
        for point in variant.operating_points:
            if isinstance(point, UnsupportedPoint):
                rows.append((variant.id, point.name, "none", point.reason))
                continue
            rates = (f"{name} {rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]" for name, rate in point.rates.items())
            rows.append((variant.id, point.name, f"{point.threshold:#.4g}", ", ".join(rates)))
    note = (
        f"Fitted on {provenance.data}: {provenance.subjects} people, {provenance.impostors}; {provenance.unusable} of "
        f"their pictures could not be used. They replace the operating points above, those of "
        f"{provenance.previous_bundle}. The rates are those of the very people the thresholds were fitted on."
    )
    table = Table(("variant", "point", "threshold", "measured"), rows, text=("variant", "point", "measured"))
    before = card.partition(f"\n{_HEADING}\n")[0].rstrip("\n")
    return f"{before}\n\n{_HEADING}\n\n{note}\n\n{table.markdown()}"
