"""How a bundle's streams are decided, tuned on recordings and written into a copy of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from edge_sdk._version import __version__
from edge_sdk.bundle import Bundle, BundleWriter, SigningKey, check_destination
from edge_sdk.calibration.rewriting import CARD
from edge_sdk.errors import BundleError, UsageError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation.spoof.recorded import FaceRecording, Faces, recorded
from edge_sdk.export.evaluation.spoof.rules import RuleErrors, TunedRule, errors, tune
from edge_sdk.export.evaluation.spoof.samples import Count
from edge_sdk.manifest import DecisionOverTime, RuleProvenance
from edge_sdk.runtime import SpoofDetector
from edge_sdk.runtime.selection import AUTO, choose
from edge_sdk.runtime.temporal import Limits, Rule, rule_of
from edge_sdk.tables import Table

_HEADING = "## Decision over time"


@dataclass(frozen=True)
class Recorded:
    """Recordings with what scored them.

    Attributes:
        bundle: Whose variant did.
        variant, engine: Which.
        operating_point, threshold: In use.
        data: Names the data sets.
        recordings: Of live people and of attacks.
    """

    bundle: Bundle
    variant: str
    engine: str
    operating_point: str
    threshold: float
    data: str
    recordings: tuple[FaceRecording, ...]

    def errors(self, limits: Limits, rule: Rule | None = None) -> RuleErrors:
        """Of a rule; None is the one that the bundle has, or K of N at the threshold."""
        return errors(self.recordings, rule or rule_of(self.bundle.manifest, self.threshold), limits)


def record(
    bundle: Bundle,
    data: Dataset,
    *,
    faces: Faces = "cascade",
    cropped: Collection[str] = (),
    operating_point: str | None = None,
    engine: str = AUTO,
    precision: str | None = None,
    gap_s: float = 1.0,
    frame_rate: float = 20.0,
    progress: Count | None = None,
) -> Recorded:
    """Score the recordings among the data; see :func:`edge_sdk.export.evaluation.spoof.recorded.recorded`.

    Args:
        faces: Who finds the faces of whole frames.
        cropped: Names of data sets whose pictures are crops of one face each instead.
        operating_point: As that of :class:`edge_sdk.runtime.detector.SpoofDetector`.

    Raises:
        UsageError: A name in `cropped` is that of no data set here, or frames follow one another too slowly.
    """
    names = sorted({sample.dataset for sample in data.samples})
    if unknown := sorted(set(cropped).difference(names)):
        raise UsageError(f"no data set here is called {', '.join(unknown)}; there are {', '.join(names)}")
    if not frame_rate > 1 / gap_s:
        raise UsageError(f"at {frame_rate} frames a second each is a jump in time; give more than {1 / gap_s:g}")
    choice = choose(bundle, engine, precision)
    with SpoofDetector(
        bundle, engine=choice.engine, precision=choice.variant.id, operating_point=operating_point, faces="cropped"
    ) as detector:
        point = detector.operating_point
    found: list[FaceRecording] = []
    for own, by in _parts(data, faces, cropped):
        found += recorded(bundle, choice, own, by, gap_s=gap_s, frame_rate=frame_rate, progress=progress)
    return Recorded(bundle, choice.variant.id, choice.engine, point.name, point.threshold, data.name, tuple(found))


def _parts(data: Dataset, faces: Faces, cropped: Collection[str]) -> list[tuple[Dataset, Faces]]:
    """The data in whole frames, and in crops; without those of which there are none."""
    frames = tuple(sample for sample in data.samples if sample.dataset not in cropped)
    crops = tuple(sample for sample in data.samples if sample.dataset in cropped)
    parts: list[tuple[Dataset, Faces]] = [
        (replace(data, samples=frames), faces),
        (replace(data, samples=crops), "cropped"),
    ]
    return [(own, by) for own, by in parts if own.samples]


def tuned(
    recordings: Recorded, limits: Limits, *, apcer: float, as_before: bool = False, progress: Count | None = None
) -> tuple[DecisionOverTime, TunedRule]:
    """The rule that is tuned on recordings, as a manifest holds it, and as it was found.

    Args:
        as_before: Whether as many attacks may pass as do by the bundle's own rule, also where those are more.
    """
    before = rule_of(recordings.bundle.manifest, recordings.threshold) if as_before else None
    found = tune(recordings.recordings, recordings.threshold, limits, apcer=apcer, before=before, progress=progress)
    on = RuleProvenance(
        data=recordings.data,
        subjects=len({one.subject for one in recordings.recordings}),
        variant=recordings.variant,
        operating_point=recordings.operating_point,
        apcer=found.errors.apcer,
        bpcer=found.errors.bpcer,
        species=found.errors.species,
        version=__version__,
    )
    settings = DecisionOverTime(
        rule=found.rule, gap_s=limits.gap_s, cooldown_s=limits.cooldown_s, deadline_s=limits.deadline_s, tuned=on
    )
    return settings, found


def require_copy(bundle: Bundle, destination: Path) -> None:
    """Refuse what :func:`write` would refuse.

    Raises:
        UsageError: The destination is the bundle itself.
        BundleError: It cannot be written there, or decides no streams.
    """
    if destination.resolve() == bundle.path.resolve():
        raise UsageError(f"{destination} is the bundle itself: write a copy elsewhere")
    if bundle.manifest.task != "spoof":
        raise BundleError(f"{bundle.id} does not detect presentation attacks")
    check_destination(destination)


def write(
    bundle: Bundle, settings: DecisionOverTime, destination: Path, sign_with: Sequence[SigningKey] = ()
) -> Bundle:
    """Write a copy of the bundle that decides streams so; its files and thresholds stay the same.

    ``sign_with`` are keys that sign it; without any it has no signature.

    Raises:
        UsageError, BundleError: As :func:`require_copy`.
    """
    require_copy(bundle, destination)
    manifest = msgspec.structs.replace(bundle.manifest, over_time=settings)
    with BundleWriter(destination, sign_with=sign_with) as writer:
        entries = {}
        for entry in manifest.files:
            content = bundle.read(entry)
            if entry.path == CARD:
                content = _card(content.decode(), settings).encode()
            entries[entry.path] = writer.add(entry.path, content)
        auxiliary = tuple(entries[entry.path] for entry in manifest.auxiliary)
        return writer.finish(msgspec.structs.replace(manifest, auxiliary=auxiliary))


def _card(card: str, settings: DecisionOverTime) -> str:
    """The model card with the rule at its end."""
    on = settings.tuned
    rates = [("APCER", kind, rate) for kind, rate in on.species.items()] + [("BPCER", "live", on.bpcer)]
    rows = [(f"{n}", kind, str(r.trials), f"{r.value:.3f} [{r.low:.3f}, {r.high:.3f}]") for n, kind, r in rates]
    rule = msgspec.to_builtins(settings.rule)
    said = ", ".join(f"{name} {value:.4g}" if name != "kind" else str(value) for name, value in rule.items())
    limits = f"gap {settings.gap_s:g} s, cooldown {settings.cooldown_s:g} s, deadline {settings.deadline_s:g} s"
    tuned_on = f"with {on.variant} at {on.operating_point} on {on.data}, {on.subjects} people"
    note = (
        f"Streams are decided by {said}, {limits}. Tuned {tuned_on}; the rates are those of these recordings. An "
        "attack's is an error if it is LIVE at any time, a live person's unless its first decision is LIVE."
    )
    table = Table(("rate", "recordings of", "recordings", "measured"), rows, text=("rate", "recordings of", "measured"))
    before = card.partition(f"\n{_HEADING}\n")[0].rstrip("\n")
    return f"{before}\n\n{_HEADING}\n\n{note}\n\n{table.markdown()}"
