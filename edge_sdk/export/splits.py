"""Who is used for what: five groups of people that share nobody.

What was fitted on some people says nothing about others, so the weights, the moment to stop, the thresholds and the
guardrail's verdict each come from people of their own, and the test people are seen by nothing before evaluation.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_sdk.errors import DatasetError
from edge_sdk.export.datasets import Dataset, split_subjects

FRACTIONS = {"train": 0.62, "validation": 0.06, "thresholds": 0.11, "guardrail": 0.11, "test": 0.10}


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Subjects by their use.

    Attributes:
        train: For the weights, and for the images that int8 ranges are calibrated on.
        validation: For early stopping and the choice of the calibration method.
        thresholds: For the operating points.
        guardrail: For what int8 costs.
        test: For the numbers that are reported.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    thresholds: tuple[str, ...]
    guardrail: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.everybody) != len(set(self.everybody)):
            raise DatasetError("a subject has two roles in the split")

    @property
    def everybody(self) -> tuple[str, ...]:
        """All subjects, role by role."""
        return tuple(subject for role in self.__struct_fields__ for subject in getattr(self, role))

    @classmethod
    def draw(cls, dataset: Dataset, seed: int) -> Split:
        """Draw the groups by :data:`FRACTIONS` within each data set; DatasetError if there are too few people."""
        return cls(*split_subjects(dataset, tuple(FRACTIONS.values()), seed))

    @classmethod
    def read(cls, path: Path) -> Split:
        """Raises DatasetError if the file is missing or no split."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError) as error:
            raise DatasetError(f"{path} holds no split of subjects: {error}") from error

    def measuring(self, people: frozenset[str]) -> dict[str, list[str]]:
        """Those of ``people`` who measure, sorted, by role: no weights may have learned from them."""
        roles = {role: getattr(self, role) for role in self.__struct_fields__ if role != "train"}
        return {role: sorted(people.intersection(them)) for role, them in roles.items() if people.intersection(them)}

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")
