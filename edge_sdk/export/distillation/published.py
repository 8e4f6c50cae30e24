"""Published networks of others as teachers of faces, each by a file that the user has downloaded.

Which networks these are, how they want a picture, and what is known of them, is data (:data:`SOURCES`). A file is
recognised by its SHA-256. Nothing of them is shipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_sdk import preprocess
from edge_sdk.errors import TrainingError
from edge_sdk.export.data.people import unknown_person
from edge_sdk.export.distillation import dlib_file, onnx_module
from edge_sdk.export.distillation.onnx_module import OnnxModule
from edge_sdk.export.losses.distillation import ViewDistillation
from edge_sdk.export.losses.task import Distillation
from edge_sdk.export.training.records import TeacherRecord

ALIGNED_SIDE = 112
"""Height and width of an aligned picture."""


@dataclass(frozen=True)
class Source:
    """A published network.

    Attributes:
        name: Also of its licence (:mod:`edge_sdk.export.data.licenses`), and of the people it has learned from.
        title: For messages.
        learned: From whom, for model cards.
        read: The model of the file's content.
        mean, scale: Of each colour, R, G, B: it takes ``(level - mean) / scale``, of levels in [0, 255].
        share: How much it counts beside others, by how well they compare CFP's profiles with frontal faces.
        window: Left, top and side of what it takes of an aligned picture, in its pixels; may reach beyond, and what is
            there are the outermost pixels. None for all of it.
    """

    name: str
    title: str
    learned: str
    read: Callable[[bytes], onnx.ModelProto] = onnx_module.read
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    share: float = 1.0
    window: tuple[float, float, float] | None = None


_NOBODY_SAYS = "people that its authors do not name, so figures on public faces, such as LFW and CFP, may be of them"

SOURCES = {
    "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79": Source(
        "sface", "face_recognition_sface_2021dec.onnx of OpenCV Zoo", _NOBODY_SAYS, share=3.0
    ),
    "87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581": Source(
        "faceplugin",
        "fr_feature.onnx of faceplugin-face-recognition-js",
        _NOBODY_SAYS,
        mean=(127.0, 127.0, 127.0),
        scale=128.0,
    ),
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30": Source(
        "dlib",
        "dlib_face_recognition_resnet_model_v1.dat",
        "7,485 people of FaceScrub, VGG Face and the web, nobody of LFW; figures on CFP may be of them",
        read=dlib_file.read,
        mean=(122.782, 117.001, 104.298),
        scale=256.0,
        window=(6.454, 20.166, 100.59),
    ),
}
"""By the SHA-256 of their files."""


class FaceNetwork(nn.Module):
    """A published network that takes aligned pictures ``(N, 1 or 3, 112, 112)`` in [0, 1], RGB, and gives ``(N, T)``.

    What comes out is as its authors made it: neither centred nor of unit length.
    """

    mean: Tensor
    grid: Tensor

    def __init__(self, source: Source, network: OnnxModule) -> None:
        super().__init__()
        self.network, self.scale, self.window = network, source.scale, source.window
        self.register_buffer("mean", torch.tensor(source.mean).reshape(1, 3, 1, 1))
        left, top, side = source.window or (0.0, 0.0, float(ALIGNED_SIDE))
        zoom, middle = side / ALIGNED_SIDE, [(2 * start + side) / ALIGNED_SIDE - 1 for start in (left, top)]
        theta = torch.tensor([[[zoom, 0.0, middle[0]], [0.0, zoom, middle[1]]]])
        height, width = network.input_shape[1:]
        self.register_buffer("grid", functional.affine_grid(theta, [1, 3, height, width], align_corners=False))

    def forward(self, pictures: Tensor) -> Tensor:
        colors = pictures.expand(-1, 3, -1, -1)
        if self.window:
            grid = self.grid.expand(len(colors), -1, -1, -1)
            colors = functional.grid_sample(colors, grid, padding_mode="border", align_corners=False)
        embeddings: Tensor = self.network((colors * 255 - self.mean) / self.scale)
        return embeddings


@dataclass(frozen=True)
class PublishedTeacher:
    """A published network that teaches.

    Attributes:
        network: In evaluation mode.
        weights: SHA-256 of its file.
    """

    source: Source
    network: FaceNetwork
    weights: str

    @classmethod
    def read(cls, path: Path) -> PublishedTeacher:
        """Read the file of a published network.

        Raises:
            TrainingError: It cannot be read, or is none of :data:`SOURCES`.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise TrainingError(f"cannot read the teacher {path}: {error}") from error
        weights = hashlib.sha256(content).hexdigest()
        source = SOURCES.get(weights)
        if source is None:
            known = ", ".join(source.title for source in SOURCES.values())
            raise TrainingError(
                f"{path} is neither a run's folder nor the file of a published network that is known here: {known} "
                "(docs/distillation.md says where they are)"
            )
        return cls(source, FaceNetwork(source, OnnxModule(source.read(content))).eval().requires_grad_(False), weights)

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def people(self) -> frozenset[str]:
        """Whoever it has learned from, who have no names here."""
        return frozenset({unknown_person(self.source.name)})

    @property
    def preprocessing(self) -> tuple[preprocess.Operation, ...]:
        """Of aligned faces: what more a network wants is a part of it."""
        return preprocess.ALIGNED

    @property
    def distillation(self) -> type[Distillation]:
        return ViewDistillation

    @property
    def share(self) -> float:
        return self.source.share

    @property
    def own_data(self) -> frozenset[str]:
        return frozenset()

    def record(self) -> TeacherRecord:
        """What tells this teacher from others, and whom it has learned from."""
        settings = repr((self.source.mean, self.source.scale, self.source.window))
        return TeacherRecord(
            recipe=self.name,
            preset="published",
            preprocessing=hashlib.sha256(settings.encode()).hexdigest(),
            weights=self.weights,
            learned=self.source.learned,
        )
