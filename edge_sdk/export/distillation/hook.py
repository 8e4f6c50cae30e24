"""Teacher-student distillation: who may teach whom, and what by.

What a student takes over depends on its task: embeddings (:mod:`edge_sdk.export.distillation.embeddings`),
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
from edge_sdk.export.distillation.embeddings import Distillation
from edge_sdk.export.distillation.online import LogitDistillation, ReconstructionDistillation, online_teachers
from edge_sdk.export.distillation.teachers import Teacher
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.losses.one_class import OneClass
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training.hooks import Lessons
from edge_sdk.export.training.progress import Progress
from edge_sdk.export.training.run import Run

Method = Distillation | ReconstructionDistillation | LogitDistillation
"""What is learned from teachers, and how much each part counts."""


def method(recipe: Recipe, preset: Preset, given: Mapping[str, float]) -> Method:
    """How this student is taught.

    Args:
        given: Settings that are not to have their defaults.

    Raises:
        UsageError: Such a student's teaching has no setting of this name, or not with this value.
    """
    kind: type[Method] = Distillation
    if isinstance(preset.objective, OneClass):
        kind = ReconstructionDistillation
    elif isinstance(preset.objective, AttackClassification):
        kind = LogitDistillation
    known = [setting.name for setting in fields(kind)]
    if unknown := [name for name in given if name not in known]:
        raise UsageError(f"teaching {recipe.name} has no setting {', '.join(unknown)}, only {', '.join(known)}")
    return kind(**given)  # type: ignore[arg-type]  # counts are whole numbers


@dataclass(frozen=True)
class Teaching:
    """Guides a run (:class:`edge_sdk.export.training.hooks.Guide`) by what teachers say of its images.

    Nobody who measures the student may have taught it. So no teacher has learned from anyone of the split's
    ``validation``, ``thresholds``, ``guardrail`` or ``test`` people, be it through teachers of its own; and the images
    without labels show none of them, as far as their data set names its people.

    Attributes:
        split: The student's people.
        unlabeled: Images that take part in the teacher's terms alone; of embeddings only.
    """

    teachers: tuple[Teacher, ...]
    split: Split
    settings: Method = field(default_factory=Distillation)
    unlabeled: Dataset | None = None

    def __post_init__(self) -> None:
        if not self.teachers:
            raise UsageError("distillation needs at least one teacher")
        if self.unlabeled and not isinstance(self.settings, Distillation):
            raise UsageError("pictures without labels teach embeddings; leave them out")
        for teacher in self.teachers:
            self._require_strangers(teacher.people, f"the teacher {teacher.recipe.name} ({teacher.preset_name})")
        if self.unlabeled:
            self._require_strangers(frozenset(self.unlabeled.subjects), "the unlabeled data")

    def require(self, recipe: Recipe, preset: Preset) -> None:
        self.settings.require(recipe, preset, self.teachers)

    def facts(self) -> dict[str, Any]:
        """Settings, teachers, digest of the unlabeled images, and ``people``: everyone learned from second-hand."""
        people = frozenset[str]().union(*(teacher.people for teacher in self.teachers))
        facts = {**asdict(self.settings), "teachers": [teacher.facts() for teacher in self.teachers]}
        if self.unlabeled:
            people |= set(self.unlabeled.subjects)
            names = "\n".join(f"{sample.subject} {sample.path.name}" for sample in self.unlabeled.samples)
            facts["pictures"] = hashlib.sha256(names.encode()).hexdigest()
        return {**facts, "people": sorted(people)}

    def prepare(self, run: Run, learned: Dataset, fabric: Fabric, progress: Progress) -> Lessons:
        if isinstance(self.settings, Distillation):
            return self.settings.lessons(self.teachers, run, learned, self.unlabeled, fabric=fabric, progress=progress)
        lesson = online_teachers(self.settings, self.teachers, fabric)
        return lambda _indices, _rng: lesson

    def _require_strangers(self, people: frozenset[str], taught: str) -> None:
        for role, shared in self.split.measuring(people).items():
            raise TrainingError(
                f"{taught} has seen {', '.join(shared[:5])}, who are {role} people of the student's split; "
                "give a teacher and data of other people, or the split that the teacher was trained with"
            )
