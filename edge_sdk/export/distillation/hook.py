"""Teacher-student distillation as a hook of a training run: which teachers suit, and what is learned from them.

What a student learns depends on its objective: embeddings (:mod:`edge_sdk.export.distillation.embeddings`),
reconstructions or logits (:mod:`edge_sdk.export.distillation.online`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from lightning_fabric import Fabric

from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import Split
from edge_sdk.export.distillation.embeddings import embedding_targets
from edge_sdk.export.distillation.online import online_target
from edge_sdk.export.distillation.teachers import AnyTeacher, Teacher
from edge_sdk.export.distillation.views import view_targets
from edge_sdk.export.losses.distillation import EmbeddingDistillation, ViewDistillation
from edge_sdk.export.losses.task import Distillation
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training.hooks import StepTargets, Student
from edge_sdk.export.training.progress import ProgressDisplay
from edge_sdk.export.training.records import DistillationRecord


def distillation_settings(recipe: Recipe, preset: Preset, given: Mapping[str, float]) -> Distillation:
    """The settings of this student's distillation.

    Args:
        given: Those that are not to have their defaults.

    Raises:
        UsageError: It cannot be a student, or there is no setting of this name, or not with this value.
    """
    kind = _kind(recipe, preset)
    known = [setting.name for setting in fields(kind)]  # type: ignore[arg-type]  # a frozen dataclass, says the protocol
    if unknown := [name for name in given if name not in known]:
        raise UsageError(
            f"the distillation of {recipe.name} has no setting {', '.join(unknown)}, only {', '.join(known)}"
        )
    return kind(**given)


def _kind(recipe: Recipe, preset: Preset) -> type[Distillation]:
    kind = preset.objective.distillation
    if kind is None:
        raise UsageError(f"{recipe.name} cannot be a student: nothing of its objective can be learned from a teacher")
    return kind


@dataclass(frozen=True)
class DistillationHook:
    """A run learns from teachers too (:class:`edge_sdk.export.training.hooks.TrainingHook`).

    Nobody who measures the student may be known to a teacher. So no teacher has learned from anyone of the split's
    ``validation``, ``thresholds``, ``guardrail`` or ``test`` people, be it through teachers of its own; and the samples
    without labels are of none of them, as far as their data set names its people.

    Attributes:
        split: The student's people.
        unlabeled: Samples that take part in the teacher's terms alone; of embeddings only.
    """

    teachers: tuple[AnyTeacher, ...]
    split: Split
    settings: Distillation = field(default_factory=EmbeddingDistillation)
    unlabeled: Dataset | None = None

    def __post_init__(self) -> None:
        if not self.teachers:
            raise UsageError("distillation needs at least one teacher")
        if self.unlabeled and self.settings.online:
            raise UsageError("samples without labels are learned from by embeddings alone; leave them out")
        for teacher in self.teachers:
            self._require_strangers(teacher.people, f"the teacher {teacher.name}")
        if self.unlabeled:
            self._require_strangers(frozenset(self.unlabeled.subjects), "the unlabeled data")

    def require(self, recipe: Recipe, preset: Preset) -> None:
        """Raises UsageError for a student or a teacher that these settings are not for, or other pre-processing."""
        wanted = type(self.settings)
        if _kind(recipe, preset) is not wanted:
            raise UsageError(
                f"{recipe.name} cannot be distilled so: a student by {wanted.__name__} has another objective"
            )
        for teacher in self.teachers:
            if teacher.distillation is not wanted:
                raise UsageError(f"{teacher.name} cannot teach this student; its teacher is {self.settings.teacher}")
            if self.settings.online and teacher.preprocessing != preset.preprocessing:
                raise UsageError(
                    f"the teacher {teacher.name} has another pre-processing than the student, and both see one image; "
                    "give a teacher that was trained on such images"
                )

    def record(self) -> DistillationRecord:
        """Settings, teachers, digest of the unlabeled samples, and everyone learned from second-hand."""
        people = frozenset[str]().union(*(teacher.people for teacher in self.teachers))
        own = frozenset[str]().union(*(teacher.own_data for teacher in self.teachers))
        digest = None
        if self.unlabeled:
            people |= set(self.unlabeled.subjects)
            own |= self.unlabeled.own
            names = "\n".join(f"{sample.subject} {sample.path.name}" for sample in self.unlabeled.samples)
            digest = hashlib.sha256(names.encode()).hexdigest()
        settings: dict[str, Any] = asdict(self.settings)  # type: ignore[call-overload]  # a frozen dataclass
        return DistillationRecord(
            settings={name: float(value) for name, value in settings.items()},
            teachers=tuple(teacher.record() for teacher in self.teachers),
            people=tuple(sorted(people)),
            own_data=tuple(sorted(own)),
            unlabeled=digest,
        )

    def prepare(self, student: Student, fabric: Fabric, progress: ProgressDisplay) -> StepTargets:
        """See :class:`edge_sdk.export.training.hooks.TrainingHook`."""
        settings: Any = self.settings
        if isinstance(settings, ViewDistillation):
            return view_targets(settings, self.teachers, student, fabric, progress)
        runs = [teacher for teacher in self.teachers if isinstance(teacher, Teacher)]  # all: no other suits these
        if settings.online:
            target = online_target(settings, runs, fabric)
            return lambda _indices, _rng: target
        return embedding_targets(settings, runs, student, self.unlabeled, fabric=fabric, progress=progress)

    def _require_strangers(self, people: frozenset[str], source: str) -> None:
        for role, shared in self.split.measuring(people).items():
            raise TrainingError(
                f"{source} has learned from {', '.join(shared[:5])}, who are {role} people of the student's split; "
                "give a teacher and data of other people, or the split that the teacher was trained with"
            )
