"""Views of a training set and mixtures of two, made in batches, and what teachers say of them, asked once.

A published face network takes three times as long about a picture as a student takes to learn from it. So its answers
are kept on disk; the pictures are not, for they are made again, alike, from the seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from edge_sdk.errors import TrainingError
from edge_sdk.export.data import cache
from edge_sdk.export.data.batch_augmentation import BatchViews
from edge_sdk.export.data.samples import Indices, Sample
from edge_sdk.export.distillation.teachers import AnyTeacher
from edge_sdk.export.networks.memory_format import channels_last

CHUNK = 512
"""Pictures in one file of embeddings."""


@dataclass(frozen=True)
class Chunk:
    """Some pictures in one round, which gives one view of each of them, and mixtures of these views.

    Attributes:
        pictures: Indices of samples.
        seed: Of all that is random about it.
    """

    round: int
    number: int
    pictures: Indices
    seed: int

    @classmethod
    def all(cls, groups: Sequence[Indices], rounds: int, seed: int) -> list[Chunk]:
        """The chunks of all rounds, round by round. Pictures are mixed within their group alone."""
        chunks = []
        for round_ in range(rounds):
            rng = np.random.default_rng((0x706F6F6C, seed, round_))
            parts = [
                part
                for group in groups
                for part in np.array_split(rng.permutation(group), max(1, round(len(group) / CHUNK)))
            ]
            seeds = rng.integers(0, 2**62, len(parts)).tolist()
            chunks += [cls(round_, k, part, one) for k, (part, one) in enumerate(zip(parts, seeds, strict=True))]
        return chunks

    def drawn(self, views: BatchViews, mixed: float) -> tuple[torch.Tensor, Indices]:
        """Its pictures, always the same on one kind of device.

        Args:
            mixed: Mixtures, as a share of the views.

        Returns:
            ``uint8 (P + M, C, H, W)``: a view of each picture, then mixtures; and ``int64 (M, 2)``, of whom these are.
        """
        torch.manual_seed(self.seed)
        seen = views(self.pictures)
        count = round(mixed * len(seen))
        pairs = torch.stack([torch.randperm(len(seen)), torch.randperm(len(seen))], dim=1)[:count]
        share = torch.rand(count, 1, 1, 1, device=seen.device)
        first, second = (seen[column.to(seen.device)] for column in pairs.unbind(1))
        shown = torch.cat([seen, share * first + (1 - share) * second])
        return (shown * 255).round().to(torch.uint8), self.pictures[pairs.numpy()]


@dataclass(frozen=True, eq=False)
class ViewPool:
    """All chunks' pictures, in the device's memory.

    Attributes:
        views: ``uint8 (rounds, N, C, H, W)``.
        mixtures: ``uint8 (M, C, H, W)``.
        mixed: ``int64 (M, 2)``, the samples that they are of.
        view_answers: ``float16 (rounds, N, T)``: the teachers' embeddings as they come, side by side.
        mixture_answers: ``float16 (M, T)``.
    """

    views: torch.Tensor
    mixtures: torch.Tensor
    mixed: torch.Tensor
    view_answers: torch.Tensor
    mixture_answers: torch.Tensor

    @classmethod
    def of(cls, chunks: Sequence[Chunk], views: BatchViews, mixed: float, answers: TeachersAnswers) -> ViewPool:
        """Draw the pictures of whole rounds, and ask, or read what was asked before."""
        rounds = 1 + max(chunk.round for chunk in chunks)
        count, device = len(views.pictures), views.pictures.device
        made: tuple[list[torch.Tensor], ...] = ([], [], [])
        seen, said = None, None
        for chunk in chunks:
            drawn, pairs = chunk.drawn(views, mixed)
            found = torch.from_numpy(answers.of(chunk, drawn)).to(device)
            if seen is None or said is None:
                seen = drawn.new_zeros(rounds, count, *drawn.shape[1:])
                said = found.new_zeros(rounds, count, found.shape[1])
            chosen, size = torch.from_numpy(chunk.pictures).to(device), len(chunk.pictures)
            seen[chunk.round, chosen], said[chunk.round, chosen] = drawn[:size], found[:size]
            for kept, part in zip(made, (drawn[size:], torch.from_numpy(pairs), found[size:]), strict=True):
                kept.append(part)
        assert seen is not None and said is not None, "there is a picture"
        mixtures, mixed_of, mixture_answers = map(torch.cat, made)
        return cls(seen, mixtures, mixed_of, said, mixture_answers)

    def select(self, samples: Indices) -> ViewPool:
        """What shows these samples and nobody else, numbered in their order."""
        number = torch.full((self.views.shape[1],), -1)
        number[torch.from_numpy(samples)] = torch.arange(len(samples))
        mixed = number[self.mixed]
        kept = (mixed >= 0).all(dim=1)
        chosen, rows = torch.from_numpy(samples).to(self.views.device), kept.nonzero()[:, 0].to(self.views.device)
        return ViewPool(
            self.views[:, chosen],
            self.mixtures[rows],
            mixed[kept],
            self.view_answers[:, chosen],
            self.mixture_answers[rows],
        )


@dataclass(frozen=True, eq=False)
class TeachersAnswers:
    """What teachers say of chunks, computed once: a file of each, which appears whole, so that a killed run goes on.

    Processes share the chunks.

    Attributes:
        networks: The teachers' on the run's device.
        key: Of teachers, samples and the way pictures are changed.
    """

    folder: Path
    networks: Sequence[nn.Module]
    key: str
    fabric: Fabric

    @classmethod
    def by(
        cls,
        teachers: Sequence[AnyTeacher],
        samples: Sequence[Sample],
        views: BatchViews,
        mixed: float,
        *,
        folder: Path,
        fabric: Fabric,
    ) -> TeachersAnswers:
        """The teachers, frozen, on the run's device. Another kind of device draws other pictures."""
        weights = [teacher.weights for teacher in teachers]
        purpose = f"{weights} {asdict(views.augmentation)} {mixed} {fabric.device.type}"  # type: ignore[call-overload]
        networks = [channels_last(one.network.eval().requires_grad_(False).to(fabric.device)) for one in teachers]
        return cls(folder, networks, cache.key(samples, purpose)[:32], fabric)

    def path(self, chunk: Chunk) -> Path:
        """Where the answers lie."""
        digest = hashlib.sha256(f"{chunk.seed} {chunk.pictures.tolist()}".encode()).hexdigest()[:16]
        return self.folder / self.key / f"{chunk.round}-{chunk.number}-{digest}.npy"

    def of(self, chunk: Chunk, pictures: torch.Tensor) -> NDArray[np.float16]:
        """``(P, T)``, of the pictures of a chunk. Raises TrainingError if a teacher gives no finite embeddings."""
        path = self.path(chunk)
        if not cache.trusted(path):
            cache.store(path, self._asked(pictures))
        return np.asarray(np.load(path))

    @torch.no_grad()
    def _asked(self, pictures: torch.Tensor) -> NDArray[np.float16]:
        parts = []
        for some in pictures.split(CHUNK):
            shown = (some.float() / 255).contiguous(memory_format=torch.channels_last)
            with self.fabric.autocast():
                parts.append(torch.cat([network(shown).float() for network in self.networks], dim=1))
        embeddings = torch.cat(parts)
        if not torch.isfinite(embeddings).all() or embeddings.abs().max() > torch.finfo(torch.float16).max:
            raise TrainingError("a teacher's embeddings are not finite: choose another")
        return np.asarray(embeddings.half().cpu().numpy())
