"""Where a model comes from, and the trial to replay on the device."""

import math
from typing import Annotated

import msgspec

from edge_sdk.manifest.files import FileEntry
from edge_sdk.schema import Count, Name, Strict, Text, require

MAX_GOLDEN = 100
Texts = Annotated[tuple[Text, ...], msgspec.Meta(max_length=1000)]
ByVariant = Annotated[dict[Name, float], msgspec.Meta(max_length=MAX_GOLDEN)]


class TrainingProvenance(Strict, frozen=True, kw_only=True):
    """How the float weights came about.

    ``teachers`` are what a distilled model learned from beside its labels: recipe, preset and start of the weights'
    SHA-256, of a published network also whom it has learned from; ``data`` holds their data sets too.
    ``quantisation_aware`` is how many of the ``steps``, the last ones, were taken with int8 simulated. ``people`` is
    the SHA-256 of the names of everybody whom the weights were learned from or chosen on, by which the run of a bundle
    is known again; empty of bundles of before.
    """

    recipe: Name
    preset: Name
    data: Texts
    seed: Count
    steps: Count
    commit: Name
    versions: Annotated[dict[Name, Name], msgspec.Meta(max_length=1000)]
    teachers: Texts = ()
    quantisation_aware: Count = 0
    people: Annotated[str, msgspec.Meta(max_length=64)] = ""


class DataLicense(Strict, frozen=True, kw_only=True):
    """What the licences of the training data allow."""

    commercial_use: bool
    statement: Text


class ThresholdProvenance(Strict, frozen=True, kw_only=True):
    """On whom all thresholds of a bundle were fitted again after its export (``edge-sdk calibrate``).

    ``data`` names the data sets, ``impostors`` what the ``subjects`` people were compared with. ``unusable`` pictures
    of theirs took no part. ``previous_bundle`` is the id of the bundle that the models come from, and ``version`` that
    of the edge-sdk that fitted.

    Of live pictures of one camera alone, ``pictures`` is how many were used, ``digest`` the SHA-256 over their pixels,
    and ``densities`` the auxiliary files that were fitted again to them.
    """

    data: Text
    impostors: Text
    subjects: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    unusable: Count
    previous_bundle: Text
    version: Name
    pictures: Count = 0
    digest: Annotated[str, msgspec.Meta(max_length=64)] = ""
    densities: Texts = ()


class Golden(Strict, frozen=True, kw_only=True):
    """One trial to replay on the device: raw input files, and the score and tolerance expected of each variant.

    ``inputs`` are in the order reference, query for a comparison. For task ``spoof`` each is the crop of a face, and
    the score is the mean of theirs. For task ``locate`` each is a picture, and the score is the mean over the surest
    face's confidence, edges and points (:func:`edge_sdk.runtime.locator.golden_score`).
    """

    inputs: Annotated[tuple[FileEntry, ...], msgspec.Meta(max_length=MAX_GOLDEN)] = ()
    scores: ByVariant = msgspec.field(default_factory=dict)
    tolerance: ByVariant = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(all(map(math.isfinite, self.scores.values())), "golden scores must be finite")
        require(all(0 <= t < math.inf for t in self.tolerance.values()), "golden tolerances must be finite and >= 0")
        require(self.scores.keys() == self.tolerance.keys(), "golden scores and tolerances name different variants")
        require(bool(self.inputs) == bool(self.scores), "golden inputs and scores come together")
