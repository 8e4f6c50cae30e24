"""What a model of one person needs to know of everybody (numpy only), and its file in a bundle.

Means and scatters over training people: no signature, face or embedding of one of them can be read from it. The file is
little-endian: :data:`MAGIC`, the number D of values and the bytes of a whole number (``uint16`` each), the number of
people (``uint32``), scatter, widest, slope and offset (``float64`` each), the mean (``float32 (D,)``), and for each of
the two triangles a scale of each column (``float32 (D,)``) and the whole numbers, row by row up to the diagonal.
"""

from __future__ import annotations

import struct

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import BundleError, ScoreError

Array = npt.NDArray[np.float64]

MAGIC = b"EDGE-BACKGROUND-1\n"
MAX_BYTES = 100_000
LONGEST = 300
"""Values of the longest embedding that fits."""

_HEADER = struct.Struct("<HHI4d")
_WIDE, _NARROW = np.dtype("<i2"), np.dtype("i1")


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
        dims = self.mean.size
        kind = _WIDE if _length(dims, _WIDE) <= MAX_BYTES else _NARROW
        header = _HEADER.pack(dims, kind.itemsize, self.people, self.scatter, self.widest, self.slope, self.offset)
        triangles = (_packed(triangle, kind) for triangle in (self.within, self.everybody))
        return b"".join([MAGIC, header, self.mean.astype("<f4").tobytes(), *triangles])

    @classmethod
    def decode(cls, data: bytes) -> Background:
        """Raises BundleError if these are not the bytes of a background as :meth:`encode` writes them."""
        try:
            found = _decoded(data)
            if found.encode() != data:
                raise ScoreError("it is not as edge-sdk writes it")  # noqa: TRY301 - the same for every kind of damage
        except ScoreError as error:
            raise BundleError(f"damaged background: {error}") from error
        return found


def _length(dims: int, kind: np.dtype[np.signedinteger]) -> int:
    """Bytes of a file."""
    return len(MAGIC) + _HEADER.size + 12 * dims + dims * (dims + 1) * kind.itemsize


def _decoded(data: bytes) -> Background:
    start = len(MAGIC) + _HEADER.size
    if len(data) < start or not data.startswith(MAGIC):
        raise ScoreError("these bytes do not begin as one")
    dims, width, people, *numbers = _HEADER.unpack_from(data, len(MAGIC))
    kind = {kind.itemsize: kind for kind in (_WIDE, _NARROW)}.get(width)
    if kind is None or dims > LONGEST or len(data) != _length(dims, kind):
        raise ScoreError(f"{dims} values of {width} bytes in a file of {len(data)} bytes")
    mean = np.frombuffer(data, "<f4", dims, start).astype(np.float64)
    half = (len(data) - start - 4 * dims) // 2
    within, everybody = (_unpacked(data[-2 * half + part : len(data) - half + part], dims, kind) for part in (0, half))
    scatter, widest, slope, offset = numbers
    return Background(people, mean, within, everybody, scatter, widest, slope, offset)


def _packed(triangle: Array, kind: np.dtype[np.signedinteger]) -> bytes:
    """A scale of each column, and its values on and below the diagonal as whole multiples."""
    most = np.iinfo(kind).max
    scales = (np.abs(triangle).max(axis=0) / most).astype("<f4")
    whole = np.rint(triangle / scales.astype(np.float64)).clip(-most, most)
    np.fill_diagonal(whole, np.maximum(np.diag(whole), 1))
    parts = scales, whole[np.tril_indices(len(triangle))].astype(kind)
    return b"".join(part.tobytes() for part in parts)


def _unpacked(data: bytes, dims: int, kind: np.dtype[np.signedinteger]) -> Array:
    """The triangle of :func:`_packed`."""
    scales = np.frombuffer(data, "<f4", dims).astype(np.float64)
    if not np.isfinite(scales).all():
        raise ScoreError("a triangle's scales are not finite")
    triangle = np.zeros((dims, dims))
    triangle[np.tril_indices(dims)] = np.frombuffer(data, kind, offset=4 * dims)
    found: Array = triangle * scales
    return found
