"""The base of every record of a manifest: strict, frozen msgspec structs, and the checks that they share.

msgspec learns a struct's fields when the first of its kind is decoded, and two threads that do so at once may end the
process (msgspec 0.22.0). So whoever decodes makes a decoder when its module is imported, in one thread at a time.

Modules of records are without ``from __future__ import annotations``. With it every annotation is a text, which
msgspec, and :func:`require_bounds` once more, would compile at each start: 8 ms of 40 for the manifest's 95 classes.
"""

import math
import re
import typing
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Annotated

import msgspec

from edge_sdk.errors import ManifestError

MAX_AXES = 8
MAX_ELEMENTS = 2**26
"""Of one tensor, without the free sizes: 256 MiB of float32."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""As far as every reader of JSON counts exactly."""
Text = Annotated[str, msgspec.Meta(max_length=10_000)]
Name = Annotated[str, msgspec.Meta(max_length=200)]
Dimension = Annotated[int, msgspec.Meta(ge=1, le=MAX_ELEMENTS)] | Name
Shape = Annotated[tuple[Dimension, ...], msgspec.Meta(max_length=MAX_AXES)]

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:+-]*")


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Frozen, named arguments only, unknown keys refused, numbers finite and within their annotated bounds."""

    def __post_init__(self) -> None:
        require_bounds(self)


def require(condition: bool, message: str) -> None:
    """Raise ``ManifestError`` with the message unless the condition holds."""
    if not condition:
        raise ManifestError(message)


_SIZED = (str, tuple, dict)


def require_bounds(struct: msgspec.Struct) -> None:
    """Refuse inf and NaN, which msgspec would write as null, and what the ``msgspec.Meta`` of a field does not allow.

    msgspec asks a ``Meta`` only where it decodes; constructors ask here.
    """
    for field in struct.__struct_fields__:
        value = getattr(struct, field)
        if isinstance(value, float) and not math.isfinite(value):
            raise ManifestError(f"{field} is {value}; it must be finite")
    for field, bounds in _bounds(type(struct)):
        value = getattr(struct, field)
        if isinstance(value, (int, float)):
            least = (bounds.ge is None or value >= bounds.ge) and (bounds.gt is None or value > bounds.gt)
            most = (bounds.le is None or value <= bounds.le) and (bounds.lt is None or value < bounds.lt)
            if not (least and most):
                raise ManifestError(f"{field} is {value}; it must be {_in_words(bounds)}")
        elif bounds.max_length is not None and isinstance(value, _SIZED) and len(value) > bounds.max_length:
            raise ManifestError(f"{field} has a length above {bounds.max_length}")


@cache
def _bounds(kind: type[msgspec.Struct]) -> tuple[tuple[str, msgspec.Meta], ...]:
    """The bounds of a struct's fields, each with the field's name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    kinds = [(field, one) for field in kind.__struct_fields__ for one in (hints[field], *typing.get_args(hints[field]))]
    metadata = [(field, meta) for field, one in kinds for meta in getattr(one, "__metadata__", ())]
    return tuple((field, meta) for field, meta in metadata if isinstance(meta, msgspec.Meta))


def _in_words(bounds: msgspec.Meta) -> str:
    signs = (("at least", bounds.ge), ("above", bounds.gt), ("at most", bounds.le), ("below", bounds.lt))
    return " and ".join(f"{sign} {bound}" for sign, bound in signs if bound is not None)


def require_unique(names: Iterable[str], what: str) -> None:
    """Refuse a name that is there twice, in whatever case."""
    counts = Counter(name.casefold() for name in names)
    twice = sorted(name for name, count in counts.items() if count > 1)
    require(not twice, f"{what} given twice: {', '.join(twice[:10])}")


def require_shape(shape: tuple[Dimension, ...]) -> None:
    """A shape holds positive sizes, or names of free ones; ``"batch"`` only in front."""
    for size in shape:
        fits = bool(NAME.fullmatch(size)) if isinstance(size, str) else size > 0
        require(fits, f"dimension {size!r} is neither positive nor a lower-case name")
    require(len(shape) > 0 and "batch" not in shape[1:], f'shape {shape} is empty or has "batch" behind the front')
    elements = math.prod(size for size in shape if not isinstance(size, str))
    require(elements <= MAX_ELEMENTS, f"shape {shape} holds {elements} elements, more than {MAX_ELEMENTS}")
