"""Pictures of a verifier's evaluation: pairs by their distance, and those that were decided worst."""

from __future__ import annotations

from edge_sdk import modalities
from edge_sdk.export.data import catalogue
from edge_sdk.export.evaluation.html import CaptionedPictures, file_thumbnail, short_name
from edge_sdk.export.evaluation.pictures import PictureGroup
from edge_sdk.export.evaluation.verification.distances import PairAtDistance
from edge_sdk.export.evaluation.verification.evaluate import VerificationReport, WrongPair

_SIDE = 300  # pixels on a thumbnail's longer side
_KINDS = (
    ("Skilled forgeries that were accepted", False, ("skilled",)),
    ("Other people's samples that were accepted", False, ("random",)),
    ("Genuine samples that were rejected", True, ("skilled", "random")),
)


def wrong_pairs(report: VerificationReport, modality: str) -> list[PictureGroup]:
    """The pairs on the wrong side of the threshold, by kind of error; nothing where the bundle has no threshold."""
    if report.threshold is None:
        return []
    note = f"Furthest from the threshold {report.threshold:.4f} first; each picture once."
    return [
        PictureGroup(
            title, [_figure(p, modality) for p in report.wrong_pairs if p.mated is mated and p.forgeries in kinds], note
        )
        for title, mated, kinds in _KINDS
    ]


def by_distance(report: VerificationReport, modality: str) -> list[PictureGroup]:
    """Three pairs each of low, middle and high distance: the right decisions, and the wrong ones."""
    deciding = "" if report.threshold is None else f"; accepted from {report.threshold:.4f} on"
    note = f"The score falls with the distance{deciding}. Middle: round the median of these decisions."
    groups = {True: ", decided rightly", False: ", decided wrongly"} if report.threshold is not None else {None: ""}
    return [
        PictureGroup(
            f"Low, middle and high distances{title}",
            [
                _figure(pair, modality, f"{pair.level} distance, {'genuine' if pair.mated else 'impostor'}, ")
                for pair in report.distances
                if pair.right is decided
            ],
            note,
        )
        for decided, title in groups.items()
    ]


def _figure(pair: WrongPair | PairAtDistance, modality: str, what: str = "") -> CaptionedPictures:
    paths = (pair.reference, pair.query)
    caption = (f"{what}score {pair.score:.4f}", " and ".join(map(short_name, paths)))
    view, decode = catalogue.of(modality).view, modalities.get(modality).decode
    return CaptionedPictures([file_thumbnail(path, _SIDE, lambda one: view(decode(one))) for path in paths], caption)
