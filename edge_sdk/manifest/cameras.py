"""What a one-class bundle, which learned the live samples of some cameras, is worth before others."""

from typing import Literal

from edge_sdk.manifest.operating_points import Positive, Share
from edge_sdk.schema import Strict, Text, require


class CameraSeparation(Strict, frozen=True, kw_only=True):
    """The AUROC of live samples against attacks of one data set, with its 95 % interval over people.

    Attributes:
        data: What was recorded by that camera.
        density: ``own``: as it stands in the bundle; ``refitted``: fitted to the live samples of all people of that
            data set but the one who is scored, as ``edge-sdk calibrate --live`` fits it.
        subjects: People.
    """

    data: Text
    density: Literal["own", "refitted"]
    subjects: Positive
    auroc: Share
    low: Share
    high: Share

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.low <= self.high, f"interval [{self.low}, {self.high}] is not ordered")
