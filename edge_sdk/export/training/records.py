"""``run.json``: what a run was asked for, as typed records. Unknown keys are refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from edge_sdk import files
from edge_sdk.errors import TrainingError
from edge_sdk.export.training.hyperparameters import Hyperparameters
from edge_sdk.export.training.writing import writing

NAME = "run.json"
MAX_BYTES = 256 * 2**20


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the records."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON gives them back (lists, no tuples)."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain


class TeacherRecord(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What tells a teacher from others.

    A default is not written, so that a run that was begun before the field was there can be resumed.

    Attributes:
        recipe: The name of a published network, if it is one.
        preset: ``published`` for such.
        preprocessing: Digest of its pre-processing.
        weights: SHA-256 of its weights' file.
        learned: From whom a published network did, in words.
    """

    recipe: str
    preset: str
    preprocessing: str
    weights: str
    learned: str = ""

    @property
    def described(self) -> str:
        """For provenance and model cards, such as ``deepsign (best) 0123456789abcdef``."""
        of = f", which has learned from {self.learned}" if self.learned else ""
        return f"{self.recipe} ({self.preset}) {self.weights[:16]}{of}"


class DistillationRecord(Record, frozen=True, kw_only=True):
    """What a run learned from teachers.

    Attributes:
        settings: Of the distillation, by name.
        people: Everyone learned from second-hand, sorted.
        own_data: The data sets among theirs that are a user's own folders.
        unlabeled: Digest of the samples without labels, by person and file name; None without such.
    """

    settings: dict[str, float]
    teachers: tuple[TeacherRecord, ...]
    people: tuple[str, ...]
    own_data: tuple[str, ...] = ()
    unlabeled: str | None = None


class ContinuationRecord(Record, frozen=True, kw_only=True):
    """The finished run that a quantisation-aware one continues.

    Attributes:
        steps, rate: Optimiser steps with int8 simulated, and the share of the preset's learning rate.
        weights: SHA-256 of the weights to start from.
        before: Optimiser steps behind them.
        people: Everyone they were learned from, sorted.
        own_data: The data sets among theirs that are a user's own folders.
        teachers: Those of the finished run.
    """

    steps: int
    rate: float
    weights: str
    before: int
    people: tuple[str, ...]
    own_data: tuple[str, ...] = ()
    teachers: tuple[TeacherRecord, ...] = ()


class RunConfig(Record, frozen=True, kw_only=True):
    """What a resumed run must agree on.

    Attributes:
        steps: The run's length, by which its learning-rate schedule goes.
        preprocessing, settings_digest: Digests of the pre-processing, and of all settings of the preset.
        weights: SHA-256 of pretrained weights to start from.
        world_size: Processes.
        train, validation: People.
        hyperparameters: In place of the preset's; None of a run that changes none.
    """

    recipe: str
    preset: str
    steps: int
    preprocessing: str
    settings_digest: str
    seed: int
    tiny: bool
    weights: str | None
    world_size: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    distillation: DistillationRecord | None = None
    quantisation_aware: ContinuationRecord | None = None
    hyperparameters: Hyperparameters | None = None

    def differences(self, other: dict[str, Any]) -> tuple[str, ...]:
        """The names of the settings that ``other``, plain values of the same kind, has otherwise."""
        return tuple(name for name, value in RunConfig.as_dict(self).items() if other.get(name) != value)


class RunRecord(RunConfig, frozen=True, kw_only=True):
    """All of ``run.json``.

    Attributes:
        data: The specifications that the people were loaded from.
        own_data: The data sets among what was trained on that are a user's own folders.
        left_out: How many samples the preset's filter left out, by reason; None without a filter.
        settings: The preset, for people to read.
        patience: Of the preset: validations without improvement before training stops.
    """

    data: tuple[str, ...]
    own_data: tuple[str, ...] = ()
    left_out: dict[str, int] | None = None
    patience: int | None = None
    settings: dict[str, Any]

    @classmethod
    def of(
        cls,
        config: RunConfig,
        *,
        data: tuple[str, ...],
        own_data: tuple[str, ...],
        left_out: dict[str, int] | None,
        patience: int | None,
        settings: dict[str, Any],
    ) -> RunRecord:
        """A run's settings with what else is noted."""
        fields = {name: getattr(config, name) for name in RunConfig.__struct_fields__}
        plain = json.loads(json.dumps(settings, default=str))  # operations are shown, not read
        return cls(**fields, data=data, own_data=own_data, left_out=left_out, patience=patience, settings=plain)

    @property
    def described_preset(self) -> str:
        """For provenance, such as ``best`` or ``best, optimizer sgd, learning rate 0.03``."""
        return ", ".join([self.preset, *([str(self.hyperparameters)] if self.hyperparameters else [])])

    @property
    def steps_before(self) -> int:
        """Optimiser steps behind the weights that the run started from."""
        return self.quantisation_aware.before if self.quantisation_aware else 0

    @property
    def teachers(self) -> tuple[TeacherRecord, ...]:
        """The run's teachers, and those of the run that it continues."""
        return tuple(teacher for source in self._sources for teacher in source.teachers)

    @property
    def second_hand(self) -> frozenset[str]:
        """Everyone the run has learned from through its teachers or the run that it continues."""
        return frozenset(person for source in self._sources for person in source.people)

    @property
    def people_digest(self) -> str:
        """SHA-256 of the names of everybody whom the weights were learned from or chosen on."""
        groups = (sorted(self.train), sorted(self.validation), sorted(self.second_hand))
        return hashlib.sha256(json.dumps(groups).encode()).hexdigest()

    @property
    def all_own_data(self) -> frozenset[str]:
        """The user's own folders behind the weights, here, before or by the teachers."""
        return frozenset(self.own_data).union(*(source.own_data for source in self._sources))

    @property
    def _sources(self) -> tuple[DistillationRecord | ContinuationRecord, ...]:
        return tuple(source for source in (self.distillation, self.quantisation_aware) if source)

    @classmethod
    def read(cls, run: Path) -> RunRecord:
        """Of a run's folder. Raises TrainingError if there is none, or it is not a record of this version."""
        path = run / NAME
        try:
            return msgspec.json.decode(files.read_bytes(path, MAX_BYTES), type=cls)
        except OSError as error:
            raise TrainingError(f"{path} describes no training run: {error}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise TrainingError(
                f"{path} describes no training run of this version of edge-sdk: {error}; train into another folder"
            ) from error

    def write(self, run: Path) -> None:
        """Into a run's folder, whole or not at all. Raises TrainingError if the disk refuses."""
        with writing(run / NAME):
            files.write_bytes(run / NAME, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
