"""The thresholds of a bundle fitted again on a user's own people, each variant's by the engine that serves it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edge_sdk._version import __version__
from edge_sdk.bundle import Bundle, SigningKey
from edge_sdk.calibration import rewriting
from edge_sdk.calibration.rewriting import CountByVariant, LeftOut
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation import PACKAGES
from edge_sdk.export.evaluation.fitted import FittedThresholds
from edge_sdk.manifest import ThresholdProvenance
from edge_sdk.runtime.selection import AUTO


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
    sign_with: Sequence[SigningKey] = (),
    **options: Any,
) -> Recalibrated:
    """Fit the thresholds of each variant on `data` and write them into a copy, or into the bundle itself.

    Args:
        data: People that the model has not been trained on.
        destination: Folder, or a file ending in ``.edge``; None replaces the bundle itself, atomically.
        engine: Name of an engine for all variants, or ``"auto"``: for each the one that would be chosen for it.
        precision: As that of :class:`edge_sdk.runtime.verifier.Verifier`; only such variants are kept in the copy.
        leave_out: Leave variants that no engine runs here out of the copy; else such a variant is an error.
        sign_with: Keys that sign what is written; without any it has no signature.
        options: What the task's ``fit`` takes beside (:mod:`edge_sdk.export.evaluation.spoof.thresholds`).

    Raises:
        UsageError: Variants would be left out of the bundle itself, it is a shipped one, or the destination is it.
        BundleError: No such variant.
        EngineError: A variant cannot be measured here, or an engine fails.
        DatasetError: The people are too few, or there are no impostors among them. Nothing is written then.
    """
    opened = Bundle.open(bundle)
    found = rewriting.measurable(
        opened,
        destination,
        engine=engine,
        precision=precision,
        threads=threads,
        leave_out=leave_out,
        sign_with=sign_with,
    )
    fit = importlib.import_module(f"edge_sdk.export.evaluation.{PACKAGES[opened.manifest.task]}.thresholds").fit
    fitted: list[FittedThresholds] = []
    for choice in found.choices:
        variant = choice.variant.id
        report = partial(progress, variant) if progress else None
        fitted.append(fit(opened, variant, data, engine=choice.engine, threads=threads, progress=report, **options))
    first = fitted[0]
    provenance = ThresholdProvenance(
        data=data.name,
        impostors=first.impostors,
        subjects=first.subjects,
        unusable=len(first.unusable),
        previous_bundle=opened.id,
        version=__version__,
    )
    changes = rewriting.Rewritten({one.variant: one.points for one in fitted}, provenance)
    written = rewriting.rewrite(opened, changes, destination, sign_with)
    return Recalibrated(written, opened.id, tuple(fitted), found.left_out)
