"""The objective of networks that find faces, and the task that it gives a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk import images
from edge_sdk.calibration.metrics.verification import ScoreSet, auroc, eer
from edge_sdk.errors import DatasetError
from edge_sdk.export.data.faces.known import face_points
from edge_sdk.export.data.faces.scenes.composition import Composer
from edge_sdk.export.data.faces.scenes.drawings import drawings
from edge_sdk.export.data.faces.scenes.pastes import HEIGHT, WIDTH, Pictures
from edge_sdk.export.data.samples import Indices, Labels, Sample
from edge_sdk.export.data.sampling import evenly
from edge_sdk.export.losses.location import LevelRange, assign, location_loss
from edge_sdk.export.losses.task import Distillation, StepTarget, ValidationMetrics
from edge_sdk.preprocess.general import Fit
from edge_sdk.scoring.base import Score

DRAWN = 600
"""Pictures without a face, drawn once for a run."""


@dataclass(frozen=True)
class FaceLocation:
    """The objective of a recipe that finds faces: :func:`edge_sdk.export.losses.location.location_loss` of scenes.

    Every step renders new scenes of the training people's pictures (:mod:`edge_sdk.export.data.faces.scenes`). Pictures
    come evenly from all data sets, there from frontal heads and profiles, there from all people.

    Attributes:
        scenes: In a step.
        levels: The faces that each of the network's maps answers for.
    """

    distillation: ClassVar[type[Distillation] | None] = None
    attacks: ClassVar[None] = None
    without: ClassVar[tuple[str, ...]] = ()

    scenes: int
    levels: tuple[LevelRange, ...]

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> LocationTask:
        """See :class:`edge_sdk.export.losses.task.Objective`."""
        del labels, embedding_size
        points = [None if sample.rendered else face_points(sample.path) for sample in samples]
        learned = np.array([one is not None for one in points])
        if not learned.any():
            raise DatasetError(
                "of no training picture it is known where the face is: give cfp:PATH with its fiducials, or a list "
                "faces.csv in the root of the data set"
            )
        kind = ["profile" if "profile" in sample.path.parts else "frontal" for sample in samples]
        chances = evenly(learned, [s.dataset for s in samples], kind, [s.subject for s in samples])
        return LocationTask(self, score, tuple(outputs), tuple(samples), tuple(points), chances)


@dataclass(frozen=True, eq=False)
class LocationTask:
    """Find faces: validation AUROC and EER of pictures with faces against pictures without, by the surest place.

    Where all validation pictures have a face, their mean confidence.

    Attributes:
        points: Of each training sample's face, None where it is not known.
        chances: ``(N,)``: how often each sample is drawn.
    """

    objective: FaceLocation
    score: Score
    names: tuple[str, ...]
    samples: tuple[Sample, ...]
    points: tuple[NDArray[np.float64] | None, ...]
    chances: NDArray[np.float64]

    def batch(self, rng: np.random.Generator) -> Indices:
        return rng.choice(len(self.samples), self.objective.scenes, p=self.chances)

    def rendering(self, prepared: NDArray[np.uint8], device: torch.device) -> SceneTargets:
        """What gives every step its scenes.

        Args:
            prepared: ``uint8 (N, 1, HEIGHT, WIDTH)``: the training samples as the network takes them.
        """
        learned = np.flatnonzero(self.chances > 0)
        places = [self._placed(int(index)) for index in learned]
        drawn = drawings(DRAWN, HEIGHT, WIDTH, np.random.default_rng(DRAWN))
        pictures = Pictures(
            np.concatenate([prepared[learned], drawn]),
            np.concatenate([np.stack([shown for shown, _ in places]), _whole(len(drawn))]),
            np.stack([points for _, points in places]),
        )
        return SceneTargets(Composer(pictures, device), self.chances[learned], self.objective)

    def _placed(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where ``Fit`` shows the picture, and the points there."""
        height, width = images.load(self.samples[index].path).shape[:2]
        place = Fit(height=HEIGHT, width=WIDTH, stretch=1).place(height, width)
        points = self.points[index]
        assert points is not None
        shown = np.array([place.left, place.top, place.left + place.width, place.top + place.height], np.float32)
        return shown, (points / (place.scale_x, place.scale_y) + (place.left, place.top)).astype(np.float32)

    def loss(self, made: Any, indices: Indices, target: StepTarget | None) -> torch.Tensor:
        del indices
        assert target, "every step has scenes"
        return target.loss(made, torch.zeros(()))

    def outputs(self, network: Any, images: torch.Tensor) -> NDArray[np.floating]:
        made = network.outputs(images, self.names)
        tensors = {name: one.float().cpu().numpy() for name, one in zip(self.names, made, strict=True)}
        return self.score.score(tensors)

    def measure(self, outputs: NDArray[np.floating], samples: Sequence[Sample], network: Any) -> ValidationMetrics:
        del network
        face = np.array([sample.faces != () for sample in samples], np.bool_)
        score = float(outputs[face].mean()) if face.any() else 0.0
        if face.all() or not face.any():
            return ValidationMetrics(live_score=score)
        people = np.unique([sample.subject for sample in samples], return_inverse=True)[1]
        scores = ScoreSet(outputs, face, people)
        return ValidationMetrics(auroc=auroc(scores), eer=float(eer(scores).eer))

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        assert not state


@dataclass(frozen=True, eq=False)
class SceneTargets:
    """Renders each step's scenes; their pictures are drawn anew, whatever the batch."""

    composer: Composer
    chances: NDArray[np.float64]
    objective: FaceLocation

    def __call__(self, indices: Indices, rng: np.random.Generator) -> SceneTarget:
        scenes, planned = self.composer.draw(self.chances / self.chances.sum(), len(indices), rng)
        parts = (planned.state, planned.boxes, planned.points)
        state, boxes, points = (torch.from_numpy(part).to(scenes.device) for part in parts)
        images = (scenes * 255).round().to(torch.uint8).cpu().numpy()
        return SceneTarget(images, state, boxes, points, self.objective.levels)


@dataclass(frozen=True, eq=False)
class SceneTarget:
    """The scenes of one step; the faces in them are those of :class:`edge_sdk.export.data.faces.scenes.plan.Plan`."""

    images: NDArray[np.uint8]
    state: torch.Tensor
    boxes: torch.Tensor
    points: torch.Tensor
    levels: tuple[LevelRange, ...]

    def loss(self, made: Any, objective: torch.Tensor) -> torch.Tensor:
        """See :class:`edge_sdk.export.losses.task.StepTarget`."""
        maps = list(zip(made[::2], made[1::2], strict=True))
        targets = [
            assign(level, (HEIGHT // level.stride, WIDTH // level.stride), self.state, self.boxes, self.points)
            for level in self.levels
        ]
        return objective.to(made[0].device) + location_loss(maps, targets)


def _whole(count: int) -> NDArray[np.float32]:
    return np.tile(np.array([0, 0, WIDTH, HEIGHT], np.float32), (count, 1))
