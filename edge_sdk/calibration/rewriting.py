"""A bundle written again with other thresholds: which of its variants can be measured here, and what else changes.

The models stay the same bytes, and so do pre-processing and embedding space: templates stay valid. All operating points
are replaced, for a bundle whose variants decide by thresholds of different people keeps no stated error rate. A variant
that cannot be measured here is therefore never written with its old thresholds: either nothing is written, or the
variant is left out of the copy. A rule for streams goes, too: it was tuned about the old thresholds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge_sdk.bundle import Bundle, BundleWriter, SigningKey, check_destination
from edge_sdk.bundle.finding import is_shipped
from edge_sdk.bundle.trust import default_trust
from edge_sdk.calibration.front_matter import with_front_matter
from edge_sdk.errors import BundleError, EngineError, UsageError
from edge_sdk.manifest import AnyScore, Golden, Manifest, OperatingPoint, ThresholdProvenance, UnsupportedPoint
from edge_sdk.runtime.selection import ALL, Choice, choose, fits
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
class Measurable:
    """The variants that are measured, each by one engine, and those that none runs here."""

    choices: tuple[Choice, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Rewritten:
    """What of a bundle is replaced.

    Attributes:
        points: The operating points by variant; variants without any are left out.
        provenance: On whom they were fitted.
        score: The score; None for the one that the bundle has.
        golden: The golden trial, of these variants; None for the one that the bundle has.
        files: New bytes of auxiliary files, by path.
    """

    points: Mapping[str, tuple[OperatingPoint, ...]]
    provenance: ThresholdProvenance
    score: AnyScore | None = None
    golden: Golden | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def measurable(
    bundle: Bundle,
    destination: Path | None,
    *,
    engine: str,
    precision: str | None,
    threads: int,
    leave_out: bool,
    sign_with: Sequence[SigningKey] = (),
) -> Measurable:
    """Choose an engine for each variant.

    Args:
        destination: None replaces the bundle itself.
        engine: Name of an engine for all variants, or ``"auto"``: for each the one that would be chosen for it.
        precision: As that of :class:`edge_sdk.runtime.verifier.Verifier`; only such variants are measured.
        leave_out: Whether variants that no engine runs here may be missing from a copy.
        sign_with: The keys that will sign what is written.

    Raises:
        UsageError: Variants would be left out of the bundle itself, it is a shipped one, or would not be opened here
            any more, signed by nobody or with keys that are not trusted; or the destination is it.
        BundleError: No such variant.
        EngineError: A variant cannot be measured here.
    """
    _check_destination(bundle, destination, sign_with)
    if engine == ALL:
        raise UsageError("one engine fits the thresholds of a variant: name it, or auto")
    wanted = [one.id for one in bundle.manifest.variants if precision is None or fits(one, precision)]
    if not wanted:
        there = ", ".join(one.id for one in bundle.manifest.variants)
        raise BundleError(f"{bundle.id} has no {precision} variant; it has {there}")
    if destination is None and len(wanted) < len(bundle.manifest.variants):
        raise UsageError("a part of the variants would be left with thresholds of other people: write a copy instead")
    choices, left_out = [], []
    for variant in wanted:
        try:
            choices.append(choose(bundle, engine, variant, threads))
        except (BundleError, EngineError) as error:
            left_out.append(LeftOut(variant, str(error)))
    if left_out and (not leave_out or not choices or destination is None):
        raise EngineError(_refusal(bundle, left_out, len(wanted)))
    return Measurable(tuple(choices), tuple(left_out))


def rewrite(
    bundle: Bundle, changes: Rewritten, destination: Path | None, sign_with: Sequence[SigningKey] = ()
) -> Bundle:
    """Write the bundle with these changes into a copy, or into the bundle itself, atomically.

    What is written has another manifest, so that the bundle's signature does not hold for it: ``sign_with`` are keys
    that sign it, without any it has none.
    """
    manifest = keep_variants(bundle.manifest, changes.points)
    manifest = msgspec.structs.replace(
        manifest,
        thresholds=changes.provenance,
        over_time=None,
        default_point=_default_kept(manifest, changes.points),
        cameras=() if changes.files else manifest.cameras,  # of the density that was
        score=changes.score or manifest.score,
        golden=changes.golden or manifest.golden,
        variants=tuple(
            msgspec.structs.replace(
                one,
                operating_points=changes.points[one.id],
                accuracy=() if changes.files else one.accuracy,  # of the score that was
            )
            for one in manifest.variants
        ),
    )
    with BundleWriter(bundle.path if destination is None else destination, sign_with=sign_with) as writer:
        entries = {}
        for entry in manifest.files:
            content = changes.files.get(entry.path)
            content = bundle.read(entry) if content is None else content
            if entry.path == CARD:
                content = _card(content.decode(), manifest, changes.provenance).encode()
            entries[entry.path] = writer.add(entry.path, content)
        auxiliary = tuple(entries[entry.path] for entry in manifest.auxiliary)
        return writer.finish(msgspec.structs.replace(manifest, auxiliary=auxiliary))


def check_opens_afterwards(bundle: Bundle, sign_with: Sequence[SigningKey]) -> None:
    """UsageError where this device could not open the bundle any more, if it was rewritten in place and so signed."""
    trust = default_trust()
    if trust.policy == "require" and not any(key.key_id in trust.public_keys for key in sign_with):
        lacks = "no key is trusted here that would sign it" if sign_with else "it would have no signature any more"
        raise UsageError(
            f"{bundle.id} could not be opened here afterwards, for {lacks}: sign it with a key of this device's "
            "trust file (--sign-key), or write a copy (--out)"
        )


def _default_kept(manifest: Manifest, points: Mapping[str, Sequence[OperatingPoint]]) -> str | None:
    """The default operating point, if every variant still has a threshold for it."""
    usable = [{one.name for one in each if not isinstance(one, UnsupportedPoint)} for each in points.values()]
    return manifest.default_point if all(manifest.default_point in names for names in usable) else None


def _check_destination(bundle: Bundle, destination: Path | None, sign_with: Sequence[SigningKey]) -> None:
    itself = os.path.realpath(bundle.path)
    if destination is None:
        if is_shipped(bundle.path):
            raise UsageError(f"{bundle.manifest.name} is a shipped bundle, which stays as it is: write a copy")
        check_opens_afterwards(bundle, sign_with)
    elif os.path.realpath(destination) == itself:
        raise UsageError(f"{destination} is the bundle itself: ask for that in place, or write a copy elsewhere")
    check_destination(bundle.path if destination is None else destination)


def _refusal(bundle: Bundle, left_out: Sequence[LeftOut], count: int) -> str:
    lines = [f"{bundle.id}: {len(left_out)} of {count} variants cannot be measured here:"]
    lines += [f"  {one.variant}: {one.reason}" for one in left_out]
    return "\n".join([*lines, "install what they need, or write a copy without them (--out with --leave-out)"])


def _card(card: str, manifest: Manifest, provenance: ThresholdProvenance) -> str:
    """The model card with the new thresholds in its front matter and at its end."""
    rows, compares = [], manifest.task == "verify"
    for variant in manifest.variants:
        for point in variant.operating_points:
            counted = (str(point.references),) if compares else ()
            if isinstance(point, UnsupportedPoint):
                rows.append((variant.id, point.name, *counted, "none", point.reason))
                continue
            rates = (f"{name} {rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]" for name, rate in point.rates.items())
            rows.append((variant.id, point.name, *counted, f"{point.threshold:#.4g}", ", ".join(rates)))
    who = "person" if provenance.subjects == 1 else "people"
    note = (
        f"Fitted on {provenance.data}: {provenance.subjects} {who}, {provenance.impostors}; {provenance.unusable} of "
        f"their pictures could not be used. They replace the operating points above, those of "
        f"{provenance.previous_bundle}. The rates are those of the very people the thresholds were fitted on."
    )
    if provenance.densities:
        note += (
            f" The density was fitted again to {provenance.pictures} of their pictures, so that no figure above holds "
            "any more, that of int8's cost among them."
        )
    head = ("variant", "point", *(("references",) if compares else ()), "threshold", "measured")
    table = Table(head, rows, text=("variant", "point", "measured"))
    before = with_front_matter(card, manifest).partition(f"\n{_HEADING}\n")[0].rstrip("\n")
    return f"{before}\n\n{_HEADING}\n\n{note}\n\n{table.markdown()}"
