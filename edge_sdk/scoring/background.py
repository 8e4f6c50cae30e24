"""What a model of one person needs to know of everybody (numpy only), and its file in a bundle.

Means and scatters over training people: no signature, face or embedding of one of them can be read from it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import BundleError, ScoreError

Array = npt.NDArray[np.float64]

MAGIC = b"EDGE-BACKGROUND-1\n"
MAX_BYTES = 100_000
LONGEST = 300
"""Values of the longest embedding that fits."""

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Part = Annotated[bytes, msgspec.Meta(max_length=MAX_BYTES)]


class Background(msgspec.Struct, frozen=True, eq=False):
    """Everybody, as :mod:`edge_sdk.calibration.person_model` fits it to training people.

    Attributes:
        people: How many it was fitted to.
        mean: Of unit embeddings, ``(D,)``.
        within: Lower triangle L ``(D, D)``, of a diagonal above 0, with ``L L'`` the inverse of the covariance of one
            person's embeddings: rows ``x L`` vary alike in all directions.
        everybody: The same of embeddings of all people, forgeries among them, around the mean.
        scatter: Mean variance of one value of ``x L`` (``within``) of a person.
        widest: The largest such variance of a single person.
        slope, offset: Of the logarithm of the likelihood ratio, see :mod:`edge_sdk.scoring.person_model`.
    """

    people: int
    mean: Array
    within: Array
    everybody: Array
    scatter: float
    widest: float
    slope: float
    offset: float

    def __post_init__(self) -> None:
        dims = self.mean.size
        if self.mean.shape != (dims,) or not 1 < dims <= LONGEST or self.people < 1:
            raise ScoreError(f"a background has the mean of 2 to {LONGEST} values, not {self.mean.shape}")
        for triangle in (self.within, self.everybody):
            if triangle.shape != (dims, dims) or not np.isfinite(triangle).all() or not (np.diag(triangle) > 0).all():
                raise ScoreError(f"a background has finite triangles ({dims}, {dims}) of a diagonal above 0")
        numbers = (self.scatter, self.widest, self.slope, self.offset)
        if not np.isfinite(self.mean).all() or not np.isfinite(numbers).all() or min(numbers[:3]) <= 0:
            raise ScoreError("a background has a finite mean and offset, and scatters and a slope above 0")

    def encode(self) -> bytes:
        """The bytes of its file, at most :data:`MAX_BYTES`.

        Triangles are rounded, a column to 16 bits a value, or to 8 where they would not fit.
        """
        stored = _Stored(
            people=self.people,
            mean=self.mean.astype("<f4").tobytes(),
            within=_packed(self.within),
            everybody=_packed(self.everybody),
            scatter=self.scatter,
            widest=self.widest,
            slope=self.slope,
            offset=self.offset,
        )
        return MAGIC + msgspec.msgpack.encode(stored)

    @classmethod
    def decode(cls, data: bytes) -> Background:
        """Raises BundleError if these are not the bytes of a background as :meth:`encode` writes them."""
        try:
            return _decoded(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ScoreError) as error:
            raise BundleError(f"damaged background: {error}") from error


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    people: Annotated[int, msgspec.Meta(ge=1, le=10**9)]
    mean: Part
    within: Part
    everybody: Part
    scatter: Positive
    widest: Positive
    slope: Positive
    offset: Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


_DECODER = msgspec.msgpack.Decoder(_Stored)  # made once, at import: see edge_sdk.schema


def _decoded(data: bytes) -> Background:
    if len(data) > MAX_BYTES or not data.startswith(MAGIC):
        raise ScoreError(f"{len(data)} bytes do not begin as one, or are too many")
    stored = _DECODER.decode(data[len(MAGIC) :])
    if MAGIC + msgspec.msgpack.encode(stored) != data:
        raise ScoreError("it is not as edge-sdk writes it")
    dims, rest = divmod(len(stored.mean), 4)
    if rest:
        raise ScoreError(f"a mean of {len(stored.mean)} bytes")
    return Background(
        people=stored.people,
        mean=np.frombuffer(stored.mean, "<f4").astype(np.float64),
        within=_unpacked(stored.within, dims),
        everybody=_unpacked(stored.everybody, dims),
        scatter=stored.scatter,
        widest=stored.widest,
        slope=stored.slope,
        offset=stored.offset,
    )


def _packed(triangle: Array) -> bytes:
    """A scale of each column, little-endian float32, and its values on and below the diagonal, as whole multiples."""
    dims = len(triangle)
    kind, most = (np.dtype("<i2"), 2**15 - 1) if 2 * dims * (dims + 1) < 0.9 * MAX_BYTES else (np.dtype("i1"), 2**7 - 1)
    scales = (np.abs(triangle).max(axis=0) / most).astype("<f4")
    whole = np.rint(triangle / scales.astype(np.float64)).clip(-most, most)
    np.fill_diagonal(whole, np.maximum(np.diag(whole), 1))
    parts = scales, whole[np.tril_indices(dims)].astype(kind)
    return b"".join(part.tobytes() for part in parts)


def _unpacked(data: bytes, dims: int) -> Array:
    """The triangle of :func:`_packed`; ScoreError for another number of bytes."""
    count = dims * (dims + 1) // 2
    kinds = {4 * dims + count * kind.itemsize: kind for kind in (np.dtype("<i2"), np.dtype("i1"))}
    if not 0 < dims <= LONGEST or len(data) not in kinds:
        raise ScoreError(f"a triangle of {dims} x {dims} values in {len(data)} bytes")
    scales = np.frombuffer(data, "<f4", dims).astype(np.float64)
    if not np.isfinite(scales).all():
        raise ScoreError("a triangle's scales are not finite")
    triangle = np.zeros((dims, dims))
    triangle[np.tril_indices(dims)] = np.frombuffer(data, kinds[len(data)], offset=4 * dims)
    found: Array = triangle * scales
    return found
