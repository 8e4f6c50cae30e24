"""What every modality answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk import preprocess
from edge_sdk.manifest import Source
from edge_sdk.preprocess.align import FaceCut


class Prepared(msgspec.Struct, frozen=True, eq=False):
    """A sample as the network takes it: one row, or several.

    Attributes:
        tensor: ``float32 (C, H, W)`` in [0, 1] of an image, ``float32 (T, C)`` of a recording; ``float32 (N, ...)`` of
            a sample of N rows, such as the cycles of a walk; of no values where there is nothing to look at, such as
            no face.
        flags: Quality flags, none if all is well.
        blocking: Those of them that forbid to use the sample.
        not_enrolled: Those of them that forbid only to enrol it.
        quality: In [0, 1], to rank samples of one person: the higher, the better suited.
        batched: Whether the first axis of the tensor counts rows.
    """

    tensor: NDArray[np.float32]
    flags: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()
    not_enrolled: tuple[str, ...] = ()
    quality: float = 1.0
    batched: bool = False

    @property
    def rows(self) -> NDArray[np.float32]:
        """What the network takes, ``float32 (N, ...)``: N is 1 for an image, any number for a walk."""
        return self.tensor if self.batched else self.tensor[np.newaxis]


class Modality(Protocol):
    """One kind of biometric sample.

    A raw sample is whatever :meth:`decode` returns: an image or a recording.
    """

    @property
    def name(self) -> str:
        """As manifests and recipes call it."""
        ...

    @property
    def suffixes(self) -> frozenset[str]:
        """What names of files end in, in lower case."""
        ...

    @property
    def flags(self) -> tuple[str, ...]:
        """The quality flags that :meth:`prepare` may raise, in the order in which results list them."""
        ...

    @property
    def blocking(self) -> tuple[str, ...]:
        """Those of :attr:`flags` with which a sample is never accepted and cannot be enrolled."""
        ...

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of what :meth:`measure` gives, by which a sample is told from those that a bundle was made with."""
        ...

    def source(self, operations: Sequence[preprocess.Operation], cut: FaceCut | None) -> Source:
        """What a manifest says of samples that go through a pipeline.

        Args:
            operations: The pipeline.
            cut: How a face is cut out of a frame, where the pipeline expects it cut out.
        """
        ...

    def decode(self, source: Any) -> Any:
        """The raw sample of a path, bytes or what else a source may be. Raises ``InputError`` if it cannot be had."""
        ...

    def prepare(self, operations: Sequence[preprocess.Operation], raw: Any, source: Any) -> Prepared:
        """Pre-process a raw sample, which is left as it is, and assess it. Raises ``InputError`` if it cannot be.

        Args:
            operations: The pipeline.
            raw: What :meth:`decode` gave.
            source: The manifest's, of the kind that :meth:`source` gives.
        """
        ...

    def measure(self, prepared: Prepared) -> tuple[float, ...] | None:
        """The :attr:`measures` of what :meth:`prepare` gave, finite; None where nothing can be measured."""
        ...
